"""The readout fit end to end on a backbone that is not MACE, against what must hold exactly."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.batch import collate
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.errorbars import joint_energies
from rung.features.passes import build_designs, features_of
from rung.features.predict import difference_variance, predict_designs
from rung.fidelity import Fidelity
from rung.fit.linear.anchor import Scale
from rung.fit.linear.diagnosis import _within
from rung.fit.linear.gaussian import EnergyData
from rung.fit.linear.terms import Band, Energies, EnergyPairs, ReferencePrior, WeightPrior, assemble
from rung.fit.linear.widen import Widening, widened
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.fit.methods.readout import ReadoutSettings, fit_readout, gather, solve
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, FIDELITIES, geometries, labelled, pair_base, truth


def settings_with(*terms, **changes) -> ReadoutSettings:
    return ReadoutSettings(terms=terms or (Energies(), Band(), WeightPrior()), **changes)


def fit(frames, settings=None, base=None):
    return fit_readout(lift_of(frames, base or pair_base()), settings or settings_with(), CONTEXT)


def test_without_energies_the_base_comes_back_bit_for_bit():
    base = pair_base()
    fixed = settings_with(Energies(), Band(transforms=(Scale(stderr=0.0),)), WeightPrior())
    for settings in (fixed, settings_with()):
        result = fit(geometries(4), settings, base)
        before, after = base.surface("low"), result.potential.surface("high")
        assert after.readout.weights.tobytes() == before.readout.weights.tobytes()
        assert dict(after.reference.energies) == dict(before.reference.energies)
        assert "no target energies" in result.warnings[0]


def test_an_expressible_truth_is_recovered_with_its_forces():
    base = pair_base()
    high = truth(base)
    frames = labelled(geometries(90), base, high, 80, 1e-5)
    result = fit(frames, settings_with(Energies(), Band(tau=10.0), WeightPrior()), base)
    rest = build_designs(frames[80:], base.backbone, high.readout, forces=True, fidelity="low")
    found = predict_designs(rest, result.potential.surface("high"), sorted(base.elements), result.posterior)
    exact = predict_designs(rest, high, sorted(base.elements))
    error = np.concatenate([(a.forces - b.forces).ravel() for a, b in zip(found, exact, strict=True)])
    start = predict_designs(rest, base.surface("low"), sorted(base.elements))
    before = np.concatenate([(a.forces - b.forces).ravel() for a, b in zip(start, exact, strict=True)])
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(before**2))


def test_predictions_from_designs_equal_the_potential():
    base = pair_base()
    frames = labelled(geometries(14), base, truth(base), 12, 0.01)
    result = fit(frames, base=base)
    surface = result.potential.surface("high")
    designs = build_designs(frames, base.backbone, surface.readout, forces=True, fidelity="low")
    found = predict_designs(designs, surface, sorted(base.elements), result.posterior)
    batch = collate(frames, ["high"] * len(frames), base.cutoff)
    expected = result.potential.predict(batch)
    assert_allclose([item.energy for item in found], expected.energy.numpy(), rtol=1e-12)
    assert_allclose(np.concatenate([item.forces for item in found]), expected.forces.numpy(), atol=1e-10)
    covariance = joint_energies(designs, sorted(base.elements), result.posterior).covariance()
    assert_allclose(np.diag(covariance), [item.energy_variance for item in found], rtol=1e-6)
    pair = difference_variance(designs[0], designs[2], sorted(base.elements), result.posterior)
    assert pair.weights == pytest.approx(covariance[0, 0] + covariance[2, 2] - 2 * covariance[0, 2], rel=1e-4, abs=1e-9)
    assert pair.smooth > 0
    assert pair.rough == pytest.approx(8 * 0.5 * result.posterior.model_error**2)  # no features are kept: N each


def test_anchoring_a_frame_twice_changes_nothing():
    base = pair_base()
    frames = labelled(geometries(10), base, truth(base), 6, 0.01)
    copies = [replace(frame, structure_id=frame.structure_id + "-again", labels={}) for frame in frames]
    once, twice = fit(frames, base=base), fit([*frames, *copies], base=base)
    assert_allclose(twice.posterior.mean, once.posterior.mean, rtol=1e-7, atol=1e-9)
    assert_allclose(twice.posterior.covariance, once.posterior.covariance, rtol=1e-6, atol=1e-9)


def test_rotating_every_frame_changes_nothing():
    base = pair_base()
    frames = labelled(geometries(10), base, truth(base), 8, 0.01)
    turned = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.rotate(40, (1, 2, 3), rotate_cell=True)
        turned.append(replace(frame, atoms=atoms))
    one, other = fit(frames, base=base), fit(turned, base=base)
    scale = np.abs(one.posterior.mean).max()
    assert_allclose(other.posterior.mean, one.posterior.mean, atol=1e-8 * scale)


def test_a_tight_band_keeps_the_base_s_forces():
    base = pair_base()
    frames = labelled(geometries(12), base, truth(base), 12, 0.01)
    tight = settings_with(Energies(), Band(transforms=(), tau=1e-4), WeightPrior(alpha=10.0))
    result = fit(frames, tight, base)
    assert any("widen tau" in sentence for sentence in result.warnings)
    designs = build_designs(frames, base.backbone, base.surface("low").readout, forces=True, fidelity="low")
    change = np.concatenate([item.forces for item in designs]) @ result.posterior.mean[: designs[0].energy.size]
    length = np.linalg.norm(change.reshape(-1, 3), axis=1)
    assert np.sqrt(np.mean(length**2)) < 2e-4


def test_tau_is_the_rms_length_of_the_prior_s_departure():
    """With nothing else, the prior's draws leave the anchor by τ, however many frames anchor."""
    base = pair_base()
    settings = settings_with(Energies(), Band(transforms=(), tau=0.25), WeightPrior(alpha=1e6))
    for count in (4, 16):
        problem = gather(lift_of(geometries(count), base), settings, CONTEXT)
        model = assemble(settings.terms, problem).model
        covariance = model.prior({"alpha": 1e6, "tau": 0.25, "model_error": 0.0}).covariance
        design = np.concatenate([item.forces for item in problem.designs])
        variance = np.einsum("ij,jk,ik->i", design, covariance, design)
        assert np.sqrt(variance.reshape(-1, 3).sum(axis=1).mean()) == pytest.approx(0.25, rel=1e-3)


def test_label_anchor_moves_forces_to_the_labels():
    """Without energies an anchor of labels, not scaled, fits those forces by least squares."""
    base = pair_base()
    high = truth(base)
    frames = geometries(12)
    designs = build_designs(frames, base.backbone, high.readout, forces=True, fidelity="low")
    exact = predict_designs(designs, high, sorted(base.elements))
    with_forces = [
        replace(frame, labels={"dft": replace(empty_labels(4), forces=item.forces)})
        for frame, item in zip(frames, exact, strict=True)
    ]
    settings = settings_with(Energies(), Band(anchor="dft", transforms=(), tau=0.01), WeightPrior(alpha=1e4))
    result = fit(with_forces, settings, base)
    found = predict_designs(designs, result.potential.surface("high"), sorted(base.elements))
    error = np.concatenate([(a.forces - b.forces).ravel() for a, b in zip(found, exact, strict=True)])
    assert np.abs(error).max() < 1e-5


def test_hinge_far_away_is_the_fit_without_a_band():
    base = pair_base()
    frames = labelled(geometries(16), base, truth(base), 16, 0.01)
    hinge = settings_with(Energies(model_error=0.01), Band(shape="hinge", tau=1e3), WeightPrior(alpha=0.2))
    plain = settings_with(Energies(model_error=0.01), WeightPrior(alpha=0.2))
    one, other = fit(frames, hinge, base), fit(frames, plain, base)
    assert_allclose(one.posterior.mean, other.posterior.mean, rtol=1e-5, atol=1e-6)
    assert np.isnan(one.posterior.covariance).all()


def test_pairs_replace_the_energies_of_their_frames():
    base = pair_base()
    frames = labelled(geometries(8), base, truth(base), 8, 0.01)
    settings = settings_with(Energies(), EnergyPairs(pairs=(("cell-0", "cell-2"),)), WeightPrior())
    problem = gather(lift_of(frames, base), settings, CONTEXT)
    data = assemble(settings.terms, problem).model.data
    assert len(data) == 7
    energies = problem.energies
    assert data.target[-1] == pytest.approx(energies.target[0] - energies.target[2])
    assert data.statistical[-1, -1] == pytest.approx(2e-4)
    assert_allclose(data.composition[-1], 0.0)
    with pytest.raises(FitError, match="cell-99"):
        assemble((Energies(), EnergyPairs(pairs=(("cell-99", "cell-2"),)), WeightPrior()), problem)


def test_a_common_shift_of_paired_energies_cancels():
    base = pair_base()
    frames = labelled(geometries(8), base, truth(base), 8, 0.01)
    pairs = tuple((f"cell-{k}", f"cell-{k + 2}") for k in (0, 1, 4, 5))
    settings = settings_with(Energies(), EnergyPairs(pairs=pairs), Band(tau=0.3), WeightPrior(alpha=0.1), average=1)
    moved = [
        replace(frame, labels={"high": replace(frame.labels["high"], energy=frame.labels["high"].energy + 7.0)})
        for frame in frames
    ]
    assert_allclose(fit(moved, settings, base).posterior.mean, fit(frames, settings, base).posterior.mean, atol=1e-9)


def test_widened_base_predicts_what_the_base_predicts():
    base = pair_base()
    frames = geometries(6)
    surface = base.surface("low")
    seen = features_of(frames, base.backbone, fidelity="low")
    wide = widened(surface.readout, seen, Widening(units=40))
    assert len(wide.weights) == len(surface.readout.weights) + 40
    assert wide.groups.count("readouts.1.random") == 40
    batch = collate(frames, ["low"] * 6, base.cutoff)
    before = base.predict(batch)
    after = base.with_surface("low", replace(surface, readout=wide)).predict(batch)
    assert_allclose(after.energy, before.energy, rtol=1e-13)
    assert_allclose(after.forces, before.forces, atol=1e-12)
    inputs = np.concatenate(seen)[:, list(wide.blocks[1].columns)] @ wide.blocks[1].layers[0].weight[:, -40:]
    assert 0.3 < np.std(inputs - inputs.mean(axis=0)) < 3.0


def test_a_widened_fit_has_its_own_alpha():
    base = pair_base()
    frames = labelled(geometries(20), base, truth(base), 18, 0.01)
    result = fit(frames, settings_with(widen=Widening(units=10)), base)
    assert "random_alpha" in result.diagnostics
    assert len(result.posterior.mean) == len(base.surface("low").readout.weights) + 10 + len(base.elements)


def test_offset_equals_least_squares_and_keeps_forces():
    base = pair_base()
    frames = labelled(geometries(10), base, truth(base, size=0.0), 10, 0.01)
    result = fit_offset(lift_of(frames, base), OffsetSettings(), CONTEXT)
    before, after = base.surface("low"), result.potential.surface("high")
    assert after.readout.weights.tobytes() == before.readout.weights.tobytes()
    assert after.reference.energies[6] - before.reference.energies[6] == pytest.approx(3.0, abs=0.05)
    assert after.reference.energies[8] - before.reference.energies[8] == pytest.approx(-2.0, abs=0.05)
    with pytest.raises(FitError, match="high_energy"):
        fit_offset(lift_of(geometries(3), base), OffsetSettings(), CONTEXT)


def test_one_composition_leaves_other_compositions_without_a_bar():
    base = pair_base()
    frames = labelled(geometries(16), base, truth(base), 16, 0.01)
    same = [frame for frame in frames if frame.formula == frames[0].formula]
    result = fit(same, base=base)
    designs = build_designs(
        [frames[0], frames[1]], base.backbone, base.surface("low").readout, forces=False, fidelity="low"
    )
    found = predict_designs(designs, result.potential.surface("high"), sorted(base.elements), result.posterior)
    assert np.isfinite(found[0].energy_variance)
    assert np.isinf(found[1].energy_variance)
    assert np.isinf(difference_variance(designs[0], designs[1], sorted(base.elements), result.posterior).total)
    assert any("All labels have one composition" in sentence for sentence in result.details.notes)
    assert not any("reference energy" in sentence for sentence in result.warnings)


def test_energies_alone_and_the_choice_are_reported():
    base = pair_base()
    frames = labelled(geometries(20), base, truth(base), 20, 0.01)
    result = fit(frames, base=base)
    names = {row.name for row in result.details.hyperparameters}
    assert names == {"alpha", "tau", "model_error"}
    for row in result.details.hyperparameters:
        assert row.low < row.high
    assert {row.name for row in result.details.alternatives} == {"as fitted", "energies alone"}
    assert "force_departure_rmse_meV_per_angstrom" in result.details.energies_alone


def test_cross_validation_chooses_too():
    base = pair_base()
    frames = labelled(geometries(20), base, truth(base), 20, 0.01)
    result = fit(frames, settings_with(choose="cross_validation"), base)
    assert set(result.diagnostics) >= {"alpha", "tau", "model_error"}
    assert result.diagnostics["leave_one_out_z2"] == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ((Energies(), Band()), "kind weights"),
        ((Energies(), Band(), Band(anchor="dft"), WeightPrior()), "more than one band"),
        ((Energies(), Band(tau=-1.0), WeightPrior()), "tau must be more than 0"),
        ((Energies(), WeightPrior(alpha=0.0)), "alpha must be more than 0"),
        ((Energies(model_error=-0.1), WeightPrior()), "model_error must be 0 or more"),
        ((EnergyPairs(pairs=(("cell-0", "cell-2"),)), Energies(), WeightPrior()), "after the term energies"),
    ],
)
def test_settings_that_contradict_are_refused(terms, sentence):
    base = pair_base()
    frames = labelled(geometries(6), base, truth(base), 6, 0.01)
    with pytest.raises(ConfigError, match=sentence):
        fit(frames, settings_with(*terms), base)


def test_a_base_is_needed():
    with pytest.raises(ConfigError, match="needs a base"):
        fit_readout(lift_of(geometries(2)), settings_with(), CONTEXT)


def test_a_negative_error_is_refused():
    base = pair_base()
    frames = labelled(geometries(4), base, truth(base), 4, 0.01)
    broken = [replace(frame, labels={"high": replace(frame.labels["high"], energy_stderr=-1.0)}) for frame in frames]
    with pytest.raises(FitError, match="negative"):
        fit(broken, base=base)


def test_a_reference_prior_holds_back_the_reference_energies():
    base = pair_base()
    frames = labelled(geometries(12), base, truth(base, size=0.0), 12, 0.01)
    held = settings_with(Energies(), WeightPrior(alpha=1e-6), ReferencePrior(stderr=1e-6))
    assert np.abs(fit(frames, held, base).posterior.mean[-2:]).max() < 1e-3


def test_the_shared_error_of_a_fidelity_enters():
    base = pair_base()
    frames = labelled(geometries(6), base, truth(base), 6, 0.01)
    settings = settings_with()
    lift = lift_of(frames, base, fidelities=["low", Fidelity("high", energy_shared_stderr=0.5)])
    data: EnergyData = gather(lift, settings, CONTEXT).energies
    assert_allclose(data.statistical, 0.25 + np.diag(np.full(6, 1e-4)))


def test_solving_twice_gives_the_same_bits():
    base = pair_base()
    frames = labelled(geometries(10), base, truth(base), 8, 0.01)
    problem = gather(lift_of(frames, base), settings_with(), CONTEXT)
    one, other = (solve(problem, settings_with()).gaussian.mean for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_structures_are_not_touched():
    base = pair_base()
    frames: list[Structure] = labelled(geometries(6), base, truth(base), 6, 0.01)
    before = [frame.atoms.positions.copy() for frame in frames]
    fit(frames, base=base)
    assert all(np.array_equal(frame.atoms.positions, old) for frame, old in zip(frames, before, strict=True))


def test_energies_that_only_tell_compositions_apart_are_said_to():
    """Noise within each composition: nothing that a readout could learn predicts it."""
    base = pair_base()
    sentence = "Within a composition the fit predicts energies no better"
    random = np.random.default_rng(3)
    told = []
    for frame in labelled(geometries(30), base, truth(base, size=0.0), 30, 1e-3):
        label = frame.labels["high"]
        told.append(
            replace(frame, labels={"high": replace(label, energy=label.energy + random.normal(), energy_stderr=1e-3)})
        )
    noisy = fit(told, base=base)
    assert any(sentence in warning for warning in noisy.warnings)
    learnt = fit(labelled(geometries(30), base, truth(base), 30, 1e-3), base=base)
    assert not any(sentence in warning for warning in learnt.warnings)
    numbers = learnt.diagnostics
    assert numbers["within_composition_rmse"] < 0.5 * numbers["within_composition_rmse_base"]


def test_a_fit_that_errs_more_than_the_base_is_called_worse_and_by_how_much():
    worse = _within(0.226, 0.063)
    assert "errs 3.6 times as much as the base (226 against 63 meV per cell" in worse and "offset" in worse
    assert "no better than the base (52 against 58" in _within(0.052, 0.058)


def test_what_all_labels_share_is_no_error_against_a_label():
    """Labels that are all 1 eV off, in training and test: a prediction knows its energy to 1 eV, a label better."""
    base = pair_base()
    frames = labelled(geometries(24), base, truth(base), 18, 0.02)
    goals = [replace(FIDELITIES["high"], energy_shared_stderr=size) for size in (0.0, 1.0)]
    designs = build_designs(frames[18:], base.backbone, base.surface("low").readout, forces=False, fidelity="low")
    found = []
    for goal in goals:
        lift = replace(lift_of(frames, base), fidelities={**FIDELITIES, "high": goal})
        result = fit_readout(lift, ReadoutSettings(), CONTEXT)
        found.append(predict_designs(designs, result.potential.surface("high"), (6, 8), result.posterior))
    for alone, shared in zip(*found, strict=True):
        assert alone.energy_label_variance == alone.energy_total_variance
        assert shared.energy_total_variance > 0.8
        assert shared.energy_label_variance == pytest.approx(alone.energy_label_variance, rel=0.3)


def test_an_anchor_that_no_frame_has_is_refused():
    """The band was left out without a word, and forces were free."""
    base = pair_base()
    frames = labelled(geometries(8), base, truth(base), 8, 0.0)
    bare = [
        replace(one, labels={**one.labels, "high": replace(one.labels["high"], forces=np.full((len(one), 3), np.nan))})
        for one in frames
    ]
    for anchor, error, words in (
        ("hihg", ConfigError, "Did you mean 'high'"),
        ("high", FitError, "No training frame has forces of high, which are to anchor the band"),
    ):
        with pytest.raises(error, match=words):
            fit(bare, settings_with(Energies(model_error=0.01), Band(anchor=anchor), WeightPrior(alpha=0.2)), base)


def alone(frame: Structure, times: int) -> list[Structure]:
    """Return a structure with several labels of its one geometry."""
    label = frame.labels["high"]
    random = np.random.default_rng(times)
    return [
        replace(
            frame,
            structure_id=f"{frame.structure_id}-{k}",
            labels={"high": replace(label, energy=label.energy + 0.02 * random.normal())},
        )
        for k in range(times)
    ]


@pytest.mark.parametrize("times", [(2, 0), (2, 2), (3, 5)])
def test_labels_of_one_geometry_a_composition_are_a_fit(times: tuple[int, int]) -> None:
    """All that they tell is the scatter of the labels; what was left of the model's error was rounding."""
    base = pair_base()
    unlabelled = geometries(30)
    first, second = labelled(unlabelled[:2], base, truth(base), 2, 0.02)
    frames = [*alone(first, times[0]), *alone(second, times[1]), *unlabelled[2:]]
    result = fit_readout(lift_of(frames, base), ReadoutSettings(), CONTEXT)
    assert result.posterior is not None
    assert 1e-3 < result.posterior.model_error < 1.0


@pytest.mark.parametrize("error", [0.0, "auto"])
def test_exact_labels_of_two_fragments_and_of_both_far_apart_are_a_fit(error: float | str) -> None:
    """The model's own error of the pair follows from those of the two, and their labels hold rounding."""
    base = pair_base()
    one, other, *more = (molecule_of(k, [8, 6, 8] if k % 2 else [6, 8, 6]) for k in range(10))
    both = one + other
    both.positions[3:] += (30.0, 0.0, 0.0)
    frames = [Structure(atoms, str(k), {}) for k, atoms in enumerate((one, other, *more, both))]
    frames = [
        replace(frame, labels={"high": replace(frame.labels["high"], energy_stderr=np.nan)})
        for frame in labelled(frames, base, truth(base), 11, 1e-4)
    ]
    terms = (Energies(label_error=error), Band(), WeightPrior())
    found = [
        fit_readout(lift_of(some, base), ReadoutSettings(terms=terms), CONTEXT).diagnostics
        for some in (frames[:-1], frames)
    ]
    assert found[1]["model_error"] == pytest.approx(found[0]["model_error"], rel=1.0)
    assert found[1]["leave_one_out_rmse"] < 2.0 * found[0]["leave_one_out_rmse"]


def molecule_of(seed: int, numbers: list[int]) -> Atoms:
    places = np.array([[0, 0, 0], [1.2, 0, 0], [2.0, 1.1, 0.0]])
    return Atoms(numbers, positions=places + np.random.default_rng(seed).normal(scale=0.1, size=(3, 3)))


@pytest.mark.parametrize("last", [("cell-0", "cell-4"), ("cell-2", "cell-0"), ("cell-4", "cell-2")])
def test_a_pair_that_follows_from_others_is_named(last: tuple[str, str]) -> None:
    base = pair_base()
    frames = labelled(geometries(30), base, truth(base), 16, 0.01)
    pairs = (("cell-0", "cell-2"), ("cell-2", "cell-4"), last)
    settings = ReadoutSettings(terms=(Energies(), EnergyPairs(pairs=pairs), Band(), WeightPrior()))
    with pytest.raises(FitError, match=f"The pair {last[0]}, {last[1]} follows from the pairs before it"):
        fit_readout(lift_of(frames, base), settings, CONTEXT)


def test_a_label_in_two_pairs_has_one_error() -> None:
    base = pair_base()
    frames = [
        replace(frame, labels={"high": replace(frame.labels["high"], energy_stderr=np.nan)})
        for frame in labelled(geometries(12), base, truth(base), 6, 0.01)[:6]
    ]
    problem = gather(lift_of(frames, base), ReadoutSettings(), CONTEXT)
    pairs = EnergyPairs(pairs=(("cell-0", "cell-2"), ("cell-0", "cell-4")))
    given = assemble((Energies(label_error=0.01), pairs, WeightPrior()), problem)
    auto = assemble((Energies(label_error="auto"), pairs, WeightPrior()), problem)
    assert auto.exact is not None
    data = auto.model.data.with_variance(0.01**2 * auto.exact)
    np.testing.assert_allclose(data.covariance(0.1), given.model.data.covariance(0.1), rtol=1e-12)


def test_a_hinge_tells_no_error_of_a_quadratic_band_s() -> None:
    base = pair_base()
    frames = labelled(geometries(30), base, truth(base), 14, 0.01)
    terms = (Energies(), Band(shape="hinge", tau=0.3), WeightPrior())
    result = fit_readout(lift_of(frames, base), ReadoutSettings(terms=terms), CONTEXT)
    assert np.isnan(result.diagnostics["leave_one_out_rmse"])
    assert not any("ithin a composition" in one for one in result.warnings)
