"""Keys of a comment line stand once."""

from pathlib import Path

import pytest

from rung.data.readers.comment_keys import key_twice
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
