"""The registry of readers: a file's content chooses its reader, then its suffix; whole reads and streams agree."""

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from rung.data.readers import READERS, extxyz, hdf5, reader_of
from rung.data.readers import ase as ase_reader
from rung.data.readers.structures import read_structures
from rung.errors import DataError
from tests.data.readers.extxyz_files import WATER, put


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
