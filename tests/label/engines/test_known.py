"""Labels by geometry: shifted and turned molecules are found, other geometries and those of two energies are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rung.data.labels import empty_labels
from rung.data.readers.structures import structure_from, write_structures
from rung.data.structure import Structure
from rung.errors import DataError, UnconvergedError
from rung.label.engine import Made, Subject
from rung.label.engines.known import ENGINE, KnownEngine, label
from tests.label.springs import molecules, rattled


def labelled(structure: Structure, energy: float, stderr: float = np.nan) -> Structure:
    forces = np.arange(3.0 * len(structure)).reshape(-1, 3)
    labels = replace(empty_labels(len(structure)), energy=energy, energy_stderr=stderr, forces=forces)
    return replace(structure, labels={"cc": labels})


WATER, METHANE, _ = molecules()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    moved = rattled(WATER, "moved")
    write_structures(tmp_path / "a.extxyz", [labelled(WATER, -1.0, 0.01), labelled(moved, -2.0), METHANE])
    return tmp_path / "a.extxyz"


def find(atoms: Atoms, *files: Path, **settings: bool) -> Made:
    engine = KnownEngine(files=files, **settings)
    ENGINE.check(engine)
    return label(Subject("x", atoms, "cc"), engine, files[0].parent)


def test_the_same_geometry_gives_its_label(file: Path) -> None:
    made = find(WATER.atoms, file)
    assert (made.energy, made.energy_stderr) == (-1.0, 0.01)
    np.testing.assert_array_equal(made.forces, np.arange(9.0).reshape(3, 3))
    assert find(WATER.atoms, file, forces=False).forces is None
    assert find(rattled(WATER, "moved").atoms, file).energy == -2.0


def test_a_shifted_molecule_keeps_its_forces_and_a_turned_one_does_not(file: Path) -> None:
    shifted = WATER.atoms.copy()
    shifted.positions += [1.0, -2.0, 0.5]
    assert find(shifted, file).forces is not None
    shifted.rotate(40, "x")
    turned = find(shifted, file)
    assert (turned.energy, turned.forces) == (-1.0, None)
    assert "turned" in turned.warnings[0]


def test_a_geometry_that_no_label_has_is_said(file: Path) -> None:
    for atoms in (rattled(WATER, "other", seed=9).atoms, METHANE.atoms, WATER.atoms[[1, 0, 2]]):
        with pytest.raises(UnconvergedError, match="No structure with an energy of cc"):
            find(atoms, file)
    with pytest.raises(DataError, match="There is no file"):
        find(WATER.atoms, file.with_name("absent.extxyz"))


def test_two_energies_of_one_geometry_are_no_label(file: Path) -> None:
    other = file.with_name("b.extxyz")
    write_structures(other, [labelled(replace(WATER, structure_id="again"), -1.5)])
    with pytest.raises(UnconvergedError, match="whose energies of cc differ"):
        find(WATER.atoms, file, other)
    write_structures(other, [labelled(replace(WATER, structure_id="again"), -1.0)])
    assert find(WATER.atoms, file, other).energy == -1.0


def test_a_file_that_grew_is_read_again(file: Path) -> None:
    with pytest.raises(UnconvergedError):
        find(METHANE.atoms, file)
    write_structures(file, [labelled(METHANE, -3.0)])
    assert find(METHANE.atoms, file).energy == -3.0


def test_crystals_are_found_up_to_whole_lattice_vectors(tmp_path: Path) -> None:
    silicon = bulk("Si")
    write_structures(tmp_path / "si.extxyz", [labelled(structure_from(silicon, "si"), -9.0)])
    wrapped = silicon.copy()
    wrapped.positions[1] += silicon.cell[0]
    assert find(wrapped, tmp_path / "si.extxyz").energy == -9.0
    with pytest.raises(UnconvergedError):
        find(bulk("Si", a=5.5), tmp_path / "si.extxyz")
