"""Profiles, barriers and rates of windows whose truth is known, and what is refused."""

import sys

import numpy as np
import pytest
from ase.units import fs

from rung.errors import DataError
from rung.evaluate.free_energy.analysis import AnalysisSettings, analyse
from rung.evaluate.free_energy.mbar import independent_samples, pymbar, solve, statistical_inefficiency
from rung.units import PLANCK
from tests.evaluate.free_energy.umbrella_worlds import MASS, TEMPERATURE, THERMAL, World

WORLD = World()


@pytest.fixture(scope="module")
def found():
    return analyse(WORLD.windows(np.random.default_rng(0), samples=2000), TEMPERATURE, AnalysisSettings())


def test_profile_and_barrier_are_the_exact_ones(found):
    barrier, profile = found.barrier, found.profile
    assert found.reason == ""
    width = profile.coordinate[1] - profile.coordinate[0]
    top = barrier.transition_state
    basin, product = WORLD.integral(-9, top), WORLD.integral(top, 9)
    assert top == pytest.approx(0.03, abs=0.06)  # of 4 h x (x² − 1) + t = 0
    exact = -THERMAL * np.log(WORLD.density(top, width) / basin)
    assert abs(barrier.barrier - exact) < 3 * barrier.barrier_stderr < 0.03
    assert abs(barrier.reaction + THERMAL * np.log(product / basin)) < 3 * barrier.reaction_stderr < 0.03
    assert barrier.reverse == pytest.approx(barrier.barrier - barrier.reaction, abs=1e-10)
    assert np.nanmin(profile.free_energy) == 0.0


def test_the_rate_is_the_textbooks(found):
    """K = √(kT/2πm) e^(−βF(ξ‡)) / ∫_R e^(−βF) dξ of one particle of mass m."""
    barrier = found.barrier
    width = found.profile.coordinate[1] - found.profile.coordinate[0]
    flux = np.sqrt(THERMAL / (2 * np.pi * MASS)) * fs * 1e15  # Å/s
    exact = flux * WORLD.density(barrier.transition_state, width) / WORLD.integral(-9, barrier.transition_state)
    assert abs(np.log(barrier.rate / exact)) < 3 * barrier.rate_log_stderr < 0.6
    assert barrier.mean_speed == pytest.approx(1 / np.sqrt(MASS), rel=1e-9)
    # the same from the barrier: k = √(kT/2π) ⟨speed⟩ e^(−βΔF‡)/ℓ0
    assert barrier.rate == pytest.approx(flux * np.exp(-barrier.barrier / THERMAL), rel=1e-9)
    assert barrier.activation == pytest.approx(-THERMAL * np.log(PLANCK * barrier.rate / THERMAL), abs=1e-12)


def test_a_harmonic_well_has_vineyards_rate():
    """A parabola that is cut: k = ω/2π e^(−βΔE), with no anharmonicity but the cut's."""
    stiffness, cut = 1.5, 0.7

    class Parabola(World):
        def floor(self, x):
            return 0.5 * stiffness * np.minimum(x, 2 * cut - x) ** 2

    windows = Parabola().windows(np.random.default_rng(1), samples=3000, centres=np.linspace(-0.6, 1.8, 13), spring=6.0)
    barrier = analyse(windows, TEMPERATURE, AnalysisSettings(transition_state=cut, bins=150)).barrier
    frequency = np.sqrt(stiffness / MASS) / (2 * np.pi) * fs * 1e15
    exact = frequency * np.exp(-0.5 * stiffness * cut**2 / THERMAL)
    assert abs(np.log(barrier.rate / exact)) < 3 * barrier.rate_log_stderr < 1.0


def test_the_unit_length_and_the_side_do_what_they_say(found):
    windows = WORLD.windows(np.random.default_rng(0), samples=2000)
    other = analyse(windows, TEMPERATURE, AnalysisSettings(length=0.1)).barrier
    assert other.barrier - found.barrier.barrier == pytest.approx(-THERMAL * np.log(0.1), abs=1e-10)
    assert other.rate == pytest.approx(found.barrier.rate, rel=1e-10)
    back = analyse(windows, TEMPERATURE, AnalysisSettings(reactant="high")).barrier
    assert back.barrier == pytest.approx(found.barrier.reverse, abs=1e-10)
    assert back.reaction == pytest.approx(-found.barrier.reaction, abs=1e-10)


def test_error_bars_cover_over_seeds():
    scores, profile_scores = [], []
    for seed in range(40):
        found = analyse(WORLD.windows(np.random.default_rng(seed), samples=120), TEMPERATURE, AnalysisSettings(bins=24))
        barrier, profile = found.barrier, found.profile
        width = profile.coordinate[1] - profile.coordinate[0]
        basin = WORLD.integral(-9, barrier.transition_state)
        exact = -THERMAL * np.log(WORLD.integral(barrier.transition_state, 9) / basin)
        scores.append((barrier.reaction - exact) / barrier.reaction_stderr)
        # the same zero for both: the reactant's basin, from the barrier
        place = np.nanargmin(np.abs(profile.coordinate - barrier.transition_state))
        inner = slice(place - 6, place + 7)
        truth = [-THERMAL * np.log(WORLD.density(x, width) / basin) for x in profile.coordinate[inner]]
        shift = barrier.barrier - np.interp(barrier.transition_state, profile.coordinate, profile.free_energy)
        profile_scores.extend((profile.free_energy[inner] + shift - truth) / profile.stderr[inner])
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.4
    assert np.mean(np.abs(scores) < 2) > 0.85
    assert 0.7 < np.sqrt(np.mean(np.square(profile_scores))) < 1.4


def test_averages_and_their_covariance_are_pymbars():
    windows = WORLD.windows(np.random.default_rng(2), samples=60)
    values = np.concatenate([window.values for window in windows])
    biases = np.array([0.5 * w.spring * (values - w.centre) ** 2 / THERMAL for w in windows])
    counts = np.full(len(windows), 60)
    mixture = solve(biases, counts)
    functions = np.array([np.exp(-(values**2)), 1.0 + values**2])
    logs, covariance = mixture.log_averages(np.vstack([functions, np.ones_like(values)]))
    reference = pymbar().MBAR(biases, counts, solver_protocol="robust")
    wanted = reference.compute_multiple_expectations(functions, np.zeros_like(values), compute_covariance=True)
    np.testing.assert_allclose(np.exp(logs[:2] - logs[2]), wanted["mu"], rtol=1e-6)
    errors = [covariance[i, i] + covariance[2, 2] - 2 * covariance[i, 2] for i in range(2)]
    np.testing.assert_allclose(np.sqrt(errors) * wanted["mu"], wanted["sigma"], rtol=1e-4)
    np.testing.assert_allclose(mixture.overlap, reference.compute_overlap()["matrix"], atol=1e-6)
    np.testing.assert_allclose(mixture.overlap.sum(axis=1), 1.0, atol=1e-6)


def test_jax_is_left_alone():
    pymbar()
    assert "jax" not in sys.modules


def test_equilibration_and_correlation_are_found():
    rng = np.random.default_rng(0)
    series = np.zeros(4000)
    for step in range(1, 4000):
        series[step] = 0.9 * series[step - 1] + rng.normal()
    assert statistical_inefficiency(series) == pytest.approx(19.0, rel=0.25)  # (1 + ρ)/(1 − ρ)
    start = np.concatenate([np.linspace(60, 0, 400), np.zeros(3600)])
    first, inefficiency = independent_samples(series + start)
    assert 200 <= first <= 700
    assert inefficiency == pytest.approx(19.0, rel=0.5)


def test_windows_that_do_not_overlap_have_no_barrier():
    windows = WORLD.windows(np.random.default_rng(0), samples=100, centres=[-1.2, -0.9, 0.9, 1.2], spring=10.0)
    found = analyse(windows, TEMPERATURE, AnalysisSettings())
    assert found.barrier is None
    assert "Windows 1 and 2, at -0.9 and 0.9, do not overlap" in found.reason
    assert len(found.windows) == 4


def test_a_start_at_the_neighbours_centre_is_no_overlap():
    """What is left out before equilibrium joins nothing; the equations have no solution, and were solved for hours."""
    windows = WORLD.windows(np.random.default_rng(0), samples=300, centres=[-1.2, 0.0, 1.2], spring=400.0)
    for window, start in zip(windows, (0.0, 1.2, 0.0), strict=True):
        window.values[0] = start
    found = analyse(windows, TEMPERATURE, AnalysisSettings())
    assert found.barrier is None and "Windows 0 and 1, at -1.2 and 0, do not overlap" in found.reason


@pytest.mark.parametrize("place", [-5.0, 9.0])
@pytest.mark.parametrize("bins", [8, 60])
def test_a_transition_state_that_was_not_sampled_is_refused(place, bins):
    windows = WORLD.windows(np.random.default_rng(0), samples=200)
    with pytest.raises(DataError, match="lies outside what the windows sampled"):
        analyse(windows, TEMPERATURE, AnalysisSettings(transition_state=place, bins=bins))


def test_a_broken_window_and_few_samples_are_named():
    windows = WORLD.windows(np.random.default_rng(0), samples=100)
    windows[3] = type(windows[3])(**{**vars(windows[3]), "reason": "after 12 steps atoms 0 and 1 are 0.20 Å apart"})
    assert analyse(windows, TEMPERATURE, AnalysisSettings()).reason == (
        "Window 3 at -0.75 broke: after 12 steps atoms 0 and 1 are 0.20 Å apart."
    )
    few = WORLD.windows(np.random.default_rng(0), samples=4)
    assert "has 4 independent samples" in analyse(few, TEMPERATURE, AnalysisSettings()).reason


def test_a_profile_without_a_top_says_so():
    windows = WORLD.windows(np.random.default_rng(0), samples=200, centres=np.linspace(-1.4, -0.5, 5))
    found = analyse(windows, TEMPERATURE, AnalysisSettings())
    assert found.barrier is None
    assert "no top" in found.reason
    assert np.isfinite(found.profile.stderr).any()


def test_thin_overlap_and_few_samples_warn():
    rng = np.random.default_rng(0)
    thin = WORLD.windows(rng, samples=400, centres=np.linspace(-1.4, 1.4, 13), spring=20.0)
    assert "overlap by less than 0.03" in " ".join(analyse(thin, TEMPERATURE, AnalysisSettings()).warnings)
    few = analyse(WORLD.windows(rng, samples=45), TEMPERATURE, AnalysisSettings()).warnings
    assert "13 of 13 windows have fewer than 50 independent samples" in " ".join(few)


def test_a_basin_that_the_windows_cut_off_is_named(found):
    assert not [sentence for sentence in found.warnings if "cut off" in sentence]
    windows = WORLD.windows(np.random.default_rng(0), samples=400, centres=np.linspace(-1.4, 0.5, 10))
    for reactant, basin in (("low", "product"), ("high", "reactant")):
        (sentence,) = analyse(windows, TEMPERATURE, AnalysisSettings(reactant=reactant)).warnings
        assert sentence.startswith(
            f"The profile still falls beyond the last window at 0.5, so the {basin}'s basin is cut"
        )
