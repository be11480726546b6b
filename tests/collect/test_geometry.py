"""Whether two geometries are one: shifts, images and turns, and what tells them apart."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule

from rung.collect.geometry import CLOSE, likeness

WATER = molecule("H2O")


def turned() -> Atoms:
    atoms = WATER.copy()
    atoms.rotate(40.0, (1.0, 2.0, 3.0))
    return atoms


def moved(atoms: Atoms, by: float) -> Atoms:
    changed = atoms.copy()
    changed.positions[1, 0] += by
    return changed


def test_a_shift_does_not_count() -> None:
    shifted = WATER.copy()
    shifted.positions += [1.0, 2.0, 3.0]
    found = likeness(shifted, WATER)
    assert found.distance == pytest.approx(0.0, abs=1e-12)
    assert not found.turned


def test_a_turned_molecule_is_the_same_with_other_forces() -> None:
    found = likeness(turned(), WATER)
    assert found.distance == pytest.approx(0.0, abs=1e-12)
    assert found.turned
    assert likeness(moved(turned(), 0.1), WATER).distance > CLOSE


def test_a_molecule_in_a_box_may_be_wrapped() -> None:
    boxed = WATER.copy()
    boxed.set_cell([8.0, 8.0, 8.0])
    boxed.set_pbc(True)
    boxed.wrap()
    assert likeness(boxed, WATER).distance < 1e-9
    assert likeness(moved(boxed, 0.05), WATER).distance == pytest.approx(0.05 * 2 / 3, rel=0.05)


def test_a_crystal_is_the_same_by_lattice_vectors_and_shifts() -> None:
    salt = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    images = salt.copy()
    images.positions += 0.3 + np.outer(np.arange(8) % 3, [5.6, 0.0, -5.6])
    assert likeness(images, salt).distance < 1e-9
    assert likeness(moved(images, 0.2), salt).distance > CLOSE
    stretched = salt.copy()
    stretched.set_cell(salt.cell * 1.01, scale_atoms=True)
    assert likeness(stretched, salt).distance == np.inf


def test_other_atoms_or_another_order_are_another_structure() -> None:
    assert likeness(WATER[[1, 0, 2]], WATER).distance == np.inf
    assert likeness(molecule("CO2"), WATER).distance == np.inf


def test_a_sheet_without_a_third_vector_is_that_of_a_box() -> None:
    """ASE's graphene has none, and programs give it one."""
    sheet = graphene(size=(2, 2, 1))
    assert sheet.cell.rank == 2
    boxed = sheet.copy()
    boxed.cell[2] = [0.0, 0.0, 15.0]
    boxed.pbc = True
    boxed.positions += [0.0, 0.0, 4.0]
    boxed.wrap()
    assert likeness(boxed, sheet).distance < 1e-9
    assert likeness(moved(boxed, 0.1), sheet).distance > CLOSE
