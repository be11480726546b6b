"""Extended XYZ: what damage does to a file, how it is recognised, and frames that are found again by their byte."""

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.data.readers.extxyz import COMPRESSED, READER
from rung.data.readers.structures import read_structures, reading_of
from rung.errors import DataError, RungError
from tests.data.readers.extxyz_files import CRYSTAL, FILE, WATER, put


def test_agrees_with_ase_where_ase_loses_nothing(tmp_path):
    path = put(tmp_path, CRYSTAL + WATER)
    for structure, atoms in zip(read_structures(path), ase.io.read(path, ":"), strict=True):
        np.testing.assert_array_equal(structure.atoms.positions, atoms.positions)
        np.testing.assert_array_equal(structure.atoms.cell.array, atoms.cell.array)
        assert structure.labels["pbe"].energy == atoms.info["pbe_energy"]


def test_a_file_that_ends_within_a_line_is_marked(tmp_path):
    assert reading_of(read_structures(put(tmp_path, WATER[:-1]))[0]).unfinished
    assert not reading_of(read_structures(put(tmp_path, WATER))[0]).unfinished


def _cut(draw):
    return FILE[: draw(st.integers(0, len(FILE)))]


def _flipped(draw):
    content = bytearray(FILE)
    for place in draw(st.lists(st.integers(0, len(FILE) - 1), min_size=1, max_size=4)):
        content[place] = draw(st.integers(0, 255))
    return bytes(content)


def _without_a_line(draw):
    lines = FILE.split(b"\n")
    del lines[draw(st.integers(0, len(lines) - 2))]
    return b"\n".join(lines)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from([_cut, _flipped, _without_a_line]))
def test_damage_gives_structures_or_one_sentence(tmp_path, data, damage):
    path = tmp_path / "damaged.extxyz"
    path.write_bytes(damage(data.draw))
    try:
        found = read_structures(path)
    except RungError as error:
        assert "\n" not in str(error) and "damaged.extxyz" in str(error)
        return
    assert found
    for structure in found:
        assert len(structure) and np.isfinite(structure.atoms.positions).all()
        for labels in structure.labels.values():
            assert labels.forces.shape == (len(structure), 3)


@pytest.mark.parametrize("line", range(len(FILE.split(b"\n")) - 1))
def test_a_missing_line_never_passes_in_silence(tmp_path, line):
    lines = FILE.split(b"\n")
    del lines[line]
    with pytest.raises(DataError):
        read_structures(put(tmp_path, b"\n".join(lines)))


@pytest.mark.parametrize(
    ("text", "detected"),
    [
        (WATER, True),
        (CRYSTAL, True),
        ("1\n\nH 0 0 0\n", True),
        ("1\n\nHe -0.5 1e-3 .5 7\n", True),
        (WATER[:60], True),
        ("1\n", False),
        ("", False),
        ("3\n1.0\n5.4 0 0\n", False),
        ("2\n\nHello is no atom\n", False),
        ("two\n" + WATER, False),
        ('{"1": {"numbers": [1]}}', False),
    ],
)
def test_the_first_lines_say_whether_a_file_is_extended_xyz(text: str, detected: bool) -> None:
    assert READER.detects(text.encode()) == detected
    assert COMPRESSED.detects(gzip.compress(text.encode())) == detected
    assert not COMPRESSED.detects(text.encode())
    assert not READER.detects(gzip.compress(text.encode()))


def test_the_head_of_a_long_compressed_file_is_enough() -> None:
    rows = "".join(f"H {x:.17g} {y:.17g} {z:.17g}\n" for x, y, z in np.random.default_rng(0).normal(size=(2000, 3)))
    content = gzip.compress(f"2000\n\n{rows}".encode())
    assert len(content) > 4096
    assert COMPRESSED.detects(content[:4096])


def test_a_broken_head_of_a_compressed_file_is_not_detected() -> None:
    content = bytearray(gzip.compress(WATER.encode()))
    content[2] = 0
    assert not COMPRESSED.detects(bytes(content))


def test_frames_are_found_again_by_their_byte(tmp_path: Path) -> None:
    path = put(tmp_path, FILE[:-1])
    frames = list(READER.frames(path))
    assert [FILE[frame.place :].split(b"\n")[0] for frame in frames] == [b"3", b"2", b"3"]
    assert [frame.unfinished for frame in frames] == [False, False, True]
    ends = [*(frame.place for frame in frames[1:]), None]
    for frame, end in reversed(list(zip(frames, ends, strict=True))):
        again = READER.finder(path)(frame.place, end)
        assert (again.place, again.unfinished, str(again.atoms.info)) == (
            frame.place,
            frame.unfinished,
            str(frame.atoms.info),
        )
        assert again.atoms == frame.atoms
