"""The hinge programme: convex, stationary at its solution, and equal to a general solver's answer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from rung.fit.linear.hinge import HingeProgramme


def programme(seed: int) -> HingeProgramme:
    random = np.random.default_rng(seed)
    size = 6
    return HingeProgramme(
        rows=random.normal(size=(10, size)) * 3,
        target=random.normal(size=10) * 5,
        prior=0.1 * np.eye(size),
        forces=random.normal(size=(60, size)),
        anchor=0.3 * random.normal(size=60),
        weight=0.3,
    )


def objective(problem: HingeProgramme, x: np.ndarray, tau: float) -> float:
    residual = (problem.forces @ x - problem.anchor).reshape(-1, 3)
    excess = np.maximum(0.0, np.linalg.norm(residual, axis=1) - tau)
    energies = problem.rows @ x - problem.target
    return float(
        0.5 * energies @ energies + 0.5 * x @ problem.prior @ x + 0.5 * problem.weight / tau**2 * np.sum(excess**2)
    )


@pytest.mark.parametrize("tau", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_a_general_solver(seed, tau):
    problem = programme(seed)
    found = problem.solve(tau)
    other = minimize(lambda x: objective(problem, x, tau), np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    assert objective(problem, found, tau) <= other.fun * (1 + 1e-7)
    assert_allclose(found, other.x, atol=2e-4)


def test_a_wide_band_does_not_act():
    problem = programme(1)
    ridge = np.linalg.solve(problem.rows.T @ problem.rows + problem.prior, problem.rows.T @ problem.target)
    assert_allclose(problem.solve(1e4), ridge, rtol=1e-6)


def test_a_tight_band_is_the_quadratic_one():
    """As τ goes to zero the hinge's length is the whole departure."""
    problem = programme(2)
    tau = 1e-4
    strength = problem.weight / tau**2
    gram = problem.rows.T @ problem.rows + problem.prior + strength * problem.forces.T @ problem.forces
    pull = problem.rows.T @ problem.target + strength * problem.forces.T @ problem.anchor
    assert_allclose(problem.solve(tau), np.linalg.solve(gram, pull), atol=5e-4)


def test_the_start_does_not_matter():
    problem = programme(3)
    assert_allclose(problem.solve(0.4, np.full(6, 3.0)), problem.solve(0.4), atol=1e-5)
