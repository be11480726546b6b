"""Draws from a posterior: their spread is what linear algebra says, and other fidelities keep every bit."""

from dataclasses import replace

import numpy as np
import pytest

from rung import RungCalculator
from rung.checkpoint import Checkpoint
from rung.errors import ModelError
from rung.model.draws import drawn_change, drawn_potential
from rung.tasks.opened import Opened
from tests.geometries import molecule_structures, rattled
from tests.test_checkpoint import some_posterior, two_fidelities

METHANE = molecule_structures()[1].atoms


@pytest.fixture(scope="module")
def calculator() -> RungCalculator:
    potential = two_fidelities()
    return RungCalculator(Checkpoint(potential, some_posterior(potential), {"target": "high"}), fidelity="high")


def test_spread_of_differences_is_the_error_bar(calculator: RungCalculator) -> None:
    other = rattled(METHANE, 3)
    count = 60
    found = [
        draw.get_potential_energy(METHANE) - draw.get_potential_energy(other)
        for draw in calculator.draws(count, seed=4)
    ]
    expected = calculator.energy_difference_stderr(METHANE, other, model_error="none")
    mean = calculator.get_potential_energy(METHANE) - calculator.get_potential_energy(other)
    # the standard deviation of a standard deviation of n normal numbers is 1/√(2n), that of their mean 1/√n
    assert np.std(found, ddof=1) == pytest.approx(expected, rel=3 / np.sqrt(2 * count))
    assert np.mean(found) == pytest.approx(mean, abs=3 * expected / np.sqrt(count))


def test_covariance_of_draws_is_the_posterior(calculator: RungCalculator) -> None:
    posterior = calculator.posterior
    changes = np.array([drawn_change(posterior, 0, index) for index in range(2000)])
    scale = np.sqrt(np.diag(posterior.covariance))
    correlation = np.cov(changes.T) / np.outer(scale, scale)
    expected = posterior.covariance / np.outer(scale, scale)
    assert np.abs(correlation - expected).max() < 0.15
    assert np.abs(changes.mean(axis=0) / scale).max() < 0.1


def test_equal_seeds_give_equal_draws_and_more_draws_keep_the_first(calculator: RungCalculator) -> None:
    few, many = calculator.draws(2, seed=1), calculator.draws(3, seed=1)
    fingerprints = [draw.potential.fingerprint for draw in many]
    assert [draw.potential.fingerprint for draw in few] == fingerprints[:2]
    assert len({*fingerprints, calculator.draws(1, seed=2)[0].potential.fingerprint}) == 4


def test_other_fidelities_stay(calculator: RungCalculator) -> None:
    drawn = drawn_potential(calculator.potential, "high", calculator.posterior, seed=0, index=0)
    assert drawn.surface("low") == calculator.potential.surface("low")
    assert drawn.backbone is calculator.potential.backbone


def test_a_combination_with_two_energies_is_their_difference(calculator: RungCalculator) -> None:
    other = rattled(METHANE, 3)
    assert calculator.energy_combination_variance([METHANE, other], [1, -1]) == calculator.energy_difference_variance(
        METHANE, other
    )
    twice = calculator.energy_combination_variance([METHANE, other], [2, -2])
    once = calculator.energy_difference_variance(METHANE, other)
    assert twice.total == pytest.approx(4 * once.total, rel=1e-9)


def test_no_posterior_no_draws(calculator: RungCalculator) -> None:
    assert calculator.has_error_bars
    low = RungCalculator(calculator.potential, fidelity="low")
    assert not low.has_error_bars
    with pytest.raises(ModelError, match="no posterior of 'low'"):
        low.draws(1)


def test_a_fit_without_error_bars_has_no_draws_and_tasks_see_none() -> None:
    """A hinge band leaves a covariance of NaN, which linear algebra failed on after all the work."""
    potential = two_fidelities()
    posterior = some_posterior(potential)
    unknown = replace(posterior, covariance=np.full_like(posterior.covariance, np.nan))
    calculator = RungCalculator(Checkpoint(potential, unknown, {"target": "high"}), fidelity="high")
    assert not calculator.has_error_bars and Opened.of(calculator, fidelity="high").error_bars is None
    with pytest.raises(ModelError, match="A fit with a hinge band has no error bars to draw from"):
        calculator.draws(2)
    with pytest.raises(ModelError, match="A fit with a hinge band has no error bars to draw from"):
        calculator.energy_changes([METHANE], 2)
