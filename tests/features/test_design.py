"""A design is the structure's energy and forces as linear functions of the weights."""

import numpy as np
from numpy.testing import assert_allclose

from rung.features.design import Design
from tests.features.test_errorbars import designs, potential, structures


def test_counts_of_atoms_are_those_of_the_composition() -> None:
    assert [design.n_atoms for design in designs()] == [len(structure) for structure in structures()]
    assert isinstance(designs()[0].n_atoms, int)


def test_only_a_design_with_rows_has_forces() -> None:
    assert all(design.has_forces for design in designs(forces=True))
    assert not any(design.has_forces for design in designs())
    empty = Design(np.zeros(2), np.zeros((0, 2)), np.array([1.0]), 0.0, np.zeros(0))
    assert not empty.has_forces and empty.n_atoms == 1


def test_moving_the_weights_moves_energy_and_forces_along_the_design() -> None:
    before = potential().surface("high").readout
    step = np.random.default_rng(0).normal(size=len(before.weights))
    structure, design = structures()[0], designs(forces=True)[0]
    predictions = []
    for readout in (before, before.moved(step)):
        energy = design.energy @ readout.weights
        predictions.append((energy, design.forces @ readout.weights))
    assert_allclose(predictions[1][0] - predictions[0][0], design.energy @ step, rtol=1e-10)
    assert_allclose(predictions[1][1] - predictions[0][1], design.forces @ step, atol=1e-10)
    assert design.forces.shape == (3 * len(structure), len(before.weights))
