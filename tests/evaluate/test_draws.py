"""Draws that gave the same are one draw, within each fold."""

from math import isnan, nan

import pytest

from rung.evaluate.draws import distinct, in_order, moments


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


def test_methods_that_lack_draws_come_after_those_that_have_all() -> None:
    values = {
        "all": {(0, 0): 1.0, (1, 0): 9.0},
        "worse": {(0, 0): 2.0, (1, 0): 9.5},
        "none known": {(0, 0): nan, (1, 0): nan},
        "one": {(0, 0): 1.5},
    }
    assert in_order(values) == ["all", "worse", "one", "none known"]
