"""Result files: what is written is read back, and damage is one sentence."""

import math
from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.results.base import Entry, Number, Result
from rung.storage import read_json


class Part(Entry):
    value: Number
    """A number."""
    name: str = ""
    """A name."""


class Whole(Result):
    parts: tuple[Part, ...]
    """Parts."""
    more: Part | None = None
    """Another."""


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    Whole(parts=(Part(value=1.5, name="a"), Part(value=math.nan))).write(tmp_path / "whole.json")
    assert read_json(tmp_path / "whole.json") == {"parts": [{"value": 1.5, "name": "a"}, {"value": None}]}
    known = Whole.read(tmp_path / "whole.json")
    assert known.parts[0] == Part(value=1.5, name="a")
    assert math.isnan(known.parts[1].value)
    assert Whole.read_optional(tmp_path / "absent.json") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "holds no JSON object"),
        ("null", "holds no JSON object"),
        ("{}", "damaged at 'parts'"),
        ('{"parts": [{"value": "much"}]}', "damaged at 'parts.0.value'"),
        ('{"parts": {"value": 1}}', "damaged at 'parts'"),
        ('{"parts": [', "not readable JSON"),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "whole.json").write_text(content)
    with pytest.raises(StorageError, match=sentence) as caught:
        Whole.read(tmp_path / "whole.json")
    assert "whole.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_of_another_version_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "whole.json").write_text('{"parts": [{"value": 1, "later": 2}], "later": {}}')
    assert Whole.read(tmp_path / "whole.json").as_json() == {"parts": ({"value": 1.0},)}
