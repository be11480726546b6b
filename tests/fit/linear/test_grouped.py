"""Errors kept by groups give what the full matrices give, in a time that is linear in energies."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.errors import FitError
from rung.fit.lift import Base
from rung.fit.linear.closed_form import quadratic_solution
from rung.fit.linear.evidence import log_evidence
from rung.fit.linear.gaussian import EnergyData, LinearModel, PriorComponent
from rung.fit.linear.grouped import GroupedEnergies
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Assembly
from tests.fit.pair_world import FIDELITIES, geometries, labelled, pair_base, truth
from tests.fit.synthetic import PRIORS, World, draw_world

SHARED = (0.0, 0.4)
REFERENCE = (np.inf, 3.0)


def grouped_world(seed: int = 0, *, shared: float = 0.0, reference: float = np.inf) -> tuple[World, LinearModel]:
    """Return a world of 24 energies, of 15 geometries, with full matrices, and the same model with groups."""
    world = draw_world(seed, n_energies=24)
    data = world.model.data
    assert isinstance(data, EnergyData)
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(15), [4, 3, 2, 2, 2, 2, *[1] * 9]))
    first = np.array([np.flatnonzero(group == one)[0] for one in group])
    variance = np.diag(data.statistical).copy()
    variance[np.flatnonzero(np.bincount(group)[group] == 1)[:2]] = 0.0  # exact labels, alone in their group
    groups = GroupedEnergies(
        data.design[first], data.composition[first], data.target, variance, shared, np.diag(data.model)[first], group
    )
    full = EnergyData(groups.design, groups.composition, groups.target, groups.statistical, groups.model)
    world = replace(world, model=replace(world.model, data=full, reference_stderr=reference))
    return world, replace(world.model, data=groups)


@pytest.mark.parametrize("reference", REFERENCE)
@pytest.mark.parametrize("shared", SHARED)
def test_posterior_and_evidence_are_those_of_full_matrices(shared, reference):
    world, grouped = grouped_world(shared=shared, reference=reference)
    expected, found = world.model.posterior(world.hypers), grouped.posterior(world.hypers)
    assert_allclose(found.mean, expected.mean, rtol=1e-8, atol=1e-9)
    assert_allclose(found.covariance, expected.covariance, rtol=1e-7, atol=1e-10 * np.abs(expected.covariance).max())
    value, gradient = log_evidence(world.model, world.hypers)
    one, slope = log_evidence(grouped, world.hypers)
    assert one == pytest.approx(value, rel=1e-9, abs=1e-8)
    for name in gradient:
        assert slope[name] == pytest.approx(gradient[name], rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("reference", REFERENCE)
@pytest.mark.parametrize("shared", SHARED)
def test_left_out_energies_and_the_size_of_errors_are_those_of_full_matrices(shared, reference):
    world, grouped = grouped_world(1, shared=shared, reference=reference)
    for one, other in zip(grouped.leave_one_out(world.hypers), world.model.leave_one_out(world.hypers), strict=True):
        assert_allclose(one, other, rtol=1e-7)
    residual = np.random.default_rng(0).normal(size=24)
    (one, count), (other, number) = (item.blind.error_size(residual) for item in (grouped, world.model))
    assert one == pytest.approx(other, rel=1e-8) and count == number


def test_averages_over_hyper_parameters_are_those_of_full_matrices():
    world, grouped = grouped_world(2, shared=0.4)
    full, found = (quadratic_solution(Assembly(model, PRIORS, {}), n_points=8) for model in (world.model, grouped))
    assert found.values == pytest.approx(full.values, rel=1e-4)
    assert_allclose(found.gaussian.mean, full.gaussian.mean, rtol=1e-3, atol=1e-4)
    assert_allclose(np.diag(found.gaussian.covariance), np.diag(full.gaussian.covariance), rtol=1e-3, atol=1e-9)


def test_some_of_the_data_and_their_differences_follow():
    world, grouped = grouped_world(3, shared=0.4)
    chosen = np.array([20, 3, 11, 4, 0, 17])
    some, full = grouped.data.rows(chosen), world.model.data.rows(chosen)
    assert_allclose(some.covariance(0.1), full.covariance(0.1))
    assert_allclose(some.variance(0.1), np.diag(full.covariance(0.1)))
    combination = np.eye(6)[:-1] - np.eye(6)[1:]
    assert_allclose(some.transformed(combination).covariance(0.1), full.transformed(combination).covariance(0.1))


def test_energies_far_from_zero_lose_no_digit_of_the_rest():
    _, grouped = grouped_world(4)
    far = replace(grouped.data, target=grouped.data.target + grouped.data.composition @ np.array([1e6, -3e5]))
    hypers = {"alpha": 0.3, "tau": 0.5, "model_error": 0.05}
    moved, here = replace(grouped, data=far).posterior(hypers), grouped.posterior(hypers)
    assert_allclose(moved.mean[:8], here.mean[:8], rtol=1e-6, atol=1e-7)
    assert_allclose(moved.mean[8:] - here.mean[8:], [1e6, -3e5], rtol=1e-10)
    assert log_evidence(replace(grouped, data=far), hypers)[0] == pytest.approx(log_evidence(grouped, hypers)[0])


def test_exact_labels_that_contradict_each_other_are_refused():
    _, grouped = grouped_world(5)
    exact = replace(grouped.data, label_variances=np.zeros(24))
    with pytest.raises(FitError, match="singular"):
        replace(grouped, data=exact).posterior({"alpha": 0.3, "tau": 0.5, "model_error": 0.05})


def test_many_energies_need_no_matrix_of_their_number():
    """A matrix of 200,000 x 200,000 would take 320 gigabytes."""
    count = 200_000
    random = np.random.default_rng(0)
    group = np.unique(random.integers(0, count // 2, size=count), return_inverse=True)[1]
    design = random.normal(size=(count, 8))[group]
    composition = random.integers(1, 6, size=(count, 2)).astype(float)[group]
    target = composition @ np.array([2.0, -1.0]) + 0.1 * random.normal(size=count)
    data = GroupedEnergies(design, composition, target, np.full(count, 0.01), 0.3, composition.sum(axis=1), group)
    world = draw_world(0)
    posterior = replace(world.model, data=data).posterior({**world.hypers, "model_error": 1e-3})
    assert posterior.mean[8:] == pytest.approx([2.0, -1.0], abs=0.01)
    assert np.abs(posterior.mean[:8]).max() < 0.01


def test_many_frames_share_errors_by_geometry_alone(monkeypatch: pytest.MonkeyPatch):
    base = pair_base()
    frames = labelled(geometries(8), base, truth(base), 8, 0.0)
    frames = [*frames, *frames[:3]]  # labels without an error that repeat others
    high = replace(FIDELITIES["high"], energy_shared_stderr=0.2)
    lifted = Base(base, "low")
    designs = tuple(lifted.energy_designs(frames, None))
    names = [frame.geometry_hash for frame in frames]
    environments = lifted.environments(frames, frames, None)
    problem = Problem(tuple(frames), designs, lifted.surface.readout, lifted.surface, (6, 8), high, environments)
    assert isinstance(problem.energies, EnergyData)
    with monkeypatch.context() as few:
        few.setattr("rung.model.environments.MOST_STRUCTURES", 5)
        grouped = replace(problem).energies
        assert isinstance(grouped, GroupedEnergies)
        assert_allclose(grouped.model, environments.overlaps(names))  # which compares equal names alone as well
    assert_allclose(grouped.statistical, problem.energies.statistical, rtol=1e-12)
    model = LinearModel((PriorComponent.centred("alpha", np.eye(len(problem.readout.weights))),), grouped)
    assert np.isfinite(model.posterior({"alpha": 0.1, "model_error": 0.02}).covariance).all()
