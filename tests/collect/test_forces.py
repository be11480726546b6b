"""Forces of Monte Carlo runs: the mean and error of an estimator that is no mean, and whose atoms they are of."""

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.collect.forces import ForceSeries, mean_force, misplaced

ENERGY, SPREAD, SLOPE = -500.0, 0.3, 2.0
"""eV, eV, and eV/Å per what ln Ψ changes."""


def run(random: np.random.Generator, rows: int = 200, walkers: int = 50) -> tuple[ForceSeries, np.ndarray]:
    """Return blocks of walkers whose local energy goes with the gradient of ln Ψ, along one component of one atom."""
    gradient = 0.5 + random.normal(size=(rows, walkers, 1, 3))
    energy = ENERGY + SPREAD * random.normal(size=(rows, walkers)) + SLOPE * (gradient[..., 0, 0] - 0.5)
    direct = 1.0 + random.normal(size=(rows, walkers, 1, 3))
    weighted = energy[..., None, None] * gradient
    return ForceSeries(direct.mean(axis=1), weighted.mean(axis=1), gradient.mean(axis=1)), energy.mean(axis=1)


def test_the_covariance_with_the_energy_is_twice_in_the_force() -> None:
    """⟨h⟩ + 2 cov(E, ∇lnΨ): here 1 + 2 · SLOPE along x, and 1 along the others."""
    forces = []
    errors = []
    for seed in range(60):
        mean, stderr = mean_force(*run(np.random.default_rng(seed)), first=0)
        forces.append(mean[0])
        errors.append(stderr[0])
    spread = np.std(forces, axis=0, ddof=1)
    assert_allclose(np.mean(forces, axis=0), [1 + 2 * SLOPE, 1.0, 1.0], atol=4 * spread.max() / np.sqrt(60))
    assert_allclose(np.mean(errors, axis=0), spread, rtol=0.25)


def test_it_is_the_estimator_of_the_means_and_no_offset_of_energies_counts() -> None:
    series, energies = run(np.random.default_rng(0))
    mean, stderr = mean_force(series, energies, 20)
    parts = [part[20:].mean(axis=0) for part in (series.direct, series.weighted_gradient, series.gradient)]
    assert_allclose(mean, parts[0] + 2 * (parts[1] - energies[20:].mean() * parts[2]), rtol=1e-9)
    moved = ForceSeries(series.direct, series.weighted_gradient + 900.0 * series.gradient, series.gradient)
    other, error = mean_force(moved, energies + 900.0, 20)
    assert_allclose(other, mean, rtol=1e-9)
    assert_allclose(error, stderr, rtol=1e-6)


def test_a_component_without_noise_has_no_error() -> None:
    still = np.zeros((30, 1, 3))
    mean, stderr = mean_force(ForceSeries(still, still, still), np.arange(30.0), 0)
    assert not mean.any()
    assert not stderr.any()


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (None, "no input beside"),
        (Atoms("OH2", [[0, 0, 0], [0, 0.7, 0.6], [0, -0.7, 0.6]]), ""),
        (Atoms("HOH", [[0, 0.7, 0.6], [0, 0, 0], [0, -0.7, 0.6]]), "another order"),
        (Atoms("OH2", [[0, 0, 0], [0, 0.8, 0.6], [0, -0.7, 0.6]]), "other places"),
        (Atoms("OH2", [[0, 0, 0], [0.7, 0, 0.6], [-0.7, 0, 0.6]]), "turned"),
    ],
)
def test_forces_are_taken_for_atoms_that_are_known(atoms: Atoms | None, said: str) -> None:
    structure = Atoms("OH2", [[0, 0, 0], [0, 0.7, 0.6], [0, -0.7, 0.6]])
    reason = misplaced([atoms], structure)
    assert said in reason
    assert bool(reason) == bool(said)
