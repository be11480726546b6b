"""What every reader promises: its files are recognised by their content, and its frames are found again by place."""

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rung.data.frames import stream_structures
from rung.data.readers import READERS, extxyz, hdf5, lammps, reader_of
from rung.data.readers.reader import Reader
from rung.data.readers.structures import read_structures
from rung.errors import DataError
from tests.data.readers.dumps import dump, lithium
from tests.data.readers.extxyz_files import FILE


def write_extxyz(path: Path) -> None:
    path.write_bytes(FILE)


def write_compressed(path: Path) -> None:
    path.write_bytes(gzip.compress(FILE))


def write_hdf5(path: Path) -> None:
    generator = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for name, size in (("B", 3), ("A", 4)):
            group = file.create_group(name)
            group["atomic_numbers"] = np.array([1, 8])
            group["coordinates"] = generator.normal(size=(size, 2, 3))
            group["dz.energy"] = generator.normal(size=size)


def write_dump(path: Path) -> None:
    path.write_text(dump(lithium(3), extra="element"))


def write_compressed_dump(path: Path) -> None:
    path.write_bytes(gzip.compress(dump(lithium(3), extra="element").encode()))


SAMPLES: dict[str, Callable[[Path], None]] = {
    extxyz.READER.name: write_extxyz,
    extxyz.COMPRESSED.name: write_compressed,
    hdf5.READER.name: write_hdf5,
    lammps.READER.name: write_dump,
    lammps.COMPRESSED.name: write_compressed_dump,
}


@pytest.fixture(params=READERS, ids=lambda reader: reader.name)
def reader(request: pytest.FixtureRequest) -> Reader:
    return request.param


def equal(path: Path, other: Path) -> None:
    for one, two in zip(read_structures(path), read_structures(other), strict=True):
        assert (one.structure_id, one.geometry_hash, set(one.labels)) == (
            two.structure_id,
            two.geometry_hash,
            set(two.labels),
        )
        for name, labels in one.labels.items():
            np.testing.assert_array_equal(labels.energy, two.labels[name].energy)
            np.testing.assert_array_equal(labels.forces, two.labels[name].forces)


def test_every_reader_takes_its_files_whatever_they_are_called(reader: Reader, tmp_path: Path) -> None:
    plain = tmp_path / f"frames{reader.suffixes[0]}"
    SAMPLES[reader.name](plain)
    assert len(read_structures(plain)) >= 3
    others = [suffix for other in READERS for suffix in other.suffixes]
    for suffix in (*others, *(suffix.upper() for suffix in reader.suffixes), ".txt", ".dat", ".json", ""):
        path = tmp_path / f"copy{suffix}"
        path.write_bytes(plain.read_bytes())
        assert reader_of(path) is reader
        equal(path, plain)


def test_every_reader_finds_its_frames_again_or_is_not_streamed(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / f"frames{reader.suffixes[0]}"
    SAMPLES[reader.name](path)
    if reader.finder is None:
        with pytest.raises(DataError, match="cannot be streamed"):
            stream_structures(path)
        return
    streamed, structures = stream_structures(path), read_structures(path)
    for index in reversed(range(len(structures))):
        assert streamed[index].geometry_hash == structures[index].geometry_hash
        assert streamed[index].structure_id == structures[index].structure_id


def test_every_reader_has_a_sample() -> None:
    assert set(SAMPLES) == {reader.name for reader in READERS}
