"""``delta``: what is learnt is the difference, and what comes out is the sum."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.batch import collate
from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, FitError
from rung.features.passes import build_designs
from rung.fit.fidelities.differences import difference
from rung.fit.lift import Base, FitResult
from rung.fit.linear.problem import Problem, shared_error
from rung.fit.linear.terms import Band, Energies, WeightPrior
from rung.fit.methods.delta import DeltaSettings, fit_delta
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.model.potential import ReadoutPotential
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, FIDELITIES, geometries, labelled, pair_base, truth

TINY = {
    "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 2.6, "correlation": 1, "radial_units": [4],
    "readout_units": 2,
}  # fmt: skip
FIXED = (Energies(model_error=0.03), WeightPrior(alpha=0.2))


def model_settings(learns: str = "base", **training: object) -> DeltaSettings:
    settings = {"epochs": 0, "batch_size": 4, "average_decay": 0.0, **training}
    return DeltaSettings.read(
        {"learns": learns, "learner": {"name": "mace", "architecture": TINY, "training": settings}}
    )


def features_settings(learns: str = "base", terms=FIXED) -> DeltaSettings:
    return DeltaSettings(learns=learns, learner={"name": "features", "terms": terms})


def fit(train, settings: DeltaSettings, valid=(), base: ReadoutPotential | None = None, source="low") -> FitResult:
    return fit_delta(lift_of(train, base or pair_base(), valid, source=source), settings, CONTEXT)


def said(potential: ReadoutPotential, fidelity: str, structures):
    return potential.predict(collate(structures, [fidelity] * len(structures), potential.cutoff), stress=True)


@cache
def high() -> ReadoutPotential:
    base = pair_base()
    return base.with_surface("high", truth(base))


def with_labels(frames, *fidelities: str, error: float = 0.0) -> list[Structure]:
    """Label frames by the truth; ``low`` is the base plus an error that nothing of the base knows."""
    found = []
    for number, frame in enumerate(frames):
        labels: dict[str, Labels] = {}
        for name in fidelities:
            one = said(high(), name, [frame])
            wrong = error * np.sin(7.0 * number)
            labels[name] = replace(
                empty_labels(len(frame)),
                energy=float(one.energy[0]) + wrong,
                energy_stderr={"low": 0.004, "high": 0.003}[name],
                forces=one.forces.numpy(),
                stress=one.stress[0].numpy(),
            )
        found.append(replace(frame, labels=labels))
    return found


def test_the_features_learner_is_the_readout_whose_band_is_infinitely_wide():
    frames = labelled(geometries(16), pair_base(), truth(pair_base()), 12, 0.01)
    wide = ReadoutSettings(terms=(FIXED[0], Band(tau=1e9), FIXED[1]))
    ours = fit(frames, features_settings())
    theirs = fit_readout(lift_of(frames, pair_base()), wide, CONTEXT)
    one, two = (said(found.potential, "high", geometries(6, seed=3)) for found in (ours, theirs))
    assert_allclose(one.energy.numpy(), two.energy.numpy(), atol=1e-8)
    assert_allclose(one.forces.numpy(), two.forces.numpy(), atol=1e-8)
    assert_allclose(ours.posterior.covariance, theirs.posterior.covariance, atol=1e-8)
    assert set(ours.potential.fidelities) == {"low", "high"}


def test_the_features_learner_solves_the_regression_of_the_difference_on_the_features():
    """By dual weights in numpy: E_high - E_base = A d + Z e, d of size α/D, e flat."""
    base = pair_base()
    frames = labelled(geometries(16), base, truth(base), 12, 0.01)
    found = fit(frames, features_settings())
    readout = base.surface("low").readout
    designs = build_designs(frames, base.backbone, readout, forces=False, fidelity="low")
    scale = Problem(
        tuple(frames), tuple(designs), readout, base.surface("low"), (6, 8), FIDELITIES["high"]
    ).column_scale
    seen, held = designs[:12], designs[12:]
    gap = [frame.labelled("high").energy - float(said(base, "low", [frame]).energy[0]) for frame in frames[:12]]
    a, z = np.array([item.energy for item in seen]), np.array([item.composition for item in seen])
    cover = (0.2 / scale) ** 2
    environments = Base(base, "low").environments(frames, frames[:12], None)
    covariance = a * cover @ a.T + 0.01**2 * np.eye(12) + 0.03**2 * shared_error(frames[:12], environments)
    whole = np.block([[covariance, z], [z.T, np.zeros((2, 2))]])
    dual = np.linalg.solve(whole, [*gap, 0.0, 0.0])
    expected = [item.energy @ (cover * (a.T @ dual[:12])) + item.composition @ dual[12:] for item in held]
    after, before = said(found.potential, "high", frames[12:]), said(base, "low", frames[12:])
    assert_allclose((after.energy - before.energy).numpy(), expected, atol=1e-8)


def test_differences_of_labels_keep_the_errors_of_the_base_out():
    """An error of the base that both levels' labels lack, or have, leaves what is learnt as it was."""
    plain, wrong = (with_labels(geometries(14), "low", "high", error=size) for size in (0.0, 0.8))
    one, two = (fit(frames, features_settings("labels")) for frames in (plain, wrong))
    assert_allclose(
        one.potential.surface("high").readout.weights, two.potential.surface("high").readout.weights, atol=1e-8
    )
    other = fit(wrong, features_settings("base"))
    moved = other.potential.surface("high").readout.weights - one.potential.surface("high").readout.weights
    assert np.abs(moved).max() > 0.01
    assert one.diagnostics["n_energies"] == 14.0


def test_a_note_says_that_the_bars_of_a_difference_of_labels_leave_the_base_s_error_out():
    plain, wrong = (with_labels(geometries(14), "low", "high", error=size) for size in (0.0, 0.8))
    one, two = (fit(frames, features_settings("labels")) for frames in (plain, wrong))
    assert_allclose(one.posterior.covariance, two.posterior.covariance, atol=1e-12)
    [note] = [note for note in two.details.notes if "leave out the base's own error at low" in note]
    size = 1000 * 0.8 / 4 * np.sqrt(np.mean(np.sin(7.0 * np.arange(14)) ** 2))
    assert f"{size:.3g} meV/atom, r.m.s., on 14 training structures" in note
    assert not any("leave out" in note for note in fit(wrong, features_settings("base")).details.notes)


def test_errors_of_a_difference_add_in_quadrature_and_absence_spreads():
    missing = np.full((1, 3), np.nan)
    first = Labels(5.0, 0.3, np.ones((1, 3)), np.full((1, 3), 0.6), np.arange(6.0))
    second = Labels(1.5, 0.4, np.full((1, 3), 0.25), np.full((1, 3), 0.8), np.ones(6))
    found = difference(first, second)
    assert (found.energy, found.energy_stderr) == (3.5, pytest.approx(0.5))
    assert_allclose(found.forces, 0.75)
    assert_allclose(found.forces_stderr, 1.0)
    assert_allclose(found.stress, np.arange(6.0) - 1.0)
    exact = difference(first, replace(second, energy_stderr=np.nan, forces=missing, forces_stderr=missing))
    assert exact.energy_stderr == 0.3
    assert np.isnan(exact.forces).all()
    assert np.isnan(
        difference(replace(first, energy_stderr=np.nan), replace(second, energy_stderr=np.nan)).energy_stderr
    )


def test_a_model_that_has_not_learnt_is_the_base_with_other_reference_energies():
    frames = with_labels(geometries(8), "high")
    result = fit(frames, model_settings())
    before, after = said(pair_base(), "low", frames), said(result.potential, "high", frames)
    assert_allclose(after.forces.numpy(), before.forces.numpy(), atol=1e-12)
    assert_allclose(after.stress.numpy(), before.stress.numpy(), atol=1e-12)
    assert result.diagnostics["step_zero_energy"] < 1e-8
    assert result.diagnostics["step_zero_force"] < 1e-8
    change = (after.energy - before.energy).numpy()
    for kind in (0, 1):  # the two compositions
        assert_allclose(change[kind::2], change[kind], atol=1e-9)
        target = np.array([frame.labelled("high").energy for frame in frames])[kind::2]
        assert abs(np.mean(target - after.energy.numpy()[kind::2])) < 0.05


@pytest.mark.parametrize("learns", ["base", "labels"])
def test_the_errors_of_the_training_are_those_of_the_sum(learns: str):
    """What validates the difference is, to rounding, what the sum says of the target."""
    error = 0.5 if learns == "labels" else 0.0
    train = with_labels(geometries(8), "low", "high", error=error)
    valid = with_labels(geometries(4, seed=8), "low", "high", error=error)
    result = fit(train, model_settings(learns, epochs=2, learning_rate=0.02), valid)
    found, below = said(result.potential, "high", valid), said(pair_base(), "low", valid)
    goal = np.array([frame.labelled("high").energy for frame in valid])
    if learns == "labels":  # the sum says the base plus the difference of the labels
        goal += below.energy.numpy() - np.array([frame.labelled("low").energy for frame in valid])
    forces = np.concatenate([frame.labelled("high").forces for frame in valid])
    row = result.details.epochs[int(result.diagnostics["best_epoch"]) - 1]
    energy_rmse = np.sqrt(np.mean(((found.energy.numpy() - goal) / 4) ** 2))
    assert result.diagnostics["closing_energy_rmse"] == pytest.approx(1000 * energy_rmse, rel=1e-6)
    assert row["force_rmse"] == pytest.approx(1000 * np.sqrt(np.mean((found.forces.numpy() - forces) ** 2)), rel=1e-6)
    assert_allclose(said(result.potential, "low", valid).forces.numpy(), below.forces.numpy(), atol=1e-12)
    cost = result.diagnostics
    assert cost["cost_ratio"] == cost["seconds_per_call"] / cost["seconds_per_call_base"]
    assert cost["seconds_per_call_base"] > 0.0


def test_what_cannot_be_learnt_is_refused():
    frames = with_labels(geometries(6), "high")
    for settings in (model_settings("labels"), features_settings("labels")):
        with pytest.raises(FitError, match="energies of both 'high' and 'low'"):
            fit(frames, settings)
    with pytest.raises(ConfigError, match="both are 'high'"):
        fit(frames, model_settings("labels"), base=high(), source="high")
    with pytest.raises(ConfigError, match="name its file"):
        fit_delta(lift_of(frames), model_settings(), CONTEXT)
    with pytest.raises(ConfigError, match="Unknown fidelity 'pbe'"):
        fit(frames, model_settings(), source="pbe")
    with pytest.raises(FitError, match="has a label of 'high'"):
        fit(geometries(6), model_settings())
    strange = geometries(1)[0].atoms.copy()
    strange.numbers[0] = 7
    with pytest.raises(DataError, match=r"\bN\b"):
        fit([*frames, Structure(strange, "strange", frames[0].labels)], model_settings())
    with pytest.raises(ConfigError, match="band"):
        DeltaSettings.read({"learner": {"name": "features", "terms": [{"kind": "band"}]}})


def test_elements_that_the_difference_model_never_sees_are_refused_before_the_training() -> None:
    """The base knows them, the sum would not."""
    train = with_labels(geometries(4), "low", "high")
    lift, context = lift_of(train, pair_base()), replace(CONTEXT, evaluated=[[Structure(Atoms("Es"), "es", {})]])
    with pytest.raises(DataError, match="trains the new model holds Es"):
        fit_delta(lift, model_settings(), context)
    assert fit_delta(lift, features_settings(), context).posterior is not None
