"""Labels that are differences or share errors, in every closed-form fit: what they determine, and what they do not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.data.energy_table import NO_TABLE, EnergyRow, EnergyTable
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.errorbars import joint_energies
from rung.features.passes import build_designs
from rung.features.predict import difference_variance, predict_designs
from rung.fidelity import Fidelity
from rung.fit.lift import FitResult
from rung.fit.linear import problem as problem_module
from rung.fit.linear.terms import Energies, EnergyPairs, WeightPrior, assemble
from rung.fit.methods.delta import DeltaSettings, FeaturesLearner, fit_delta
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.fit.methods.readout import ReadoutSettings, fit_readout, gather
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, geometries, labelled, pair_base, truth

BASE = pair_base()
HIGH = truth(BASE)
PLAIN = ReadoutSettings(terms=(Energies(), WeightPrior()))
FIXED = ReadoutSettings(terms=(Energies(model_error=0.01), WeightPrior(alpha=0.2)), average=1)


def world(count: int, n_labelled: int, sigma: float = 0.01) -> list[Structure]:
    return labelled(geometries(count), BASE, HIGH, n_labelled, sigma)


def exact(frames: Sequence[Structure]) -> np.ndarray:
    designs = build_designs(frames, BASE.backbone, HIGH.readout, forces=False, fidelity="low")
    return np.array([one.energy for one in predict_designs(designs, HIGH, sorted(BASE.elements))])


def fit(frames: Sequence[Structure], table: EnergyTable = NO_TABLE, settings: ReadoutSettings = PLAIN) -> FitResult:
    return fit_readout(replace(lift_of(frames, BASE), table=table), settings, CONTEXT)


def barrier(result: FitResult, image: Structure, reference: Structure) -> tuple[float, float]:
    """Return a difference and its error from weights and E0, eV."""
    surface, elements = result.potential.surface("high"), sorted(BASE.elements)
    first, second = build_designs([image, reference], BASE.backbone, surface.readout, forces=False, fidelity="low")
    found = predict_designs([first, second], surface, elements)
    return found[0].energy - found[1].energy, difference_variance(
        first, second, elements, result.posterior
    ).weights ** 0.5


def test_differences_alone_determine_differences_and_no_total() -> None:
    frames = geometries(60)
    energy = exact(frames)
    rows = [EnergyRow(f"cell-{k + 2}", "high", energy[k + 2] - energy[k], 1e-5, minus=f"cell-{k}") for k in range(38)]
    result = fit(frames, EnergyTable(tuple(rows)))
    for k in range(42, 58):
        value, bar = barrier(result, frames[k], frames[k + 2])
        assert value == pytest.approx(energy[k] - energy[k + 2], abs=0.01)
        assert bar < 0.01
    designs = build_designs(
        frames[:2], BASE.backbone, result.potential.surface("high").readout, forces=False, fidelity="low"
    )
    assert np.isinf(joint_energies(designs, [6, 8], result.posterior).combination_variance([1.0, 0.0]).weights)
    assert any("says nothing of reference energies" in sentence for sentence in result.warnings)
    assert result.diagnostics["n_energies"] == 38


def test_energies_and_differences_are_one_joint_fit() -> None:
    """E₁ and E₂ - E₁ with the covariance that follows from independent E₁ and E₂ say what these say."""
    frames = world(16, 12)
    label = {frame.structure_id: frame.labels["high"] for frame in frames[:12]}
    joint = fit(frames, settings=FIXED)
    rows, kept = [], list(frames)
    for k in range(0, 8, 2):
        first, second = label[f"cell-{k}"], label[f"cell-{k + 1}"]
        spread = float(np.hypot(first.energy_stderr, second.energy_stderr))
        shared = {"run": f"w{k}"}
        rows += [
            EnergyRow(f"cell-{k}", "high", first.energy, first.energy_stderr, shared_stderr=-0.01, **shared),
            EnergyRow(
                f"cell-{k + 1}",
                "high",
                second.energy - first.energy,
                spread,
                minus=f"cell-{k}",
                shared_stderr=0.01,
                **shared,
            ),
        ]
        kept[k + 1] = replace(frames[k + 1], labels={})
    table = EnergyTable(tuple(rows))
    problem = gather(replace(lift_of(kept, BASE), table=table), FIXED, CONTEXT)
    assert len(problem.energies) == 12
    apart = fit(kept, table, FIXED)
    scale = np.abs(joint.posterior.mean).max()
    assert_allclose(apart.posterior.mean, joint.posterior.mean, atol=1e-10 * scale)
    assert_allclose(
        apart.posterior.covariance, joint.posterior.covariance, atol=1e-10 * np.abs(joint.posterior.covariance).max()
    )


def test_correlated_sampling_gives_a_tighter_barrier() -> None:
    """A difference with a tenth of the error, or two energies whose errors are common, against independent ones."""
    frames = world(30, 24, 0.05)
    image, reference = frames[26], frames[28]
    energy = exact([image, reference])
    independent = [*frames]
    for k, value in ((26, energy[0]), (28, energy[1])):
        independent[k] = replace(frames[k], labels={"high": replace(empty_labels(4), energy=value, energy_stderr=0.05)})
    common = float(0.05 * np.sqrt(1 - 0.005))  # the difference then has √(2 (0.05² - common²)) = 0.005
    correlated = EnergyTable(
        tuple(
            EnergyRow(f"cell-{k}", "high", independent[k].labels["high"].energy, 0.05, run="w", shared_stderr=common)
            for k in (26, 28)
        )
    )
    difference = EnergyTable((EnergyRow("cell-26", "high", energy[0] - energy[1], 0.005, minus="cell-28"),))
    settings = ReadoutSettings(terms=(Energies(model_error=1e-3), WeightPrior(alpha=0.5)), average=1)
    bars = [
        barrier(fit(structures, table, settings), image, reference)[1]
        for structures, table in ((independent, NO_TABLE), (frames, difference), (independent, correlated))
    ]
    assert bars[1] < 0.3 * bars[0]
    assert bars[2] == pytest.approx(bars[1], rel=0.1)
    assert bars[2] < bars[1] * 1.0001


def test_the_model_s_own_error_cancels_where_environments_are_equal() -> None:
    frames = world(6, 4)
    copy = replace(frames[4], structure_id="copy")
    table = EnergyTable((EnergyRow("copy", "high", 0.0, 0.01, minus="cell-4"),))
    problem = gather(replace(lift_of([*frames, copy], BASE), table=table), PLAIN, CONTEXT)
    assert problem.energies.model[-1, -1] == pytest.approx(0.0, abs=1e-9)
    assert problem.energies.statistical[-1, -1] == pytest.approx(1e-4)
    other = EnergyTable((EnergyRow("cell-5", "high", 0.0, 0.01, minus="cell-4"),))
    problem = gather(replace(lift_of(frames, BASE), table=other), PLAIN, CONTEXT)
    own = problem.environments.overlaps([frames[5].geometry_hash, frames[4].geometry_hash])
    assert problem.energies.model[-1, -1] == pytest.approx(own[0, 0] + own[1, 1] - 2 * own[0, 1])


def test_what_all_labels_share_cancels_in_a_difference() -> None:
    frames = geometries(12)
    energy = exact(frames)
    table = EnergyTable(
        tuple(EnergyRow(f"cell-{k + 2}", "high", energy[k + 2] - energy[k], 0.01, minus=f"cell-{k}") for k in range(8))
    )
    lift = lift_of(frames, BASE, fidelities=("low", Fidelity("high", energy_shared_stderr=0.5)))
    result = fit_readout(replace(lift, table=table), FIXED, CONTEXT)
    assert_allclose(result.posterior.shared, 0.0, atol=1e-12)
    plain = fit(frames, table, FIXED)
    assert_allclose(result.posterior.mean, plain.posterior.mean, atol=1e-12)
    named = ReadoutSettings(terms=(Energies(), EnergyPairs(pairs=(("cell-0", "cell-2"),)), WeightPrior()), average=1)
    paired = fit_readout(replace(lift, train=world(12, 8)), named, CONTEXT)  # pairs are differences too
    assert np.abs(paired.posterior.shared).max() > 0.01


def test_exact_differences_beside_exact_energies_stay_solvable() -> None:
    frames = labelled(geometries(10), BASE, HIGH, 10, 0.0)
    energy = exact(frames)
    rows = [EnergyRow(f"cell-{k + 2}", "high", energy[k + 2] - energy[k], minus=f"cell-{k}") for k in range(8)]
    for frame in frames:
        assert np.isnan(frame.labels["high"].energy_stderr) or frame.labels["high"].energy_stderr == 0.0
    result = fit(frames, EnergyTable(tuple(rows)))
    assert np.isfinite(result.posterior.covariance).all()


def test_offset_takes_a_reaction_energy() -> None:
    """A difference of two compositions is a combination of reference energies; within one it says nothing of them."""
    frames = geometries(6)
    energy = exact(frames)
    low = BASE.surface("low")
    designs = build_designs(frames, BASE.backbone, low.readout, forces=False, fidelity="low")
    before = [one.energy for one in predict_designs(designs, low, [6, 8])]
    table = EnergyTable((EnergyRow("cell-1", "high", energy[1] - energy[0], 0.01, minus="cell-0"),))
    result = fit_offset(replace(lift_of(frames, BASE), table=table), OffsetSettings(), CONTEXT)
    moved = result.posterior.mean[-2:]
    assert moved[1] - moved[0] == pytest.approx((energy[1] - energy[0]) - (before[1] - before[0]))
    within = EnergyTable((EnergyRow("cell-2", "high", energy[2] - energy[0], 0.01, minus="cell-0"),))
    result = fit_offset(replace(lift_of(frames, BASE), table=within), OffsetSettings(), CONTEXT)
    assert_allclose(result.posterior.mean, 0.0, atol=1e-12)
    assert any("says nothing of reference energies" in sentence for sentence in result.warnings)


def test_delta_by_features_is_the_readout_without_a_band() -> None:
    frames = world(20, 10)
    energy = exact(frames)
    table = EnergyTable((EnergyRow("cell-12", "high", energy[12] - energy[0], 0.01, minus="cell-0"),))
    lift = replace(lift_of(frames, BASE), table=table)
    delta = fit_delta(lift, DeltaSettings(learner=FeaturesLearner()), CONTEXT)
    assert_allclose(delta.posterior.mean, fit(frames, table).posterior.mean, rtol=1e-10, atol=1e-12)


def test_pairs_and_a_table_of_differences_do_not_go_together() -> None:
    frames = world(8, 8)
    table = EnergyTable((EnergyRow("cell-2", "high", 0.1, 0.01, minus="cell-0"),))
    problem = gather(replace(lift_of(frames, BASE), table=table), PLAIN, CONTEXT)
    with pytest.raises(ConfigError, match="write the pairs into the table"):
        assemble((Energies(), EnergyPairs(pairs=(("cell-0", "cell-2"),)), WeightPrior()), problem)


def test_more_structures_than_full_matrices_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem_module, "MOST_BESIDE_DIFFERENCES", 5)
    table = EnergyTable((EnergyRow("cell-2", "high", 0.1, 0.01, minus="cell-0"),))
    with pytest.raises(FitError, match="8 structures are labelled: the covariance is held for 5"):
        fit(world(8, 8), table)


def test_a_pair_of_a_geometry_with_two_energies_is_refused() -> None:
    """The name does not say which of them is meant, and the other one was dropped."""
    frames = world(8, 8)
    again = replace(frames[0], labels={**frames[0].labels, "high": replace(frames[0].labels["high"], energy=-9.0)})
    problem = gather(lift_of([*frames, again], BASE), PLAIN, CONTEXT)
    with pytest.raises(FitError, match=r"with several energies, and do not say which: cell-0\."):
        assemble((Energies(), EnergyPairs(pairs=(("cell-0", "cell-2"),)), WeightPrior()), problem)
