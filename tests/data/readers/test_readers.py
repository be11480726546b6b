"""The registry of readers: a file's content chooses its reader, then its suffix; whole reads and streams agree."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase.build import molecule

from rung.data.frames import stream_structures
from rung.data.readers import READERS, extxyz, hdf5, reader_of
from rung.data.readers import ase as ase_reader
from rung.data.readers.reader import Reader
from rung.data.readers.structures import read_structures
from rung.errors import DataError
from tests.data.readers.extxyz_files import FILE, WATER, put


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


SAMPLES: dict[str, Callable[[Path], None]] = {
    extxyz.READER.name: write_extxyz,
    extxyz.COMPRESSED.name: write_compressed,
    hdf5.READER.name: write_hdf5,
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


def test_no_two_readers_share_a_suffix_and_each_is_in_lower_case() -> None:
    suffixes = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_the_suffix_decides_where_the_content_does_not(tmp_path: Path) -> None:
    assert reader_of(put(tmp_path, "no HDF5", "text.H5")) is hdf5.READER
    assert reader_of(put(tmp_path, "three\n", "frames.XYZ")) is extxyz.READER
    assert reader_of(put(tmp_path, b"", "a.extxyz.gz")) is extxyz.COMPRESSED
    assert reader_of(put(tmp_path, "three\n", "frames.txt")) is ase_reader.READER


def test_other_formats_are_left_to_ase(tmp_path: Path) -> None:
    for name in ("frames.traj", "frames.json", "frames.cif", "POSCAR"):
        atoms = molecule("H2O", vacuum=3.0, pbc=True)
        ase.io.write(tmp_path / name, atoms)
        assert reader_of(tmp_path / name) is ase_reader.READER
        np.testing.assert_allclose(read_structures(tmp_path / name)[0].atoms.cell, atoms.cell, atol=1e-6)


def test_a_file_that_may_be_of_two_formats_is_refused_in_one_sentence(tmp_path: Path) -> None:
    twin = replace(extxyz.READER, name="its twin", suffixes=(".twin",))
    readers = (*READERS, twin)
    with pytest.raises(DataError) as caught:
        reader_of(put(tmp_path, WATER, "frames.dat"), readers)
    message = str(caught.value)
    assert message.endswith(
        "frames.dat may be extended XYZ (.xyz, .extxyz) or its twin (.twin); give it the suffix of its format."
    )
    assert reader_of(put(tmp_path, WATER, "frames.twin"), readers) is twin
    assert reader_of(put(tmp_path, WATER, "frames.xyz"), readers) is extxyz.READER


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, WATER)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"frames\.extxyz cannot be read: Permission denied"):
        reader_of(path)
