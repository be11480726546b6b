"""Every run says whether it started at its base and what became of the other fidelities, with the right numbers."""

from dataclasses import replace

import numpy as np
import pytest

from rung import checkpoint
from rung.config import load_config
from rung.data.readers.structures import read_structures
from rung.data.splits import evenly_spread
from rung.model.potential import ReadoutPotential, Surface
from rung.run import checks
from rung.run.checks import OTHER_STRUCTURES, other_fidelities, risen, start_of
from rung.run.evaluation import predict
from rung.run.stages import run_fit
from rung.storage import jsonable
from tests.fit.lifts import lift_of
from tests.results.made import split_errors
from tests.run.small_world import SmallWorld


def test_a_run_that_leaves_the_base_alone_says_so_to_the_last_bit(world: SmallWorld) -> None:
    metrics = run_fit(load_config(world.config())).metrics
    assert metrics.base is not None and metrics.checks.step_zero is not None
    after, before = (found["test"]["low"].as_json() for found in (metrics.splits, metrics.base))
    assert jsonable(after) == jsonable(before)
    assert metrics.splits["test"]["low"].energy_rmse < 1e-6  # the base made these labels
    assert metrics.checks.warnings == ()
    assert metrics.checks.step_zero.energy < 1e-8
    assert metrics.checks.step_zero.force < 1e-8


@pytest.mark.parametrize("method", ["offset", "readout", "tangent"])
def test_what_is_not_trained_starts_at_the_base(world: SmallWorld, method: str) -> None:
    config = load_config(world.config(method={"name": method}))
    structures = read_structures(world.folder / "train.extxyz")
    found = start_of(lift_of(structures, world.low), config.method, {})
    assert found is not None and max(found.energy, found.force) < 1e-8
    assert found.warnings == ()


def test_designs_that_are_not_the_bases_are_measured(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    structures = read_structures(world.folder / "train.extxyz")

    def off(*arguments: object, **options: object) -> object:
        found = predict(*arguments, **options)  # type: ignore[arg-type]
        return replace(
            found,
            energy=found.energy + 0.003 * np.array([len(one) for one in evenly_spread(structures, 4)]),
            forces=tuple(None if block is None else block + 0.002 for block in found.forces),
        )

    monkeypatch.setattr("rung.run.checks.predict", off)
    found = start_of(lift_of(structures, world.low), load_config(world.config()).method, {})
    assert found is not None
    assert found.energy == pytest.approx(3.0, abs=1e-6)
    assert found.force == pytest.approx(2.0, abs=1e-6)
    assert len(found.warnings) == 1


def test_a_training_says_where_it_started(world: SmallWorld) -> None:
    training = {"epochs": 1, "batch_size": 8}
    run = run_fit(load_config(world.config(method={"name": "joint", "training": training})))
    assert run.metrics.checks.step_zero is not None
    assert run.metrics.checks.step_zero.energy < 1e-6
    assert run.metrics.checks.step_zero.force < 1e-6
    fitted = checkpoint.load(run.folder.model).potential
    test = read_structures(world.folder / "test.extxyz")
    said, label = predict(fitted, test, "low").energy, [one.labelled("low").energy for one in test]
    errors = (said - label) / [len(one) for one in test]
    after = run.metrics.splits["test"]["low"]
    assert after.energy_rmse == pytest.approx(1000 * np.sqrt(np.mean(errors**2)), rel=1e-9)
    assert after.energy_rmse > 0.0  # one epoch moved the shared weights
    assert any("rose" in sentence for sentence in run.warnings)
    for by_fidelity in run.metrics.splits.values():
        for found in by_fidelity.values():
            forces = (found.force_rmse, found.force_departure_rmse)
            assert np.isfinite(forces).any()  # no energy error without its forces


def moved(potential: ReadoutPotential) -> ReadoutPotential:
    surface = potential.surface("low")
    readout = surface.readout.moved(0.05 * surface.readout.weights)
    return potential.with_surface("low", Surface(readout, surface.reference))


def test_a_fidelity_that_changed_is_compared_and_one_that_is_gone_is_not(world: SmallWorld) -> None:
    test = read_structures(world.folder / "test.extxyz")
    fitted = moved(world.high)
    found = other_fidelities(fitted, world.low, test, "high", split="test")
    assert set(found.after) == set(found.before) == {"low"}
    forces = np.concatenate([block for block in predict(fitted, test, "low").forces if block is not None])
    labels = np.concatenate([one.labelled("low").forces for one in test])
    assert found.after["low"].force_rmse == pytest.approx(1000 * np.sqrt(np.mean((forces - labels) ** 2)), rel=1e-9)
    assert len(found.warnings) == 2
    gone = ReadoutPotential(fitted.backbone, {"high": fitted.surface("high")})
    assert other_fidelities(gone, world.low, test, "high") == checks.OtherFidelities()
    alone = other_fidelities(fitted, None, test, "high")
    assert alone.before == {} and alone.warnings == ()
    assert alone.after["low"].force_rmse == found.after["low"].force_rmse


def test_many_structures_are_thinned(world: SmallWorld) -> None:
    test = read_structures(world.folder / "test.extxyz")
    many = [replace(test[k % len(test)], structure_id=str(k)) for k in range(OTHER_STRUCTURES + 30)]
    assert other_fidelities(world.low, None, many, "high").after["low"].n_structures == OTHER_STRUCTURES


def test_an_error_has_risen_above_five_per_cent() -> None:
    before = split_errors(energy_rmse=10.0, force_rmse=100.0)
    assert risen("pbe", before, split_errors(energy_rmse=10.5, force_rmse=105.0)) == ()
    assert len(risen("pbe", before, split_errors(energy_rmse=10.51, force_rmse=100.0))) == 1
    assert risen("pbe", before, split_errors(energy_rmse=np.nan, force_rmse=np.nan)) == ()
    assert risen("pbe", None, split_errors(energy_rmse=10.0, force_rmse=1.0)) == ()
