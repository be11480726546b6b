"""The error of labels for which nobody stated one: found where it can be told; no label with an error is touched."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.data.energy_table import EnergyRow, EnergyTable
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fit.lift import FitResult
from rung.fit.linear.terms import Energies, EnergyPairs, WeightPrior, assemble
from rung.fit.methods.readout import ReadoutSettings, fit_readout, gather
from tests.fit.lifts import lift_of
from tests.fit.linear.test_grouped import grouped_world
from tests.fit.pair_world import CONTEXT, geometries, labelled, pair_base, truth

BASE = pair_base()


def settings(label_error: float | str, **more: float | str) -> ReadoutSettings:
    return ReadoutSettings(terms=(Energies(label_error=label_error, **more), WeightPrior()))


def frames(sigma: float, count: int = 60) -> list[Structure]:
    """Return labels with an error that nobody states."""
    return [hidden(frame) for frame in labelled(geometries(count), BASE, truth(BASE), count, sigma)]


def hidden(frame: Structure) -> Structure:
    return replace(frame, labels={"high": replace(frame.labels["high"], energy_stderr=np.nan)})


def fit(train: Sequence[Structure], chosen: ReadoutSettings) -> FitResult:
    return fit_readout(lift_of(train, BASE), chosen, CONTEXT)


@pytest.mark.parametrize("sigma", [2e-3, 2e-2])
def test_an_error_that_nobody_stated_is_found_where_the_model_has_none(sigma: float) -> None:
    result = fit(frames(sigma), settings("auto", model_error=1e-5))
    assert result.diagnostics["label_error"] == pytest.approx(sigma, rel=0.5)
    (row,) = [one for one in result.details.hyperparameters if one.name == "label_error"]
    assert row.low < result.diagnostics["label_error"] < 1.5 * row.high
    assert any("60 labels carry no energy_stderr: evidence gives each" in sentence for sentence in result.warnings)
    assert not any("count as exact" in sentence for sentence in result.warnings)


def test_labels_that_are_exact_get_almost_none() -> None:
    result = fit(frames(0.0), settings("auto"))
    assert result.diagnostics["label_error"] < 5e-4


def test_labels_with_an_error_are_not_touched() -> None:
    train = labelled(geometries(20), BASE, truth(BASE), 20, 0.01)
    plain, asked = fit(train, settings(0.0)), fit(train, settings("auto"))
    assert_allclose(asked.posterior.mean, plain.posterior.mean, rtol=0, atol=0)
    assert_allclose(asked.posterior.covariance, plain.posterior.covariance, rtol=0, atol=0)
    assert "label_error" not in asked.diagnostics


def test_a_number_is_the_error_of_those_that_have_none() -> None:
    stated = labelled(geometries(12), BASE, truth(BASE), 12, 0.02)
    few = [hidden(frame) if k % 3 else frame for k, frame in enumerate(stated)]
    assert_allclose(fit(few, settings(0.02)).posterior.mean, fit(stated, settings(0.0)).posterior.mean, rtol=1e-9)


def test_a_difference_of_two_such_labels_has_the_error_of_both() -> None:
    train = frames(0.0, 8)
    table = EnergyTable(
        (EnergyRow("cell-2", "high", 0.1, minus="cell-0"), EnergyRow("cell-3", "high", 0.1, 0.01, minus="cell-1"))
    )
    problem = gather(replace(lift_of(train, BASE), table=table), settings("auto"), CONTEXT)
    assert_allclose(problem.exact, [1, 1, 1, 1, 1, 1, 1, 1, 2, 0])
    named = (Energies(label_error="auto"), EnergyPairs(pairs=(("cell-2", "cell-0"),)), WeightPrior())
    paired = assemble(named, gather(lift_of(train, BASE), settings("auto"), CONTEXT))
    assert_allclose(paired.exact, np.diag([1, 1, 1, 1, 1, 1, 2]))


def test_grouped_energies_take_the_same_variance() -> None:
    world, model = grouped_world()
    full, grouped = world.model.data, model.data
    more = np.linspace(0.0, 1.0, len(grouped))
    assert_allclose(
        grouped.with_variance(more).covariance(0.1), full.with_variance(more).covariance(0.1), rtol=1e-12, atol=1e-12
    )


def test_a_negative_error_is_refused() -> None:
    with pytest.raises(ConfigError, match="label_error must be 0 or more eV, or auto"):
        fit(frames(0.0, 4), settings(-0.1))
