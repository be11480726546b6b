"""Scores of error bars against an independent integral, and against what honest bars give."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from rung.errors import DataError
from rung.evaluate.calibration import calibration, crps
from rung.evaluate.errors import ErrorSums
from tests.evaluate.sums import split_errors


@pytest.mark.parametrize(("error", "sigma"), [(0.0, 1.0), (0.3, 0.2), (-1.4, 0.5), (2.0, 3.0), (-0.02, 0.4)])
def test_the_closed_form_is_the_integral_over_the_distribution_function(error: float, sigma: float) -> None:
    below, _ = quad(lambda x: norm.cdf(x, error, sigma) ** 2, -40, 0, points=[error] if error < 0 else None, limit=400)
    above, _ = quad(lambda x: norm.sf(x, error, sigma) ** 2, 0, 40, points=[error] if error > 0 else None, limit=400)
    assert float(crps(error, sigma)) == pytest.approx(below + above, rel=1e-7)


def test_a_very_sure_prediction_is_scored_by_its_absolute_error() -> None:
    assert crps([0.7, -0.7], [1e-9, 1e-9]) == pytest.approx([0.7, 0.7], rel=1e-6)


def test_honest_bars_have_the_scores_that_are_due() -> None:
    rng = np.random.default_rng(4)
    atoms, sigma = np.full(200_000, 4.0), rng.uniform(0.01, 0.03, 200_000)
    found = calibration(sigma * rng.normal(size=200_000), sigma**2, atoms)
    assert found.n == 200_000
    assert found.z2 == pytest.approx(1.0, abs=0.02)
    assert found.crps == pytest.approx(1000 * 0.02 / 4 / np.sqrt(np.pi), rel=0.01)
    shares = [found.within_50, found.within_68, found.within_90, found.within_95]
    assert shares == pytest.approx([0.5, 0.68, 0.9, 0.95], abs=0.005)


def test_bars_too_small_and_too_wide_both_score_worse() -> None:
    rng = np.random.default_rng(5)
    error, ones = 0.1 * rng.normal(size=4000), np.ones(4000)
    honest, small, wide = (calibration(error, (factor * 0.1) ** 2 * ones, ones).crps for factor in (1.0, 0.3, 3.0))
    assert honest < small and honest < wide


def test_the_error_of_the_label_counts_and_unknown_bars_do_not() -> None:
    found = split_errors(
        [1.0, 2.0, 3.0, 4.0],
        [1.3, 2.0, 3.0, np.nan],
        [2, 2, 2, 2],
        ["H2"] * 4,
        energy_stderr_label=[0.4, np.nan, 0.1, 0.1],
        energy_stderr=[0.3, np.inf, np.nan, 0.1],
    )
    assert found.energy_z2 == pytest.approx(0.09 / 0.25)
    assert found.energy_crps == pytest.approx(1000 * float(crps(-0.3, 0.5)) / 2)
    assert (found.coverage_energy_50, found.coverage_energy_68) == (1.0, 1.0)  # 0.6 of a bar off


def test_inside_and_outside_are_scored_apart_and_the_unknown_in_neither() -> None:
    sums = ErrorSums()
    zeros, bars = np.zeros(2), np.full(2, 0.1)
    sums.add([0.1, 0.3], zeros, [1, 1], ["H", "H"], energy_stderr=bars, outside=[0, 1])
    sums.add([0.2, 9.0], zeros, [1, 1], ["H", "H"], energy_stderr=bars, outside=[0, np.nan])
    inside, outside = sums.calibration(outside=False), sums.calibration(outside=True)
    assert (inside.n, outside.n) == (2, 1)
    assert inside.z2 == pytest.approx(2.5) and outside.z2 == pytest.approx(9.0)
    nothing = ErrorSums().calibration(outside=True)
    assert nothing.n == 0 and np.isnan([nothing.z2, nothing.crps, nothing.within_95]).all()


def test_shapes_agree() -> None:
    with pytest.raises(DataError, match="Calibration needs equal shapes"):
        calibration([0.1], [0.1, 0.2], [1])
