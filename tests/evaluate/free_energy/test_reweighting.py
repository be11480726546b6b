"""Reweighting: exact where it is accepted, refused where a window has too few effective samples left."""

import numpy as np
import pytest

from rung.evaluate.free_energy.analysis import AnalysisSettings, analyse
from rung.evaluate.free_energy.reweighting import Region, ReweightingSettings, kish, reweight
from tests.evaluate.free_energy.umbrella_worlds import TEMPERATURE, THERMAL, World
from tests.evaluate.series import correlated

WORLD = World()
SETTINGS = ReweightingSettings(resamples=60)


def sampled(samples, seed=0):
    windows = WORLD.windows(np.random.default_rng(seed), samples=samples)
    return windows, analyse(windows, TEMPERATURE, AnalysisSettings(transition_state=0.03))


def reweighted(windows, found, change, inefficiency=1.0):
    chosen = {window.index: np.arange(len(window.frames)) for window in windows}
    changes = {window.index: np.atleast_2d(change(window.frames[:, 0])) for window in windows}
    region = Region(found.barrier.transition_state, 0.25, low=True)
    counts = {window.index: inefficiency for window in windows}
    return reweight(windows, found.free_energies, changes, chosen, TEMPERATURE, region, SETTINGS, counts)


def across(strength):
    """ΔU = a y exp(−ξ²/0.18), a transverse pull at the top alone: there F falls by a²/2k, and sd(βΔU) is given."""
    pull = strength * THERMAL / np.sqrt(THERMAL / WORLD.stiffness)
    return lambda places: pull * np.exp(-(places[:, 0] ** 2) / 0.18) * places[:, 1]


def truth(strength, region_top=0.03, width=0.25):
    """Change of −kT ln[p(near the top)/p(basin)] when F falls by ½ kT s² g(ξ)²."""

    def gain(x):
        return np.exp(0.5 * strength**2 * np.exp(-2 * x**2 / 0.18))

    low, high = region_top - width / 2, region_top + width / 2
    top = WORLD.integral(low, high, gain) / WORLD.integral(low, high)
    basin = WORLD.integral(-9, region_top, gain) / WORLD.integral(-9, region_top)
    return -THERMAL * np.log(top / basin)


@pytest.mark.parametrize(("strength", "samples"), [(0.5, 400), (1.0, 400), (2.0, 6000)])
def test_it_is_right_where_it_is_accepted(strength, samples):
    windows, found = sampled(samples)
    result = reweighted(windows, found, across(strength))
    assert result.reason == ""
    assert result.spread.max() == pytest.approx(strength, rel=0.15)
    assert result.effective.min() > 50
    assert result.stderr[0] < 0.3 * THERMAL
    assert abs(result.change[0] - truth(strength)) < 3 * result.stderr[0]


@pytest.mark.parametrize(("strength", "samples"), [(4.0, 6000), (2.0, 300)])
def test_it_is_refused_where_few_samples_are_left(strength, samples):
    windows, found = sampled(samples)
    result = reweighted(windows, found, across(strength))
    assert np.isnan(result.change).all()
    assert result.effective.min() < 50
    assert "Reweighting is refused for 1 of 1 surface:" in result.reason
    assert np.isfinite(result.first_order).all()


def test_several_surfaces_are_judged_each_for_itself():
    windows, found = sampled(400)
    result = reweighted(windows, found, lambda places: np.array([across(s)(places) for s in (0.5, 4.0)]))
    assert np.isfinite(result.change[0])
    assert np.isnan(result.change[1])
    assert "1 of 2 surfaces" in result.reason
    assert result.entry().surfaces == 2


def test_a_constant_changes_nothing_and_a_step_all_of_it():
    windows, found = sampled(200)
    constant = reweighted(windows, found, lambda places: np.full(len(places), 0.3))
    assert constant.change[0] == pytest.approx(0.0, abs=1e-12)
    assert constant.first_order[0] == pytest.approx(0.0, abs=1e-12)
    assert constant.stderr[0] == pytest.approx(0.0, abs=1e-12)
    assert constant.effective.min() == pytest.approx(200)
    # the basin is far below ξ = −0.3, the top above: the whole step is the change
    step = reweighted(windows, found, lambda places: np.where(places[:, 0] > -0.3, 0.02, 0.0))
    assert step.change[0] == pytest.approx(0.02, abs=1e-3)
    assert step.first_order[0] == pytest.approx(0.02, abs=1e-3)


def test_structures_that_are_alike_count_as_fewer():
    """An energy change that follows its own course in time has the spread over runs that is said."""
    changes, errors = [], []
    windows, found = sampled(500)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        chosen = {window.index: np.arange(500) for window in windows}
        drifting = {window.index: 0.5 * THERMAL * correlated(500, 0.9, rng)[None] for window in windows}
        region = Region(found.barrier.transition_state, 0.25, low=True)
        counts = dict.fromkeys(chosen, 19.0)
        told = reweight(windows, found.free_energies, drifting, chosen, TEMPERATURE, region, SETTINGS, counts)
        changes.append(told.change[0])
        errors.append(told.stderr[0])
    assert np.mean(errors) == pytest.approx(np.std(changes, ddof=1), rel=0.4)


def test_a_few_structures_far_apart_are_independent():
    """Those of a target are labelled here and there: of 500 samples every 25th, where 19 count as one."""
    windows, found = sampled(500)
    chosen = {window.index: np.arange(0, 500, 5) for window in windows}
    rng = np.random.default_rng(0)
    changes = {index: 0.3 * THERMAL * rng.normal(size=(1, 100)) for index in chosen}
    region = Region(found.barrier.transition_state, 0.25, low=True)
    errors = [
        reweight(
            windows, found.free_energies, changes, chosen, TEMPERATURE, region, SETTINGS, dict.fromkeys(chosen, g)
        ).stderr[0]
        for g in (1.0, 5.0, 20.0)
    ]
    assert errors[0] == errors[1]
    assert errors[2] == pytest.approx(2.0 * errors[0], rel=0.3)


def test_kish_counts():
    assert kish(np.zeros(7)) == pytest.approx(7)
    assert kish(np.array([0.0, -1e9])) == pytest.approx(1)
    assert kish(np.log([1.0, 3.0])) == pytest.approx(16 / 10)
    assert kish(np.zeros(0)) == 0
