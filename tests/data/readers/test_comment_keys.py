"""Keys of a comment line stand once."""

from pathlib import Path

import numpy as np
import pytest
from ase.io.extxyz import key_val_str_to_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.readers.comment_keys import candidates, key_twice, keys_in, plain_pairs
from rung.data.readers.structures import read_structures
from rung.errors import DataError


@pytest.mark.parametrize(
    ("comment", "twice"),
    [
        ("a=1 b=2", None),
        ("a=1 b=2 a=3", "a"),
        ('Lattice="1 0 0" Properties=species:S:1 Lattice="2 0 0"', "Lattice"),
        ('note="a=1 a=2" a=3', None),
        ('note="a=1 \\" a=2" a=3', None),
        ("note={a=1} b=[a=2 a=3] a=4", None),
        ("note='a=1' a=2 a=3", "a"),
        ("a = 1 a = 2", "a"),
        ("word word word", None),
        ("", None),
    ],
)
def test_a_key_that_stands_twice(comment: str, twice: str | None) -> None:
    assert key_twice(comment) == twice


def test_a_label_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """ASE keeps the last of two energies in silence."""
    frame = "1\nProperties=species:S:1:pos:R:3 r2scan_energy={} {}\nH 0 0 0\n"
    path = tmp_path / "a.extxyz"
    path.write_text(frame.format(-1.0, "") + frame.format(-1.0, "r2scan_energy=-2.0"))
    with pytest.raises(DataError, match=r"a\.extxyz, line 5: the key 'r2scan_energy' stands twice"):
        read_structures(path)


KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_:.-]{0,8}", fullmatch=True).filter(
    lambda key: key not in ("stress", "virial")
)
WORDS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=True).map(repr),
    st.sampled_from(
        [
            str(10**18),
            str(-(10**19)),
            "1e3",
            "T",
            "F",
            "true",
            "1_000",
            "007",
            "+1",
            "1.",
            ".5",
            "-.5e3",
            "1e400",
            "1d3",
            "0x1f",
            "a:b",
            "é",
            "1,2",
        ]
    ),
    st.text(st.characters(exclude_characters="\"'{}[]\\=", exclude_categories=("Z", "C")), min_size=1, max_size=6),
)
QUOTED = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)


@settings(max_examples=40)
@given(
    st.dictionaries(KEYS, st.one_of(WORDS, QUOTED.map(lambda text: f'"{text}"')), max_size=6), st.sampled_from(" \t")
)
def test_what_is_read_quickly_is_what_ase_reads(pairs: dict[str, str], space: str) -> None:
    comment = space.join(f"{key}={value}" for key, value in pairs.items())
    expected, read = key_val_str_to_dict(comment) if comment else {}, plain_pairs(comment)
    assert read is not None and list(read) == list(expected)
    for key, value in expected.items():
        assert type(read[key]) is type(value)
        np.testing.assert_array_equal(read[key], value)


@pytest.mark.parametrize(
    "comment", ["word", "a=[1 2]", "a={1}", "a='1'", 'a="\\"1"', "a = 1", 'a="1"b', "a=1=2", 'a="open', "a=\\1", "=1"]
)
def test_what_is_not_plain_is_left_to_ase(comment: str) -> None:
    assert plain_pairs(comment) is None
    assert plain_pairs(f"b=1 {comment}") is None


def test_an_empty_value_hides_no_key() -> None:
    """ASE takes the next key for its value."""
    pairs = plain_pairs('note="" dmc_energy=-3.5')
    assert pairs is not None and list(pairs) == ["note", "dmc_energy"] and pairs["dmc_energy"] == -3.5


@given(st.text(st.sampled_from("ab =\"'{}[]\\"), max_size=30))
def test_keys_are_among_what_may_be_one(comment: str) -> None:
    assert set(keys_in(comment)) <= set(candidates(comment)) | {key for key in keys_in(comment) if "x" in key}
