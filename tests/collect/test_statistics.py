"""Means of correlated series: against known errors, against QMCPACK's qmca, and refused where nothing can be told."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.statistics import MOST_BLOCKS, blocked, combined, estimate, mean_and_error, settled_from
from rung.errors import DataError
from tests.collect.samples import autoregressive

SOURCE = Path("a.dat")
DRAWS = 400


@pytest.mark.parametrize(("rows", "correlation"), [(400, 0.0), (500, 0.8), (1000, 0.9)])
def test_reported_errors_are_those_of_series_whose_error_is_known(rows: int, correlation: float) -> None:
    series = autoregressive(rows, correlation, np.random.default_rng(11), DRAWS)
    estimates = [estimate(SOURCE, one, np.ones(rows), equilibration=0) for one in series]
    truth = np.sqrt((1 + correlation) / (1 - correlation) / rows)
    assert np.mean([one.stderr for one in estimates]) == pytest.approx(truth, rel=0.06)
    covered = np.mean([abs(one.mean) < one.stderr for one in estimates])
    assert 0.64 <= covered <= 0.72


def test_independent_samples_are_those_of_the_correlation() -> None:
    series = autoregressive(20_000, 0.8, np.random.default_rng(1))[0]
    result = estimate(SOURCE, series, np.ones(20_000), equilibration=0)
    assert result.inefficiency == pytest.approx(9.0, rel=0.15)
    assert result.independent == pytest.approx(20_000 / result.inefficiency)


def test_a_long_series_is_averaged_over_neighbours_and_keeps_its_error() -> None:
    series = autoregressive(5 * MOST_BLOCKS, 0.9, np.random.default_rng(2))[0]
    blocks, size = blocked(series)
    assert (len(blocks), size) == (MOST_BLOCKS, 5)
    mean, stderr, inefficiency = mean_and_error(series, np.ones(len(series)))
    assert mean == pytest.approx(series.mean())
    assert stderr == pytest.approx(np.sqrt(19.0 / len(series)), rel=0.1)
    assert inefficiency == pytest.approx(19.0, rel=0.2)


def test_weights_give_the_error_of_a_ratio() -> None:
    """Against the scatter of 400 weighted means themselves, the weights correlated with the values."""
    random = np.random.default_rng(3)
    values = random.normal(size=(400, 300))
    weights = np.exp(0.4 * values + 0.5 * random.normal(size=values.shape))
    found = np.array([mean_and_error(one, weight)[:2] for one, weight in zip(values, weights, strict=True)])
    assert found[:, 0] == pytest.approx((values * weights).sum(axis=1) / weights.sum(axis=1))
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.08)


def test_equal_weights_change_nothing() -> None:
    series = autoregressive(200, 0.5, np.random.default_rng(4))[0]
    assert mean_and_error(series, np.full(200, 7.0)) == pytest.approx(mean_and_error(series, np.ones(200)))


def test_what_is_not_in_equilibrium_is_left_out_and_said() -> None:
    random = np.random.default_rng(6)
    series = random.normal(size=300) + 30.0 * np.exp(-np.arange(300) / 10.0)
    first = settled_from(series)
    assert 24 <= first <= 100  # exp(-24/10) · 30 = 2.7: the drift sinks into the noise there
    result = estimate(SOURCE, series, np.ones(300))
    assert (result.equilibration, result.detected) == (first, first)
    assert abs(result.mean) < 3 * result.stderr
    short = estimate(SOURCE, series, np.ones(300), equilibration=5)
    (warning,) = (one for one in short.warnings if "settles" in one)
    assert f"settles only at row {first}" in warning
    assert f"{result.mean:.4f} eV" in warning


def test_a_series_that_drifts_to_its_end_is_said() -> None:
    noise = np.random.default_rng(0).normal(size=2000)
    assert estimate(SOURCE, noise, np.ones(2000)).warnings == ()
    (warning,) = estimate(SOURCE, noise + np.linspace(0.0, 0.5, 2000), np.ones(2000)).warnings
    assert "it still drifts" in warning
    (warning,) = estimate(SOURCE, noise + np.linspace(0.0, 4.0, 2000), np.ones(2000)).warnings
    assert "settles only in its second half" in warning


def test_few_independent_samples_are_a_warning() -> None:
    series = np.random.default_rng(8).normal(size=18)
    result = estimate(SOURCE, series, np.ones(18), equilibration=0)
    assert result.independent < 20
    assert "itself uncertain by" in result.warnings[0]


@pytest.mark.parametrize(
    ("series", "equilibration", "sentence"),
    [
        (np.arange(8.0), None, "8 of 8 rows are left"),
        (np.arange(30.0), 25, "5 of 30 rows are left after 25"),
        (np.arange(30.0), 50, "0 of 30 rows are left after 50"),
        (np.full(30, -1.5), None, "all rows hold -1.5"),
        (np.arange(30.0), 0, "independent samples, and no error can be told"),
    ],
    ids=["short", "equilibration", "all-equilibration", "constant", "correlated"],
)
def test_no_error_is_made_up(series: np.ndarray, equilibration: int | None, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as error:
        estimate(SOURCE, series, np.ones(len(series)), equilibration=equilibration)
    assert str(error.value).startswith("a.dat: ")


def test_independent_estimates_add_in_quadrature() -> None:
    random = np.random.default_rng(9)
    one, two = (estimate(SOURCE, random.normal(size=100) + k, np.ones(100), equilibration=0) for k in range(2))
    mean, stderr = combined([one, two], [3.0, 1.0])
    assert mean == pytest.approx(0.75 * one.mean + 0.25 * two.mean)
    assert stderr == pytest.approx(np.hypot(0.75 * one.stderr, 0.25 * two.stderr))
