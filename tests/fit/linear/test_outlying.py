"""A wrong label is named, good ones are not, and few labels say nothing."""

import numpy as np
import pytest

from rung.fit.linear.outlying import outlying


def labels(n, seed=0):
    return [f"frame-{k}" for k in range(n)], np.random.default_rng(seed).normal(scale=0.1, size=n), np.full(n, 0.01)


@pytest.mark.parametrize("seed", range(20))
def test_normal_errors_are_not_named(seed):
    assert outlying(*labels(100, seed)) == ()


def test_a_wrong_label_is_named_though_it_widens_all_bars():
    names, error, variance = labels(40)
    error[7] = -5.0
    (sentence,) = outlying(names, error, variance + 0.6)
    assert "frame-7 by -5 eV" in sentence and "frame-8" not in sentence


def test_a_label_of_a_large_error_of_its_own_is_not():
    names, error, variance = labels(40)
    error[7], variance[7] = -5.0, 25.0
    assert outlying(names, error, variance) == ()


def test_the_farthest_of_many_are_named_and_the_others_counted():
    names, error, variance = labels(60)
    error[:5] = [10.0, 20.0, 30.0, 40.0, 50.0]
    (sentence,) = outlying(names, error, variance)
    assert "frame-4 by +50 eV, frame-3 by +40 eV, frame-2 by +30 eV and 2 more" in sentence


def test_few_labels_and_unknown_ones_say_nothing():
    names, error, variance = labels(9)
    error[0] = 50.0
    assert outlying(names, error, variance) == ()
    names, error, variance = labels(20)
    error[0], variance[0] = 50.0, np.nan
    assert outlying(names, error, variance) == ()
