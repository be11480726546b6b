"""Draws that gave the same are one draw, within each fold."""

from math import isnan

import pytest

from rung.evaluate.draws import distinct, moments


def test_draws_that_are_the_same_are_one_draw() -> None:
    same = {(seed, 0): 7.0 for seed in range(3)}
    assert distinct(same) == {(0, 0): 7.0}
    one = moments(same)
    assert (one.mean, one.n) == (7.0, 1)
    assert isnan(one.spread)


def test_seeds_that_are_the_same_in_every_fold_leave_the_folds_as_draws() -> None:
    values = {(seed, fold): 10.0 * (1 + fold) for seed in range(3) for fold in range(2)}
    assert distinct(values) == {(0, 0): 10.0, (0, 1): 20.0}
    one = moments(values)
    assert (one.mean, one.n) == (15.0, 2)
    assert one.spread == pytest.approx(50**0.5)


def test_draws_that_differ_all_count_and_unknown_ones_do_not() -> None:
    one = moments({(0, 0): 1.0, (1, 0): 3.0, (2, 0): float("nan")})
    assert (one.mean, one.n) == (2.0, 2)
    assert isnan(moments({}).mean)
