"""Result files: what is written is read back, and damage is one sentence."""

import math
from pathlib import Path

import numpy as np
import pytest

from rung.errors import StorageError
from rung.results.base import Entry, Number, Numbers, Result, entries_of
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


class Line(Entry):
    heights: Numbers
    """Numbers."""


def test_an_array_is_taken_as_numbers_of_which_each_may_be_unknown() -> None:
    line = Line(heights=np.array([1.0, np.nan]))
    assert line.heights[0] == 1.0
    assert math.isnan(line.heights[1])
    assert math.isnan(Line.model_validate({"heights": [None]}).heights[0])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no JSON list"),
        (None, "holds no JSON list"),
        ([{"heights": [1.0]}, {"heights": [1.0, "high"]}], r"damaged at '1\.heights\.1'"),
        ([{"heights": [[1.0]]}], r"damaged at '0\.heights\.0'"),
        ([None], "damaged at '0'"),
    ],
)
def test_a_damaged_list_is_one_sentence_that_names_the_place(content: object, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as caught:
        entries_of(Line, content, "lines.json")
    assert str(caught.value).startswith("lines.json ")
