"""The barrier of noisy energies: the bias of a maximum, what a curve makes of it, and its error bar."""

import numpy as np
import pytest

from rung.errors import DataError
from rung.evaluate.paths.noisy_band import noisy_barrier

PATH = np.linspace(0.0, 3.0, 9)
HILL = 0.9 * (1 - (PATH / 1.5 - 1) ** 4)
"""A broad top: several images compete for the highest."""
NOISE = np.full(9, 0.1)


@pytest.fixture(scope="module")
def repeated():
    rng = np.random.default_rng(0)
    return [noisy_barrier(PATH, HILL + rng.normal(size=9) * NOISE, NOISE) for _ in range(60)]


def mean(found, name):
    values = np.array([getattr(one, name) for one in found])
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def test_the_highest_of_noisy_energies_is_too_high_by_the_bias(repeated):
    height, height_error = mean(repeated, "highest")
    bias, _ = mean(repeated, "bias")
    assert height - 0.9 > 5 * height_error
    # the curve of a fit is rougher than the truth, so fewer images compete on it
    assert 0.5 * (height - 0.9) < bias < 1.1 * (height - 0.9)


def test_the_curve_removes_it(repeated):
    height, _ = mean(repeated, "highest")
    fitted, _ = mean(repeated, "fitted")
    assert abs(fitted - 0.9) < 0.4 * (height - 0.9)
    inside = np.mean([abs(one.fitted - 0.9) < one.fitted_stderr for one in repeated])
    assert abs(inside - 0.68) < 3 * np.sqrt(0.68 * 0.32 / len(repeated))


def test_two_images_have_the_known_bias():
    """E[max(a, b)] = σ/√π for two normal numbers of one mean; a plateau of two images between low ends."""
    energies = np.array([-5.0, 0.0, 0.0, -5.0])
    sigma = 0.2
    found = noisy_barrier(np.arange(4.0), energies, np.full(4, sigma), shape=energies + 3.0)
    assert found.degree == 0
    assert found.bias == pytest.approx(sigma / np.sqrt(np.pi), rel=0.05)


def test_a_curve_through_the_right_shape_is_exact_and_its_bar_lies_between_its_limits():
    sigma = np.array([0.02, 0.05, 0.03, 0.04, 0.02])
    shape = np.array([0.0, 0.4, 1.0, 0.5, 0.1])
    path = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    found = noisy_barrier(path, shape + 0.2 * path, sigma, shape=shape, seed=1)
    assert found.degree == 1
    assert found.fitted + found.fitted_bias == pytest.approx(1.4, abs=1e-9)
    # the slope's variance of a weighted straight line, times the distance of the highest image
    weight = sigma**-2
    centred = path - (weight * path).sum() / weight.sum()
    straight = 2 * np.sqrt(1 / (weight * centred**2).sum())
    assert straight < found.fitted_stderr < found.highest_stderr
    assert found.highest == pytest.approx(1.4)
    assert found.highest_stderr == pytest.approx(np.hypot(0.03, 0.02))


def test_points_are_held_against_the_curve_not_against_the_first_energy():
    energies = HILL + np.array([0.05, *np.zeros(8)])
    found = noisy_barrier(PATH, energies, NOISE, shape=HILL)
    assert found.degree == 0
    assert found.points == pytest.approx(energies - 0.05 / 9)
    assert found.curve == pytest.approx(HILL, abs=1e-12)


@pytest.mark.parametrize(
    ("path", "error", "sentence"),
    [(PATH[:3], NOISE[:3], "four images"), (PATH, 0 * NOISE, "positive error"), (0 * PATH, NOISE, "same")],
)
def test_what_cannot_be_is_refused(path, error, sentence):
    with pytest.raises(DataError, match=sentence):
        noisy_barrier(path, HILL[: len(path)], error)


def test_a_gap_in_the_path_does_not_let_the_curve_swing():
    """H + H2 from 4 Å to the saddle by Monte Carlo: the first step is thirty times the last."""
    path = np.array([0.0, 2.305, 2.633, 2.824, 2.94, 3.029, 3.107])
    energies = np.array([0.0, 0.1273, 0.2321, 0.3158, 0.3885, 0.3987, 0.4034])
    errors = np.array([0.0186, 0.0137, 0.0193, 0.018, 0.0268, 0.0138, 0.0162])
    found = noisy_barrier(path, energies, errors)
    assert abs(found.fitted - 0.403) < found.fitted_stderr < 0.025  # the highest alone has 0.025
    assert np.all(np.diff(found.curve) > 0)
