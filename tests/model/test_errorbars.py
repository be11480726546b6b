"""Variances of what is linear in the parameters, written out, and infinite where no label identifies them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.errors import ConfigError, ModelError
from rung.model.errorbars import (
    DifferenceVariance,
    linear_covariance,
    model_error_covariance,
    unidentified,
    variance_of_difference,
)
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


def test_the_models_own_error_counts_by_kind() -> None:
    sizes = np.array([2.0, 3.0, 4.0])
    assert not model_error_covariance(GRADIENTS, sizes, posterior(), "none").any()
    assert_allclose(model_error_covariance(GRADIENTS, sizes, posterior(), "independent"), np.diag(sizes * 0.09))
    expected = GRADIENTS @ posterior().model_covariance @ GRADIENTS.T
    assert_allclose(model_error_covariance(GRADIENTS, sizes, posterior(), "correlated"), expected, rtol=1e-12)
    with pytest.raises(ModelError, match="'independent'"):
        model_error_covariance(GRADIENTS, sizes, posterior(random=False), "correlated")
    with pytest.raises(ConfigError, match="'all'"):
        model_error_covariance(GRADIENTS, sizes, posterior(), "all")  # type: ignore[arg-type]


def test_the_variance_of_a_difference_is_that_of_its_gradient() -> None:
    apart = GRADIENTS[0] - GRADIENTS[1]
    variance = variance_of_difference(apart, 7.0, posterior())
    assert variance.weights == pytest.approx(apart @ posterior().covariance @ apart, rel=1e-12)
    assert variance.correlated == pytest.approx(1.5 * variance.weights, rel=1e-12)
    assert variance.independent == pytest.approx(variance.weights + 7.0 * 0.09, rel=1e-12)
    assert variance.headline == max(variance.correlated, variance.independent)
    infinite = variance_of_difference(GRADIENTS[2], 7.0, posterior())
    assert np.isinf([infinite.weights, infinite.correlated, infinite.independent]).all()


def test_the_error_of_a_difference_is_of_the_kind_asked_for() -> None:
    variance = DifferenceVariance(weights=1.0, correlated=9.0, independent=4.0)
    assert [variance.stderr(kind) for kind in ("none", "independent", "correlated", "larger")] == [1.0, 2.0, 3.0, 3.0]
    assert variance.stderr() == 3.0
    without = variance_of_difference(GRADIENTS[0], 1.0, posterior(random=False))
    assert np.isnan(without.correlated) and without.headline == without.independent
    with pytest.raises(ModelError, match="'independent'"):
        without.stderr("correlated")
    with pytest.raises(ConfigError, match="'larger'"):
        without.stderr("larges")  # type: ignore[arg-type]
