"""What labels tell is what a Bayesian linear regression says, in any order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.select.gaussian import Knowledge, Label


def made(seed: int = 0, n: int = 7, q: int = 3) -> tuple[np.ndarray, np.ndarray, Knowledge]:
    """Return rows of candidates and of quantities over five parameters of unit variance, and what is known."""
    random = np.random.default_rng(seed)
    rows, asked = random.normal(size=(n, 5)), random.normal(size=(q, 5))
    weights = random.uniform(0.5, 2.0, q)
    return rows, asked, Knowledge(rows @ rows.T, asked @ rows.T, np.sum(asked**2, axis=1), weights)


def test_labels_tell_what_a_regression_says() -> None:
    rows, asked, knowledge = made()
    labels = [Label(2, 0.3, 1.0), Label(5, 0.1, 1.0), Label(0, 1.0, 1.0)]
    seen = rows[[label.candidate for label in labels]]
    noise = np.array([label.stderr**2 for label in labels])
    covariance = np.linalg.inv(np.eye(5) + (seen.T / noise) @ seen)
    after = knowledge.after(labels)
    assert_allclose(after.variance, np.diag(asked @ covariance @ asked.T), rtol=1e-10)
    assert_allclose(after.candidates, rows @ covariance @ rows.T, atol=1e-12)
    assert_allclose(after.cross, asked @ covariance @ rows.T, atol=1e-12)
    again = knowledge.after(labels[:1]).after(labels[1:])
    assert_allclose(again.variance, after.variance, rtol=1e-10)


@pytest.mark.parametrize("stderr", [0.05, 0.5])
def test_a_gain_is_the_loss_that_goes(stderr: float) -> None:
    _, _, knowledge = made(1)
    gains = knowledge.gains(stderr)
    for candidate, gain in enumerate(gains):
        assert_allclose(gain, knowledge.loss - knowledge.after([Label(candidate, stderr, 1.0)]).loss, rtol=1e-9)


def test_what_is_known_already_gains_nothing() -> None:
    knowledge = Knowledge(np.zeros((2, 2)), np.zeros((1, 2)), np.array([1.0]), np.array([1.0]))
    assert_allclose(knowledge.gains(0.1), 0.0)
    assert knowledge.after([]) is knowledge
