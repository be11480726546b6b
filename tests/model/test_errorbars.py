"""Variances of what is linear in the parameters, written out, and infinite where no label identifies them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.errors import ConfigError
from rung.model.errorbars import EnergyVariance, linear_covariance, unidentified, variance_of_sum
from rung.model.posterior import Posterior

SIZE = 5
GRADIENTS = np.random.default_rng(2).normal(size=(3, SIZE))
"""Of three quantities; none but the last depends on the last parameter."""
GRADIENTS[:2, -1] = 0.0


def posterior(*, random: bool = True, unknown: bool = True) -> Posterior:
    root = np.random.default_rng(1).normal(size=(SIZE, SIZE))
    return Posterior(
        parameters=(*"abcd", "E0[8]"),
        mean=np.zeros(SIZE),
        covariance=root @ root.T,
        unidentified=np.eye(SIZE)[-1:] if unknown else np.zeros((0, SIZE)),
        model_error=0.3,
        force_error=0.1,
        model_covariance=0.5 * root @ root.T if random else None,
    )


def test_what_no_label_identifies_has_infinite_rows_and_columns() -> None:
    assert [unidentified(gradient, posterior()) for gradient in GRADIENTS] == [False, False, True]
    assert not any(unidentified(gradient, posterior(unknown=False)) for gradient in GRADIENTS)
    covariance = linear_covariance(GRADIENTS, posterior())
    assert_allclose(covariance[:2, :2], GRADIENTS[:2] @ posterior().covariance @ GRADIENTS[:2].T, rtol=1e-12)
    assert np.isinf(covariance[2]).all() and np.isinf(covariance[:, 2]).all()


def test_a_part_of_rounding_size_along_an_unknown_direction_is_none() -> None:
    nearly = GRADIENTS[0] + 1e-12 * np.eye(SIZE)[-1]
    assert not unidentified(nearly, posterior())
    assert unidentified(GRADIENTS[0] + 1e-6 * np.eye(SIZE)[-1], posterior())


def test_the_smooth_part_of_the_models_own_error_is_a_covariance_over_the_parameters() -> None:
    known = posterior(unknown=False)
    with_error = linear_covariance(GRADIENTS, known, model_error=True)
    expected = GRADIENTS @ (known.covariance + known.model_covariance) @ GRADIENTS.T
    assert_allclose(with_error, expected, rtol=1e-12)
    bare = posterior(random=False, unknown=False)
    assert_allclose(linear_covariance(GRADIENTS, bare, model_error=True), linear_covariance(GRADIENTS, bare))


def test_the_variance_of_a_sum_is_that_of_its_gradient_and_of_the_environments_left_over() -> None:
    apart = GRADIENTS[0] - GRADIENTS[1]
    variance = variance_of_sum(apart, 7.0, posterior())
    assert variance.weights == pytest.approx(apart @ posterior().covariance @ apart, rel=1e-12)
    assert variance.smooth == pytest.approx(0.5 * variance.weights, rel=1e-12)
    assert variance.rough == pytest.approx(7.0 * 0.09, rel=1e-12)
    assert variance.total == pytest.approx(variance.weights + variance.smooth + variance.rough, rel=1e-12)
    half = variance_of_sum(apart, 7.0, replace(posterior(), rough_error=0.2))
    assert half.rough == pytest.approx(7.0 * 0.04, rel=1e-12)
    infinite = variance_of_sum(GRADIENTS[2], 7.0, posterior())
    assert np.isinf([infinite.weights, infinite.smooth, infinite.rough]).all()


def test_the_error_of_a_sum_is_of_the_kind_asked_for() -> None:
    variance = EnergyVariance(weights=4.0, smooth=9.0, rough=3.0)
    assert (variance.stderr("none"), variance.stderr("total"), variance.stderr()) == (2.0, 4.0, 4.0)
    with pytest.raises(ConfigError, match="'larger'"):
        variance.stderr("larger")  # type: ignore[arg-type]
