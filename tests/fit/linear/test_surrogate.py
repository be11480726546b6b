"""The surrogate pair: its ratio is that of a fit from nothing to the low level, made here by another path."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import FitError
from rung.features.passes import build_designs
from rung.fit.linear.model_error import FeatureError
from rung.fit.linear.surrogate import surrogate_ratio, with_ratio
from rung.fit.linear.terms import Energies, WeightPrior
from rung.fit.methods.readout import ReadoutSettings, fit_readout, gather
from rung.model.potential import ReadoutPotential, Surface
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, geometries, labelled, pair_base, truth

ALONE = ReadoutSettings(terms=(Energies(), WeightPrior()))


def with_low(frames: list[Structure]) -> list[Structure]:
    """Label all frames at ``low`` with what no readout of these features can say."""
    found = []
    for frame in frames:
        away = frame.atoms.get_all_distances(mic=True)
        energy = float(np.sin(3.0 * away).sum())
        forces = np.stack([np.cos(2.0 * frame.atoms.positions[:, k]) for k in range(3)], axis=1)
        low = replace(empty_labels(len(frame)), energy=energy, forces=forces)
        found.append(replace(frame, labels={**frame.labels, "low": low}))
    return found


def test_the_ratio_is_that_of_a_fit_from_nothing() -> None:
    base = pair_base()
    frames = with_low(labelled(geometries(40), base, truth(base), 25, 1e-3))
    problem = gather(lift_of(frames, base), ReadoutSettings(), CONTEXT)
    blank = base.surface("low").readout.moved(-base.surface("low").readout.weights)
    nothing = ReadoutPotential(base.backbone, {"low": Surface(blank, base.surface("low").reference)})
    moved = [
        replace(frame, labels={"high": frame.labelled("low")})
        if frame.labelled("high").has_energy
        else replace(frame, labels={})
        for frame in frames
    ]
    twin = fit_readout(lift_of(moved, nothing), ALONE, CONTEXT)
    assert twin.posterior is not None
    anchored = [frames[k] for k, design in enumerate(problem.designs) if design.has_forces]
    designs = build_designs(anchored, base.backbone, blank, forces=True, fidelity="low")
    weights = twin.potential.surface("high").readout.weights
    size = len(weights)
    covariance = twin.posterior.covariance[:size, :size]
    error = np.concatenate(
        [
            one.forces @ weights + one.fixed_forces - frame.labelled("low").forces.ravel()
            for one, frame in zip(designs, anchored, strict=True)
        ]
    )
    explained = np.concatenate([np.diag(one.forces @ covariance @ one.forces.T) for one in designs])
    expected = np.sqrt(np.mean(error**2) - np.mean(explained)) / twin.posterior.model_error
    assert surrogate_ratio(problem, "low") == pytest.approx(expected, rel=1e-3)


def test_smooth_and_rough_part_together_have_the_ratio() -> None:
    error = FeatureError(np.eye(2), 4.0)
    changed = with_ratio(error, 5.0)
    assert changed.force_ratio**2 + error.smooth_share * 4.0**2 == pytest.approx(25.0)
    assert with_ratio(error, 1.0).force_ratio == 0.0


def test_the_setting_reaches_the_posterior_and_missing_labels_are_named() -> None:
    base = pair_base()
    plain = labelled(geometries(40), base, truth(base), 25, 1e-3)
    asked = ReadoutSettings(force_error="surrogate")
    with pytest.raises(FitError, match="force_error: surrogate needs low_energy of the frames"):
        fit_readout(lift_of(plain, base), asked, CONTEXT)
    frames = with_low(plain)
    one, other = (fit_readout(lift_of(frames, base), settings, CONTEXT) for settings in (ReadoutSettings(), asked))
    assert one.posterior is not None
    assert other.posterior is not None
    assert other.posterior.model_error == one.posterior.model_error
    assert other.posterior.force_error != one.posterior.force_error
