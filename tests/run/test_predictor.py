"""Predictions from cached designs are those of the model itself, and their bars those of the calculator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung import checkpoint
from rung.calculator import RungCalculator
from rung.data.readers.structures import read_structures
from rung.features.cache import DesignCache
from rung.run.evaluation import errors_of, predict, shares_of
from rung.run.predictor import ForceRows, Predictor, force_rows, with_bars
from tests.run.small_world import SmallWorld


@pytest.fixture(scope="module")
def fitted(original: SmallWorld) -> checkpoint.Checkpoint:
    """The model of the finished run."""
    return checkpoint.load(original.folder / "run" / "model.rung")


def test_designs_predict_what_the_model_does(
    original: SmallWorld, fitted: checkpoint.Checkpoint, tmp_path: Path
) -> None:
    test = read_structures(original.folder / "test.extxyz")
    predictor = Predictor(original.low, DesignCache(tmp_path), 100)
    found = predictor.predict(fitted.potential, fitted.posterior, test, "high", "high")
    due = predict(fitted.potential, test, "high")
    assert np.allclose(found.energy, due.energy, rtol=0.0, atol=1e-9)
    for one, other in zip(found.forces, due.forces, strict=True):
        assert one is not None and other is not None
        assert np.allclose(one, other, rtol=0.0, atol=1e-9)
    calculator = RungCalculator(fitted, fidelity="high")
    bars = [calculator.get_energy_stderr(one.atoms) for one in test]
    assert np.allclose(found.energy_stderr, bars, rtol=1e-9)
    assert np.allclose(
        found.energy_stderr, with_bars(due, fitted.potential, fitted.posterior, test, "high").energy_stderr
    )
    assert found.forces_stderr is not None and found.forces_stderr[0] is not None
    assert np.allclose(found.forces_stderr[0], calculator.get_forces_stderr(test[0].atoms), rtol=1e-9)


def test_each_design_is_computed_once(original: SmallWorld, fitted: checkpoint.Checkpoint, tmp_path: Path) -> None:
    test = read_structures(original.folder / "test.extxyz")
    cache = DesignCache(tmp_path)
    predictor = Predictor(original.low, cache, 2)
    first = predictor.predict(fitted.potential, fitted.posterior, test, "high", "high")
    for entry in cache.entries():
        entry.path.unlink()
    second = predictor.predict(fitted.potential, fitted.posterior, test, "high", "high")
    assert np.array_equal(first.energy, second.energy)
    assert not list(cache.entries())


def test_forces_that_were_not_predicted_count_nowhere(original: SmallWorld, fitted: checkpoint.Checkpoint) -> None:
    test = read_structures(original.folder / "test.extxyz")
    predictor = Predictor(original.low, None, 2)
    assert force_rows(test, "high", 2).rows == (0, 5)
    found = predictor.predict(fitted.potential, fitted.posterior, test, "high", "high")
    assert [block is not None for block in found.forces] == [True, False, False, False, False, True]
    errors = errors_of(found, test, "high", predict(original.low, test, "low"))
    assert errors.n_forces == 3 * (len(test[0]) + len(test[5]))
    assert np.isfinite(errors.force_departure_rmse)
    label = np.concatenate([test[k].labelled("high").forces for k in (0, 5)])
    said = np.concatenate([block for block in found.forces if block is not None])
    assert errors.force_rmse == pytest.approx(1e3 * np.sqrt(np.mean((said - label) ** 2)), rel=1e-12)


def test_without_force_labels_any_structure_may_show_a_departure(original: SmallWorld) -> None:
    train = read_structures(original.folder / "train.extxyz")
    assert force_rows(train, "high", 4).rows == (0, 5, 10, 15)
    assert force_rows(train, "low", 4).rows == (0, 5, 10, 15)


def test_a_barrier_has_the_bars_of_the_calculator(original: SmallWorld, fitted: checkpoint.Checkpoint) -> None:
    images = [one for one in read_structures(original.folder / "train.extxyz") if one.formula == "H2O"]
    found = Predictor(original.low, None).static_barrier(fitted.potential, fitted.posterior, images, "high")
    calculator = RungCalculator(fitted, fidelity="high")
    energies = np.array([calculator.get_potential_energy(image.atoms) for image in images])
    saddle = int(np.argmax(energies))
    assert saddle > 0
    assert found.barrier == pytest.approx(energies[saddle] - energies[0], abs=1e-9)
    first, highest = images[0].atoms, images[saddle].atoms
    none = calculator.energy_difference_stderr(highest, first, model_error="none")
    whole = calculator.energy_difference_stderr(highest, first)
    assert found.barrier_stderr == pytest.approx(none, rel=1e-9)
    assert found.barrier_stderr_total == pytest.approx(whole, rel=1e-9)
    assert whole > none > 0


def test_a_potential_whose_backbone_moved_is_run_as_it_is(original: SmallWorld, fitted: checkpoint.Checkpoint) -> None:
    test = read_structures(original.folder / "test.extxyz")
    predictor = Predictor(None, None, 2)  # no base: nothing can be taken for frozen
    found = predictor.predict(fitted.potential, fitted.posterior, test, "high", "high")
    assert np.array_equal(found.energy, predict(fitted.potential, test, "high").energy)
    assert [block is not None for block in found.forces] == [True, False, False, False, False, True]
    assert np.isnan(predictor.predict(fitted.potential, None, test, "high", "high").energy_stderr).all()


def test_a_study_covers_what_a_run_covers_with_a_frozen_backbone_or_another(
    original: SmallWorld, fitted: checkpoint.Checkpoint
) -> None:
    test = read_structures(original.folder / "test.extxyz")
    plain = predict(fitted.potential, test, "high")
    due = errors_of(with_bars(plain, fitted.potential, fitted.posterior, test, "high"), test, "high")
    for base in (original.low, None):
        found = Predictor(base, None).predict(fitted.potential, fitted.posterior, test, "high", "high")
        shares = shares_of(found, test, "high")
        assert shares["coverage_energy_68"] == due.coverage_energy_68
        assert shares["coverage_energy_95"] == due.coverage_energy_95
        assert errors_of(found, test, "high").energy_z2 == pytest.approx(due.energy_z2, rel=1e-6)


def test_a_large_split_is_judged_on_as_many_forces_as_are_cheap(original: SmallWorld) -> None:
    (one, *_) = read_structures(original.folder / "test.extxyz")
    per = len(one)
    assert len(force_rows([one] * 400, "high", None).rows) == min(400, 2000 // per)
    assert len(force_rows([one] * 4000, "high", None).rows) == 2000 // per
    big = replace(one, atoms=one.atoms * (1, 1, 1))
    big.atoms.extend(one.atoms)
    assert force_rows([big] * 10, "other", None) == ForceRows(tuple(range(10)), 10)
    assert force_rows([one] * 4000, "high", 7).n_able == 4000


def test_forces_without_bars_are_those_of_the_model(original: SmallWorld, fitted: checkpoint.Checkpoint) -> None:
    test = [*read_structures(original.folder / "test.extxyz")] * 11  # more than have bars
    found = Predictor(original.low, None).predict(fitted.potential, fitted.posterior, test, "high", "high")
    assert found.forces_stderr is not None
    assert sum(block is not None for block in found.forces_stderr) == 60
    due = predict(fitted.potential, test[:6], "high").forces
    for place, block in enumerate(found.forces):
        assert block is not None
        assert np.allclose(block, due[place % 6], rtol=0.0, atol=1e-9)


def test_shares_count_labels_within_their_bars(original: SmallWorld, fitted: checkpoint.Checkpoint) -> None:
    test = read_structures(original.folder / "test.extxyz")
    found = Predictor(original.low, None).predict(fitted.potential, fitted.posterior, test, "high", "high")
    label = np.array([one.labelled("high").energy for one in test])
    wide = replace(found, energy_stderr=np.full(len(test), 1e6))
    narrow = replace(found, energy_stderr=np.full(len(test), 1e-9))
    assert shares_of(wide, test, "high")["coverage_energy_68"] == 1.0
    assert shares_of(narrow, test, "high")["coverage_energy_95"] == 0.0
    own = shares_of(found, test, "high")
    due = np.mean(np.abs(found.energy - label) <= 0.994458 * found.energy_stderr)  # the 68 % quantile
    assert own["coverage_energy_68"] == pytest.approx(due)
    assert set(own) == {f"coverage_{what}_{level}" for what in ("energy", "forces") for level in (68, 95)}
