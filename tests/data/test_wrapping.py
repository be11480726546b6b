"""Atoms far away, in float32 as in float64, and cells that no matter has."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from numpy.testing import assert_allclose, assert_array_equal

from rung.backends.mace import wrap
from rung.data.batch import collate, neighbours
from rung.data.packing import write_rows
from rung.data.stream import pack
from rung.data.structure import Structure
from rung.data.wrapping import near_origin
from rung.errors import DataError
from rung.model.potential import ReadoutPotential
from rung.model.predictions import StructurePrediction, predict_structures
from tests.mace_models import tiny_mace


@pytest.fixture(scope="module")
def potential() -> ReadoutPotential:
    return wrap(tiny_mace(), "low")


def crystal() -> Atoms:
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    atoms.positions += np.random.default_rng(0).normal(scale=0.1, size=(8, 3))
    return atoms


def away(atoms: Atoms) -> Atoms:
    """Every second atom 30,000 cells away, along another direction each."""
    moved = atoms.copy()
    for k in range(0, len(moved), 2):
        moved.positions[k] += 30_000 * (-1) ** k * moved.cell.array[k % 3]
    return moved


def far(name: str = "CH4") -> Atoms:
    atoms = molecule(name)
    atoms.positions += [5000.0, -5000.0, 12.0]
    return atoms


def predicted(potential: ReadoutPotential, atoms: Atoms) -> StructurePrediction:
    stress = bool(atoms.pbc.any())
    (prediction,) = predict_structures(potential, [[Structure(atoms, "", {})]], "low", stress=stress)
    return prediction


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forces_and_stress_do_not_know_how_far_the_atoms_are(potential: ReadoutPotential, dtype: torch.dtype) -> None:
    model = wrap(tiny_mace().to(dtype), "low")
    tolerance = 2e-5 if dtype == torch.float32 else 1e-8
    for near, moved in ((crystal(), away(crystal())), (molecule("CH4"), far())):
        expected, prediction = predicted(potential, near), predicted(model, moved)
        assert expected.forces is not None and prediction.forces is not None
        assert np.abs(expected.forces).max() > 1e-2
        assert_allclose(prediction.forces, expected.forces, atol=tolerance)
        assert_allclose(prediction.energy, expected.energy, rtol=1e-6 if dtype == torch.float32 else 1e-10)
        if near.pbc.any():
            assert expected.stress is not None and prediction.stress is not None
            assert_allclose(prediction.stress, expected.stress, atol=tolerance)


def test_a_force_far_away_is_the_slope_of_the_energy(potential: ReadoutPotential) -> None:
    atoms, step = away(crystal()), 1e-3
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[2, 1] += sign * step
        energies.append(predicted(potential, moved).energy)
    forces = predicted(potential, atoms).forces
    assert forces is not None
    assert_allclose(-(energies[0] - energies[1]) / (2 * step), forces[2, 1], atol=1e-5)


def test_what_is_near_stays_as_it_is_and_open_directions_are_not_wrapped() -> None:
    atoms = crystal()
    assert near_origin(atoms) is atoms
    slab = away(crystal())
    slab.pbc = (True, True, False)
    slab.positions[:, 2] = np.arange(8) * 40.0
    wrapped = near_origin(slab)
    assert_allclose(np.ptp(wrapped.positions[:, 2]), 280.0)
    assert np.ptp(wrapped.positions[:, :2], axis=0).max() < 3.6
    assert_allclose(wrapped.positions.mean(axis=0), 0.0, atol=1e-10)


def test_rows_that_are_packed_hold_the_same_geometry_as_a_batch(tmp_path) -> None:
    structure = Structure(away(crystal()), "far", {})
    batch = collate([structure], ["low"], 3.0)
    packed = pack([structure], ["low"], 3.0)
    written = write_rows([(structure, "low")], 3.0, tmp_path / "rows", names=["low"])
    for rows in (packed, written):
        assert_array_equal(rows.positions, batch.positions)
        assert_array_equal(rows.edge_cells, batch.edge_cells)


@pytest.mark.parametrize(
    ("cell", "pbc", "sentence"),
    [
        ([0.02, 5, 5], True, r"repeats within 0\.02 Å"),
        ([0.02, 5, 5], (True, False, False), r"repeats within 0\.02 Å"),
        ([[3, 0, 0], [3, 0.01, 0], [0, 0, 9]], (True, True, False), r"repeats within 0\.17 Å"),
        ([0.9, 0.9, 0.9], True, r"0\.36 Å³ an atom"),
    ],
)
def test_a_cell_that_no_matter_has_is_refused(cell, pbc, sentence) -> None:
    with pytest.raises(DataError, match=sentence):
        neighbours(Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], cell=cell, pbc=pbc), 5.0)
    assert neighbours(Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], cell=cell), 5.0)[0].shape == (2, 2)
