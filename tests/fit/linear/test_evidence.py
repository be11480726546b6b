"""The evidence against SciPy's normal distribution, its gradient, and the coverage of what it leads to."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from rung.errors import FitError
from rung.fit.linear.evidence import HyperPrior, averaged, infer, log_evidence
from tests.fit.synthetic import PRIORS, draw_world


@pytest.mark.parametrize("seed", range(4))
def test_evidence_is_the_density_of_the_contrasts(seed):
    world = draw_world(seed)
    model, data = world.model, world.model.data
    prior = model.prior(world.hypers)
    contrasts = data.contrasts
    assert_allclose(contrasts.T @ data.composition, 0.0, atol=1e-10)
    covariance = data.design @ prior.covariance @ data.design.T + model.noise(world.hypers)
    expected = multivariate_normal.logpdf(
        contrasts.T @ data.target, contrasts.T @ data.design @ prior.mean, contrasts.T @ covariance @ contrasts
    )
    assert_allclose(log_evidence(model, world.hypers)[0], expected, rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_gradient_equals_central_differences(seed):
    world = draw_world(seed)
    _, gradient = log_evidence(world.model, world.hypers)
    for name, value in world.hypers.items():
        up, down = ({**world.hypers, name: value * np.exp(step)} for step in (1e-5, -1e-5))
        slope = (log_evidence(world.model, up)[0] - log_evidence(world.model, down)[0]) / 2e-5
        assert_allclose(gradient[name], slope, rtol=1e-5, atol=1e-5)


def test_evidence_of_a_proper_reference_prior_counts_all_energies():
    world = draw_world(2)
    model = replace(world.model, reference_stderr=3.0)
    data, prior = model.data, model.prior(world.hypers)
    covariance = data.design @ prior.covariance @ data.design.T + model.noise(world.hypers)
    expected = multivariate_normal.logpdf(data.target, data.design @ prior.mean, covariance)
    assert_allclose(log_evidence(model, world.hypers)[0], expected, rtol=1e-10)


def test_the_marginal_equals_a_grid():
    """The integral over the hyper-parameters against a dense grid in the two that are free."""
    world = draw_world(3)
    priors = {**PRIORS, "alpha": HyperPrior(world.hypers["alpha"], 0.0)}
    found = infer(world.model, priors, n_points=256)
    free = [name for name in world.model.hypers if priors[name].width > 0]
    axis = np.linspace(-4, 4, 61)
    values = []
    for first in axis:
        for second in axis:
            hypers = dict(world.hypers)
            for name, offset in zip(free, (first, second), strict=True):
                hypers[name] = priors[name].median * np.exp(priors[name].width * offset)
            values.append(log_evidence(world.model, hypers)[0] - 0.5 * (first**2 + second**2) - np.log(2 * np.pi))
    top = max(values)
    expected = top + np.log(np.exp(np.array(values) - top).sum() * (axis[1] - axis[0]) ** 2)
    assert abs(found.log_marginal - expected) < 0.03
    assert abs(found.weights.sum() - 1.0) < 1e-12


def test_fixed_hyper_parameters_stay():
    world = draw_world(1)
    priors = {name: HyperPrior(value, 0.0) for name, value in world.hypers.items()}
    found = infer(world.model, priors)
    assert found.best == pytest.approx(world.hypers)
    gaussian, model_error = averaged(world.model, found)
    assert_allclose(gaussian.mean, world.model.posterior(world.hypers).mean)
    assert model_error == pytest.approx(world.hypers["model_error"])


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_the_covariance_does_not_depend_on_how_far_reference_energies_move(size):
    """All-electron energies: a covariance from means of squares would be lost in their rounding."""
    world = draw_world(3)
    shift = size * np.array([1.0, -0.37])
    data = world.model.data
    moved = replace(world.model, data=replace(data, target=data.target + data.composition @ shift))
    hypers = infer(world.model, PRIORS, n_points=16)
    (one, s), (other, moved_s) = averaged(world.model, hypers), averaged(moved, hypers)
    assert s == moved_s
    assert np.linalg.eigvalsh(other.covariance).min() > -1e-12
    assert_allclose(other.covariance, one.covariance, rtol=1e-5, atol=1e-9)
    assert_allclose(other.mean[-2:] - one.mean[-2:], shift, rtol=1e-9)


def test_a_missing_hyper_prior_is_named():
    world = draw_world(1)
    with pytest.raises(FitError, match="tau"):
        infer(world.model, {name: prior for name, prior in PRIORS.items() if name != "tau"})


@pytest.mark.slow
def test_coverage_with_inferred_hyper_parameters():
    """500 draws from the model's own assumptions: 68 and 95 % for energies, force components and a barrier."""
    hits: dict[str, list[float]] = {"energy": [], "force": [], "barrier": []}
    for seed in range(500):
        world = draw_world(10_000 + seed)
        found = infer(world.model, PRIORS, n_points=32)
        gaussian, _ = averaged(world.model, found)
        energy = np.concatenate([world.unseen_energy[0], world.unseen_composition[0]])
        force = np.concatenate([world.forces[0], np.zeros(2)])
        barrier = np.concatenate([world.unseen_energy[1] - world.unseen_energy[2], np.zeros(2)])
        for name, row in (("energy", energy), ("force", force), ("barrier", barrier)):
            stderr = np.sqrt(row @ gaussian.covariance @ row)
            hits[name].append(abs(row @ (gaussian.mean - world.truth)) / stderr)
    for name, distances in hits.items():
        inside = np.array(distances)
        print(f"{name}: {np.mean(inside < 1):.3f} within 1 sigma, {np.mean(inside < 1.96):.3f} within 1.96")
        assert 0.64 <= np.mean(inside < 1.0) <= 0.72, name
        assert 0.93 <= np.mean(inside < 1.96) <= 0.97, name
