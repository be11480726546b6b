"""Force designs along random directions: what a band is made of, and when."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.passes import build_designs
from rung.features.probes import Probe, trace_error
from rung.fit.linear import probing
from rung.fit.linear.anchor import Clip, MaskElements, Scale
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.probing import LEAST, MOST, TRACE_ERROR, ForceDesigns, directions_for
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Band, Energies, WeightPrior, assemble
from rung.fit.methods.readout import ReadoutSettings, fit_readout, gather, result_of, solve
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, geometries, labelled, pair_base, truth


def settings_with(**band) -> ReadoutSettings:
    return ReadoutSettings(terms=(Energies(), Band(**band), WeightPrior()))


@pytest.fixture(scope="module")
def base():
    return pair_base()


@pytest.fixture(scope="module")
def frames(base):
    frames = labelled(geometries(8), base, truth(base), 6, 0.01)
    designs = build_designs(frames, base.backbone, base.surface("low").readout, forces=True, fidelity="low")
    pushed = []
    for frame, design in zip(frames, designs, strict=True):
        forces = (design.forces @ truth(base).readout.weights).reshape(-1, 3) + np.array([0.5, 0.0, -0.3])
        pushed.append(replace(frame, labels={**frame.labels, "low": replace(empty_labels(len(frame)), forces=forces)}))
    return pushed


@pytest.fixture
def dear(monkeypatch):
    """Full designs of anything cost too much."""
    monkeypatch.setattr(probing, "FULL_WORK", 0.0)


def seen_along(whole: Design, structure: Structure, count: int) -> Design:
    """The design along random directions, by an identity that tests/features/test_probes.py tests."""
    sketch = np.array([Probe(0, index).direction(structure).ravel() for index in range(count)]) / np.sqrt(count)
    return replace(whole, forces=sketch @ whole.forces, fixed_forces=sketch @ whole.fixed_forces, sketch=sketch)


def probed_problem(problem: Problem, count: int) -> Problem:
    pairs = zip(problem.designs, problem.structures, strict=True)
    return replace(problem, designs=tuple(seen_along(design, structure, count) for design, structure in pairs))


@pytest.mark.parametrize(
    "band", [{}, {"anchor": "low"}, {"anchor": "low", "transforms": ()}, {"transforms": (Scale(value=1.2),)}]
)
def test_a_band_of_many_probes_is_the_full_band(base, frames, band):
    settings = settings_with(probes=0, **band)
    problem = gather(lift_of(frames, base), settings, CONTEXT)
    pulls = []
    for one in (problem, probed_problem(problem, 2000)):
        model = assemble(settings.terms, one).model
        component = next(each for each in model.components if each.hyper == "tau")
        pulls.append((component.gram, component.offset, component.directions))
    for whole, probed in zip(*pulls, strict=True):
        size = np.sqrt(np.sum(whole**2)) if whole.size and whole.any() else 1.0
        assert_allclose(np.sqrt(np.sum((probed - whole) ** 2)) / size, 0.0, atol=0.1)


def test_the_force_error_and_the_departure_are_those_of_full_designs(base, frames):
    settings = settings_with(probes=0)
    problem = gather(lift_of(frames, base), settings, CONTEXT)
    whole, probed = (
        result_of(one, solve(one, settings), base, settings) for one in (problem, probed_problem(problem, 400))
    )
    assert probed.posterior.force_error == pytest.approx(whole.posterior.force_error, rel=0.1)
    for name in ("force_departure_rmse_meV_per_angstrom", "force_departure_rmse_meV_per_angstrom_as_fitted"):
        assert probed.details.energies_alone[name] == pytest.approx(whole.details.energies_alone[name], rel=0.1)
    assert probed.diagnostics["force_probes"] == 400
    assert 0 < probed.diagnostics["force_trace_error"] < 0.05
    assert "force_probes" not in whole.diagnostics


def test_probes_are_taken_where_full_designs_are_dear_and_only_there(base, frames, monkeypatch):
    lift, settings = lift_of(frames, base), settings_with()
    assert not any(one.is_probed for one in gather(lift, settings, CONTEXT).designs)
    monkeypatch.setattr(probing, "FULL_WORK", 0.0)
    designs = gather(lift, settings, CONTEXT).designs
    assert all(one.is_probed for one in designs)
    n_weights = len(base.surface("low").readout.weights)
    assert len(designs[0].forces) >= directions_for(n_weights, len(frames))
    assert trace_error(designs) <= TRACE_ERROR or len(designs[0].forces) == MOST
    assert not any(one.is_probed for one in gather(lift, settings_with(probes=0), CONTEXT).designs)


def test_more_directions_are_taken_until_the_trace_is_known(base, frames, dear, monkeypatch):
    counts = []
    for allowed in (10.0, 0.2, 1e-6):
        monkeypatch.setattr(probing, "TRACE_ERROR", allowed)
        few = ForceDesigns(base.backbone, base.surface("low").readout, "low").of_band(frames * 3, Band())
        counts.append(len(few[0].forces))
    assert counts == sorted(counts)
    assert counts[0] == LEAST
    assert counts[-1] == MOST


@pytest.mark.parametrize(
    ("n_weights", "n_structures", "count"), [(48, 100, 2), (144, 50, 6), (144, 100, 3), (144, 1, MOST), (1, 0, 2)]
)
def test_the_rows_are_enough_for_all_weights(n_weights, n_structures, count):
    assert directions_for(n_weights, n_structures) == count


@pytest.mark.parametrize("band", [{"shape": "hinge"}, {"transforms": (Clip(norm=1.0),)}])
def test_a_band_that_looks_at_atoms_gets_full_designs_or_a_sentence(base, frames, dear, band):
    designs = gather(lift_of(frames, base), settings_with(**band), CONTEXT).designs
    assert not any(one.is_probed for one in designs)
    with pytest.raises(ConfigError, match="set probes to 0"):
        gather(lift_of(frames, base), settings_with(probes=4, **band), CONTEXT)
    assert Band(transforms=(MaskElements(numbers=(8,)),)).sees_atoms


def test_without_a_band_no_full_force_design_is_made(base, frames, tmp_path):
    context = replace(CONTEXT, cache=DesignCache(tmp_path))
    settings = ReadoutSettings(terms=(Energies(), WeightPrior()))
    result = fit_readout(lift_of(frames, base), settings, context)
    assert {entry.key.kind for entry in context.cache.entries()} == {"features", "probed"}
    every = build_designs(frames, base.backbone, base.surface("low").readout, forces=True, fidelity="low")
    problem = gather(lift_of(frames, base), settings, context)
    whole = feature_error(replace(problem, designs=tuple(every)), every).force_ratio * result.posterior.model_error
    assert result.posterior.force_error == pytest.approx(whole, rel=0.3)


def test_probes_are_the_same_again_and_from_the_cache(base, frames, tmp_path):
    context, lift = replace(CONTEXT, cache=DesignCache(tmp_path)), lift_of(frames, base)
    first, *others = [gather(lift, settings_with(probes=2), one).designs for one in (CONTEXT, context, context)]
    for designs in others:
        assert_allclose(designs[0].forces, first[0].forces, rtol=1e-9)
    moved = gather(lift, settings_with(probes=2, probe_seed=1), context).designs
    assert (moved[0].sketch != first[0].sketch).any()
