import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rung.doctor.slopes import (
    ENERGY_UNITS,
    explanations,
    slope_through_zero,
    slope_within_groups,
    thinned_pairs,
    weighted_median,
)

sizes = st.integers(1, 30)
numbers = st.floats(-100, 100).filter(lambda value: abs(value) > 1e-3)


@settings(max_examples=100, deadline=None)
@given(st.data(), sizes)
def test_the_slope_is_the_line_of_least_absolute_error(data, n):
    x, y = data.draw(arrays(float, n, elements=numbers)), data.draw(arrays(float, n, elements=numbers))
    slope = slope_through_zero(x, y)

    def error(value):
        return np.abs(y - value * x).sum()

    best = min(error(ratio) for ratio in y / x)  # a minimum of a sum of |y - b x| lies at one of the ratios
    assert error(slope.value) <= best * (1 + 1e-12) + 1e-12


def test_the_weighted_median_halves_the_weight():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0])) == 2.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([9.0, 1.0, 5.0])) == 3.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
def test_offsets_of_groups_do_not_count(seed, factor, offsets):
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 3, 60)
    x = generator.normal(size=60)
    y = factor * x + np.array(offsets)[groups]
    slope = slope_within_groups(x.tolist(), y.tolist(), groups.tolist())
    assert slope.value == pytest.approx(factor, rel=1e-4, abs=1e-6)
    assert slope.n == 60 - len(set(groups)) and slope.agreement > 0.99


def test_a_third_of_wild_points_does_not_turn_the_slope():
    generator = np.random.default_rng(0)
    x = generator.normal(size=300)
    y = 0.8 * x
    y[:90] = generator.normal(0, 100.0, 90)
    assert slope_through_zero(x, y).value == pytest.approx(0.8, abs=0.02)
    assert np.polyfit(x, y, 1)[0] != pytest.approx(0.8, abs=0.5)  # what least squares makes of it


def test_noise_has_no_slope():
    generator = np.random.default_rng(0)
    assert not slope_through_zero(generator.normal(size=200), generator.normal(size=200)).is_sure
    assert not slope_through_zero([1.0, 2.0], [1.0, 2.0]).is_sure  # two points are too few
    assert not slope_through_zero([], []).is_sure
    assert not slope_through_zero([np.nan, 0.0, np.inf], [1.0, 1.0, 1.0]).is_sure


def test_large_groups_are_thinned_and_agree():
    generator = np.random.default_rng(0)
    x = generator.normal(size=3000)
    slope = slope_within_groups(x.tolist(), (2.5 * x + 7).tolist(), [0] * 3000)
    assert slope.value == pytest.approx(2.5) and slope.n == 2999


@pytest.mark.parametrize(("unit", "size"), ENERGY_UNITS.items())
def test_units_explain_slopes_both_ways(unit, size):
    assert explanations(0.9 / size, "low", "high", ENERGY_UNITS).startswith(f"high in {unit}")
    assert explanations(0.9 * size, "low", "high", ENERGY_UNITS).split(" or ")[0] in {
        f"low in {name}" for name in ENERGY_UNITS
    } | {f"high in {name}" for name in ENERGY_UNITS}
    assert f"low in {unit}" in explanations(size, "low", "high", ENERGY_UNITS)
    assert "low" not in explanations(size, "", "high", ENERGY_UNITS)


def test_no_unit_explains_a_slope_of_one():
    assert explanations(1.0, "low", "high", ENERGY_UNITS) == ""
    assert explanations(0.3, "low", "high", ENERGY_UNITS) == ""


@pytest.mark.parametrize("count", [1, 7, 10_000])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 40, 301])
def test_thinned_pairs_are_those_of_the_whole_list(size, count):
    first, second = np.triu_indices(size, 1)
    thin = slice(None, None, 1 + len(first) // count)
    one, other = thinned_pairs(size, count)
    assert (one == first[thin]).all() and (other == second[thin]).all()


def test_pairs_of_many_members_are_never_all_formed():
    first, second = thinned_pairs(2_000_000, 100)  # all of them would take 32 terabytes
    assert 90 <= len(first) <= 100 and (first < second).all() and second.max() < 2_000_000
