"""YAML as rung reads and writes it: scalars of version 1.2, keys once, nothing deep, nothing huge."""

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import ConfigError
from rung.yaml_files import parse_yaml, read_yaml, write_yaml

SCALARS: dict[str, Any] = {
    **{word: word for word in ("off", "on", "no", "yes", "y", "N", "Off", "1_000", "1:30", "0b11", "2020-01-01", "=")},
    "+0o7": "+0o7",
    "--1": "--1",
    "1e": "1e",
    "e3": "e3",
    ".": ".",
    "0x": "0x",
    "true1": "true1",
    "true": True,
    "False": False,
    "~": None,
    "null": None,
    "": None,
    "0o10": 8,
    "010": 10,
    "0x1F": 31,
    "+1": 1,
    "-7": -7,
    "1e3": 1000.0,
    "1E-3": 0.001,
    "1.": 1.0,
    ".5": 0.5,
    "-.inf": -math.inf,
    "+.Inf": math.inf,
    "6.02e23": 6.02e23,
}
"""Plain scalars, and what they are in the core schema of YAML 1.2.2, section 10.3.2."""


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_is_what_version_1_2_says(text: str) -> None:
    value = parse_yaml(f"a: {text}")["a"]
    assert value == SCALARS[text]
    assert type(value) is type(SCALARS[text])


def test_not_a_number() -> None:
    assert math.isnan(parse_yaml("a: .nan")["a"])


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.sampled_from(sorted(SCALARS)), st.floats(), st.integers())))
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    """Here, and by a reader of YAML 1.1 where the value is text."""
    path = tmp_path_factory.getbasetemp() / "a.yaml"
    write_yaml(path, content)
    assert repr(read_yaml(path)) == repr(content)
    words = {key: value for key, value in content.items() if isinstance(value, str)}
    write_yaml(path, words)
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == words


DEEP = 3000
ALIASES = "a0: &a0 [1, 1]\n" + "\n".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 40))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("target: a\ntarget: b\n", "the key 'target' stands twice, on lines 1 and 2"),
        ("a: {b: 1, c: 2, b: 3}", "the key 'b' stands twice"),
        ("a:\n- {b: 1}\n- {b: 1, b: 2}", "the key 'b' stands twice, on lines 3 and 3"),
        ("a: " + "[" * DEEP + "]" * DEEP, "nested more than 60 levels deep"),
        ("\n".join(" " * k + "a:" for k in range(DEEP)), "nested more than 60 levels deep"),
        ("a: &a [*a]", "an alias stands within what it names"),
        (ALIASES, "more than 100000 values"),
        ("a: " + "1" * 5000, "4300 digits"),
        ("!!python/object/apply:os.system ['x']", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "another document"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: \x00", "special characters"),
        ("a: [", "is not YAML"),
    ],
    ids=range(13),
)
def test_what_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match=r"not text in UTF-8 \(byte 3\)"):
        read_yaml(path)
    path.write_bytes(b" " * 10_000_001)
    with pytest.raises(ConfigError, match="more than a file of settings"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="There is no file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(Path("a\0b"))


def test_merge_keys_are_taken() -> None:
    assert parse_yaml("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}") == {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}}


@given(st.text(max_size=40), st.sampled_from(["", "a: ", "- ", "{a: ", "? ", "&a ", "!!int "]))
def test_any_text_is_a_value_or_one_error(text: str, before: str) -> None:
    with contextlib.suppress(yaml.YAMLError, ValueError):
        parse_yaml(before + text)
