"""The walk from a tangent to a curved function that says the same, and the s at which a curvature is s."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.fit.linear.walk import walk, where_equal


def curved(seed: int = 0, count: int = 12, weights: int = 60, bend: float = 0.1):
    """Return rows at zero and a function of the weights with those derivatives and a second order beside them."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, weights))
    bends = random.normal(size=(count, weights, weights)) * bend
    return rows, lambda theta: rows @ theta + np.einsum("nij,i,j->n", bends, theta, theta)


def test_a_curved_function_comes_to_say_what_its_tangent_says():
    rows, function = curved()
    step = 0.3 * np.random.default_rng(1).normal(size=rows.shape[1])
    straight = rows @ step
    assert np.sqrt(np.mean((function(step) - straight) ** 2)) > 0.3
    found = walk(rows @ rows.T, lambda c: straight - function(step + rows.T @ c), 1e-6)
    assert found.remaining <= 1e-6
    assert_allclose(function(step + rows.T @ found.coefficients), straight, atol=1e-5)


def test_a_straight_function_needs_no_walk():
    rows, _ = curved()
    calls = []

    def misfit(coefficients):
        calls.append(coefficients)
        return rows @ rows.T @ -coefficients

    assert walk(rows @ rows.T, misfit, 1e-9).remaining == 0.0
    assert len(calls) == 1


def test_without_rows_nothing_moves():
    found = walk(np.zeros((3, 3)), lambda _: np.full(3, 2.0), 1e-3)
    assert not found.coefficients.any()
    assert found.remaining == 2.0
    assert walk(np.zeros((0, 0)), lambda c: c, 1e-3).remaining == 0.0


def test_where_the_function_breaks_down_the_best_place_is_kept():
    rows, _ = curved()

    def misfit(coefficients):
        return np.full(len(rows), np.nan if coefficients.any() else 0.5)

    found = walk(rows @ rows.T, misfit, 1e-3)
    assert not found.coefficients.any()
    assert found.remaining == 0.5


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_s_is_the_curvature_that_it_leaves(scale):
    """The old loop stopped at the first s above the curvature, here 2.6 times too large."""

    def size(s: float) -> float:
        return scale / (1.0 + 4.0 * s / scale)

    exact = scale * (np.sqrt(17.0) - 1.0) / 8.0
    found = where_equal(size, 0.01 * scale, size(0.01 * scale), rounds=12, near=1.01)
    assert found == pytest.approx(exact, rel=0.01)
    assert size(found) <= found


def test_an_s_that_is_never_large_enough_is_the_upper_end():
    assert where_equal(lambda s: 2.0 * s, 0.1, 0.4) == 0.4
