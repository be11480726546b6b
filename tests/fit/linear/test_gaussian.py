"""The closed form against brute force, independent programs and what any Gaussian inference must obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from rung.errors import FitError
from rung.fit.linear.gaussian import EnergyData, LinearModel, PriorComponent
from tests.fit.synthetic import draw_world


def brute_force(model: LinearModel, hypers: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """The information form over (d, e) with a huge but finite prior of e, in extended precision where it matters."""
    prior = model.prior(hypers)
    rows = np.hstack([model.data.design, model.data.composition])
    noise = np.linalg.inv(model.data.statistical + hypers["model_error"] ** 2 * model.data.model)
    n_weights = model.n_weights
    information = rows.T @ noise @ rows
    prior_information = np.linalg.inv(prior.covariance)
    information[:n_weights, :n_weights] += prior_information
    pull = rows.T @ noise @ model.data.target
    pull[:n_weights] += prior_information @ prior.mean
    covariance = np.linalg.inv(information)
    return covariance @ pull, covariance


@pytest.mark.parametrize("seed", range(3))
def test_posterior_equals_the_information_form(seed):
    world = draw_world(seed)
    mean, covariance = brute_force(world.model, world.hypers)
    found = world.model.posterior(world.hypers)
    assert_allclose(found.mean, mean, rtol=1e-8, atol=1e-10)
    assert_allclose(found.covariance, covariance, rtol=1e-7, atol=1e-10 * np.abs(covariance).max())
    assert found.unidentified.shape == (0, len(mean))


def test_order_of_the_energies_is_irrelevant():
    world = draw_world(4)
    order = np.random.default_rng(0).permutation(len(world.model.data))
    found, shuffled = world.model.posterior(world.hypers), world.model.with_rows(order).posterior(world.hypers)
    assert_allclose(shuffled.mean, found.mean, rtol=1e-10, atol=1e-12)
    assert_allclose(shuffled.covariance, found.covariance, rtol=1e-9, atol=1e-14)


def test_two_fits_in_sequence_equal_one():
    """With a proper prior on everything, the posterior of the first half is the prior of the second."""
    world = draw_world(5)
    data = world.model.data
    joined = np.hstack([data.design, data.composition])
    none = np.zeros((len(data), 1))
    prior = PriorComponent.centred("alpha", np.eye(joined.shape[1]))
    plain = LinearModel((prior,), EnergyData(joined, none, data.target, data.statistical, data.model))
    hypers = {"alpha": 2.0, "model_error": 0.05}
    whole = plain.posterior(hypers)
    half = len(data) // 2
    first = plain.with_rows(np.arange(half)).posterior(hypers)
    size = joined.shape[1]
    precision = np.linalg.inv(first.covariance[:size, :size])
    carried = PriorComponent("alpha", precision, precision @ first.mean[:size], np.zeros((size, 0)), np.zeros(0))
    second = replace(plain, components=(carried,)).with_rows(np.arange(half, len(data)))
    found = second.posterior({**hypers, "alpha": 1.0})
    assert_allclose(found.mean[:size], whole.mean[:size], rtol=1e-10, atol=1e-10)
    assert_allclose(found.covariance[:size, :size], whole.covariance[:size, :size], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_equals_refits(seed):
    world = draw_world(seed, n_energies=12)
    error, variance = world.model.leave_one_out(world.hypers)
    data = world.model.data
    for left in range(len(data)):
        rest = np.array([k for k in range(len(data)) if k != left])
        refit = world.model.with_rows(rest).posterior(world.hypers)
        row = np.concatenate([data.design[left], data.composition[left]])
        own = data.statistical[left, left] + world.hypers["model_error"] ** 2 * data.model[left, left]
        assert_allclose(error[left], data.target[left] - row @ refit.mean, rtol=1e-8)
        assert_allclose(variance[left], row @ refit.covariance @ row + own, rtol=1e-8)


def test_leave_one_out_says_when_a_composition_is_alone():
    world = draw_world(1, n_energies=10)
    composition = np.zeros((10, 2))
    composition[:, 0] = 3.0
    composition[0, 1] = 1.0  # the second element occurs once: nobody else knows its E0
    model = replace(world.model, data=replace(world.model.data, composition=composition))
    error, variance = model.leave_one_out(world.hypers)
    assert np.isnan(variance[0])
    assert np.isnan(error[0])
    assert np.isfinite(variance[1:]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_no_label_raises_the_variance_of_a_prediction(seed):
    world = draw_world(seed, n_energies=12)
    fewer = world.model.with_rows(np.arange(11)).posterior(world.hypers)
    more = world.model.posterior(world.hypers)
    rows = np.vstack(
        [
            np.hstack([world.unseen_energy, world.unseen_composition]),
            np.hstack([world.forces, np.zeros((len(world.forces), 2))]),
        ]
    )
    before = np.einsum("ij,jk,ik->i", rows, fewer.covariance, rows)
    after = np.einsum("ij,jk,ik->i", rows, more.covariance, rows)
    assert (after <= before * (1 + 1e-9) + 1e-12).all()


def test_reference_energies_equal_least_squares():
    """With the weights held, the E0 change is numpy's weighted least squares."""
    world = draw_world(7)
    data = world.model.data
    model = replace(world.model, components=(PriorComponent.centred("alpha", np.eye(8)),))
    hypers = {"alpha": 1e-9, "model_error": 0.02}
    weight = 1.0 / np.sqrt(np.diag(data.statistical + hypers["model_error"] ** 2 * data.model))
    expected = np.linalg.lstsq(weight[:, None] * data.composition, weight * data.target, rcond=None)[0]
    assert_allclose(model.posterior(hypers).mean[8:], expected, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8),
    st.integers(0, 99),
)
def test_reference_energies_are_flat_where_identified_and_zero_elsewhere(atoms, seed):
    composition = np.array(atoms, dtype=float)
    random = np.random.default_rng(seed)
    count = len(composition)
    data = EnergyData(
        random.normal(size=(count, 3)), composition, random.normal(size=count), 0.01 * np.eye(count), np.eye(count)
    )
    model = LinearModel((PriorComponent.centred("alpha", np.eye(3)),), data)
    found = model.posterior({"alpha": 0.1, "model_error": 0.1})
    rank = np.linalg.matrix_rank(composition)
    assert found.unidentified.shape[0] == 3 - rank
    null = found.unidentified[:, 3:]
    assert_allclose(null @ found.mean[3:], 0.0, atol=1e-9)
    assert_allclose(found.covariance[3:, 3:] @ null.T, 0.0, atol=1e-8)
    assert_allclose(composition @ null.T, 0.0, atol=1e-9)


def test_an_informative_reference_prior_equals_extra_data():
    world = draw_world(8)
    data = world.model.data
    model = replace(world.model, reference_stderr=0.7)
    extended = EnergyData(
        np.vstack([data.design, np.zeros((2, 8))]),
        np.vstack([data.composition, np.eye(2)]),
        np.concatenate([data.target, np.zeros(2)]),
        np.block([[data.statistical, np.zeros((len(data), 2))], [np.zeros((2, len(data))), 0.49 * np.eye(2)]]),
        np.block([[data.model, np.zeros((len(data), 2))], [np.zeros((2, len(data))), np.zeros((2, 2))]]),
    )
    found = model.posterior(world.hypers)
    expected = replace(world.model, data=extended).posterior(world.hypers)
    assert_allclose(found.mean, expected.mean, rtol=1e-8, atol=1e-10)
    assert_allclose(found.covariance, expected.covariance, rtol=1e-7, atol=1e-10)


def test_without_energies_the_posterior_is_the_prior():
    world = draw_world(9)
    model = world.model.with_rows(np.array([], dtype=int))
    found, prior = model.posterior(world.hypers), model.prior(world.hypers)
    assert_allclose(found.mean[:8], prior.mean)
    assert_allclose(found.covariance[:8, :8], prior.covariance)
    assert found.unidentified.shape == (2, 10)


def test_contradicting_exact_labels_are_refused():
    data = EnergyData(np.zeros((2, 1)), np.zeros((2, 1)), np.array([0.0, 1.0]), np.zeros((2, 2)), np.eye(2))
    model = LinearModel((PriorComponent.centred("alpha", np.eye(1)),), data)
    with pytest.raises(FitError, match="energy_stderr"):
        model.posterior({"alpha": 1.0, "model_error": 0.0})


def test_a_shared_error_leaves_differences_as_they_are():
    """What is common to all labels moves E0, never a difference between two cells of one composition."""
    world = draw_world(11)
    data = replace(world.model.data, composition=np.tile([4.0, 2.0], (len(world.model.data), 1)))
    shared = replace(data, statistical=data.statistical + 25.0)
    plain, with_shared = (replace(world.model, data=item).posterior(world.hypers) for item in (data, shared))
    assert_allclose(with_shared.mean[:8], plain.mean[:8], rtol=1e-6, atol=1e-8)
    assert_allclose(with_shared.covariance[:8, :8], plain.covariance[:8, :8], rtol=1e-6, atol=1e-9)
    assert with_shared.covariance[8, 8] > plain.covariance[8, 8]
