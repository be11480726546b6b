"""A small file in the layout of ANI-1x, written here, gives the structures that it was written from."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.build import molecule

from rung.data.readers.hdf5 import hdf5_groups
from rung.data.readers.structures import iterate_structures, read_structures, reading_of
from rung.errors import DataError, MissingExtraError

HARTREE = 27.211386024367243
"""eV, CODATA 2014: written out, not taken from what is tested."""

COUNTS = {"C1H4": 3, "H2O1": 300}
"""Conformers by group; more than are read at once in the second."""


def layout(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Write the file and return what it holds."""
    generator = np.random.default_rng(3)
    content = {}
    for name, count in COUNTS.items():
        atoms = molecule("CH4" if name == "C1H4" else "H2O")
        n_atoms = len(atoms)
        energy = generator.normal(-40.0, 0.1, count)
        held = {
            "atomic_numbers": atoms.numbers.astype(np.uint8),
            "coordinates": (atoms.positions + generator.normal(0, 0.1, (count, n_atoms, 3))).astype(np.float32),
            "wb97x_dz.energy": energy,
            "wb97x_dz.forces": generator.normal(0, 0.05, (count, n_atoms, 3)).astype(np.float32),
            "wb97x_dz.dipole": generator.normal(0, 1, (count, 3)),
            "ccsd(t)_cbs.energy": np.where(np.arange(count) % 3 == 1, energy - 0.2, np.nan),
            "tpno_ccsd(t)_dz.corr_energy": generator.normal(-0.3, 0.01, count),
        }
        content[name] = held
    with h5py.File(path, "w") as file:
        for name, held in content.items():
            group = file.create_group(name)
            for key, values in held.items():
                group[key] = values
    return content


KEYS = {"dz": "wb97x_dz", "cc": "ccsd(t)_cbs"}


def test_conformers_come_with_their_labels_in_our_units(tmp_path: Path) -> None:
    content = layout(tmp_path / "ani.h5")
    structures = read_structures(tmp_path / "ani.h5", keys=KEYS)
    expected = [f"{name}-{k}" for name, count in COUNTS.items() for k in range(count)]
    assert [structure.structure_id for structure in structures] == expected
    place = 0
    for name, held in content.items():
        for k in range(COUNTS[name]):
            structure = structures[place]
            place += 1
            assert structure.atoms.numbers.tolist() == held["atomic_numbers"].tolist()
            assert not structure.atoms.pbc.any()
            np.testing.assert_array_equal(structure.atoms.positions, held["coordinates"][k].astype(float))
            low = structure.labels["dz"]
            assert low.energy == pytest.approx(held["wb97x_dz.energy"][k] * HARTREE, rel=1e-12)
            np.testing.assert_allclose(low.forces, held["wb97x_dz.forces"][k].astype(float) * HARTREE, rtol=1e-12)
            assert ("cc" in structure.labels) == (k % 3 == 1)
            if k % 3 == 1:
                high = structure.labels["cc"]
                assert high.energy - low.energy == pytest.approx(-0.2 * HARTREE, abs=1e-9)
                assert np.isnan(high.forces).all()
            assert set(structure.labels) <= {"dz", "cc"}


def test_without_names_the_files_own_keys_are_the_fidelities(tmp_path: Path) -> None:
    layout(tmp_path / "ani.hdf5")
    second = list(iterate_structures(tmp_path / "ani.hdf5"))[1]
    assert set(second.labels) == {"wb97x_dz", "ccsd(t)_cbs"}
    assert reading_of(second).source == "ani.hdf5#1"


def test_a_dataset_of_another_shape_is_refused(tmp_path: Path) -> None:
    layout(tmp_path / "ani.h5")
    with h5py.File(tmp_path / "ani.h5", "r+") as file:
        del file["H2O1/wb97x_dz.forces"]
        file["H2O1/wb97x_dz.forces"] = np.zeros((300, 3))
    with pytest.raises(DataError, match=r"H2O1/wb97x_dz\.forces has shape \(300, 3\), not \(300, 3, 3\)"):
        read_structures(tmp_path / "ani.h5")
    with h5py.File(tmp_path / "ani.h5", "r+") as file:
        del file["C1H4/atomic_numbers"]
    with pytest.raises(DataError, match="no atomic_numbers"):
        hdf5_groups(tmp_path / "ani.h5")


def test_datasets_that_look_like_labels_and_are_not_read_are_named(tmp_path: Path) -> None:
    layout(tmp_path / "ani.h5")
    with h5py.File(tmp_path / "ani.h5", "r+") as file:
        file["C1H4/wb97x_dz.energies"], file["C1H4/energy"] = np.zeros(3), np.zeros(3)
    unread = {one.structure_id: reading_of(one).unread_keys for one in read_structures(tmp_path / "ani.h5")}
    assert unread["C1H4-0"] == ("energy", "tpno_ccsd(t)_dz.corr_energy", "wb97x_dz.energies")
    assert unread["H2O1-5"] == ("tpno_ccsd(t)_dz.corr_energy",)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.move("H2O1/coordinates", "H2O1/positions"), "group H2O1 has atomic_numbers and is no group"),
        (lambda file: file.update({"rest": h5py.SoftLink("/H2O1")}), "group //rest is a link"),
        (lambda file: file.update({"rest": h5py.ExternalLink("other.h5", "/C")}), "group //rest is a link"),
        (lambda file: file.update({"more/dz.energy": np.zeros(3)}), "group more has dz.energy and is no group"),
        (lambda file: file.update({"dz.forces": np.zeros(3)}), "group / has dz.forces and is no group"),
    ],
)
def test_a_group_whose_labels_would_be_lost_is_refused(
    tmp_path: Path, spoil: Callable[[h5py.File], None], sentence: str
) -> None:
    """Its conformers were left out, and those of the other groups read."""
    layout(tmp_path / "ani.h5")
    with h5py.File(tmp_path / "ani.h5", "r+") as file:
        spoil(file)
    with pytest.raises(DataError, match=sentence):
        read_structures(tmp_path / "ani.h5")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_structures(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["energies"] = np.zeros(3)
    with pytest.raises(DataError, match="not laid out as ANI-1x"):
        read_structures(tmp_path / "other.h5")


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout(tmp_path / "ani.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"rung\[hdf5\]"):
        read_structures(tmp_path / "ani.h5")


def test_keys_also_rename_labels_of_other_files_but_never_two_into_one(tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz"
    path.write_text("1\nREF_energy=-1.5 dz_energy=-2.5\nH 0 0 0\n")
    assert read_structures(path, keys={"low": "REF"})[0].labels["low"].energy == -1.5
    with pytest.raises(DataError, match="'dz' under that name and under 'REF'"):
        read_structures(path, keys={"dz": "REF"})
