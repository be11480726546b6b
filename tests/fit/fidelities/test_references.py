"""Reference energies are solved in closed form after every training, and no others move."""

import numpy as np
import pytest

from rung.data.batch import collate
from rung.data.structure import Structure
from rung.fit.lift import Context, FitResult
from rung.fit.methods.delta import DeltaSettings, fit_delta
from rung.fit.methods.joint import JointSettings, fit_joint
from rung.fit.methods.onehot import OneHotSettings, fit_onehot
from rung.fit.methods.transfer import TransferSettings, fit_transfer
from rung.model.potential import ReadoutPotential
from tests.fit.levels import two_levels
from tests.fit.lifts import lift_of

TINY = {
    "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 3.0, "correlation": 1, "radial_units": [4],
    "readout_units": 2,
}  # fmt: skip
TRAINING = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "valid_fraction": 0.0}
GIVEN = {"H": -1.5, "C": -2.5, "O": -3.5}


def frames() -> list[Structure]:
    return two_levels(10, 8)


def joint(base: ReadoutPotential, **settings: object) -> FitResult:
    read = JointSettings.read({"architecture": TINY, "training": TRAINING, **settings})
    return fit_joint(lift_of(frames(), base), read, Context(dtype="float64"))


def onehot(base: ReadoutPotential, **settings: object) -> FitResult:
    read = OneHotSettings.read({"architecture": TINY, "training": TRAINING, **settings})
    return fit_onehot(lift_of(frames(), base), read, Context(dtype="float64"))


def transfer(base: ReadoutPotential, **settings: object) -> FitResult:
    read = TransferSettings.read({"training": TRAINING, **settings})
    return fit_transfer(lift_of(frames(), base), read, Context(dtype="float64"))


def delta(base: ReadoutPotential) -> FitResult:
    read = DeltaSettings.read({"learner": {"name": "mace", "architecture": TINY, "training": TRAINING}})
    return fit_delta(lift_of(frames(), base), read, Context(dtype="float64"))


RUNS = {
    "joint": joint,
    "joint, new": lambda base: joint(base, start="new"),
    "onehot": onehot,
    "onehot, target alone": lambda base: onehot(base, trains="fidelity"),
    "onehot, new": lambda base: onehot(base, start="new"),
    "transfer": transfer,
    "transfer, adapters": lambda base: transfer(base, lora={"rank": 2}),
    "transfer, replay": lambda base: transfer(base, replay={"frames": 4}),
    "delta": delta,
}


def best_change(potential: ReadoutPotential, fidelity: str) -> float:
    """Return how much a change of reference energies could still move a training energy, eV/atom, by numpy."""
    rows = [one for one in frames() if one.labelled(fidelity).has_energy]
    said = potential.predict(collate(rows, [fidelity] * len(rows), potential.cutoff), forces=False).energy.numpy()
    labels = np.array([one.labelled(fidelity).energy for one in rows])
    counts = np.array([[np.sum(one.atoms.numbers == z) for z in (1, 6, 8)] for one in rows], dtype=float)
    size = counts.sum(axis=1)
    change = np.linalg.lstsq(counts / size[:, None], (labels - said) / size, rcond=None)[0]
    return float(np.abs(counts @ change / size).max())


@pytest.fixture(scope="module")
def results() -> dict[str, FitResult]:
    """Return the runs so far, for two tests look at some of them."""
    return {}


def result_of(name: str, results: dict[str, FitResult], base: ReadoutPotential) -> FitResult:
    if name not in results:
        results[name] = RUNS[name](base)
    return results[name]


@pytest.mark.parametrize("name", RUNS)
def test_no_change_of_reference_energies_would_lower_the_training_error(
    name: str, results: dict[str, FitResult], tiny_potential: ReadoutPotential
) -> None:
    result = result_of(name, results, tiny_potential)
    assert best_change(result.potential, "high") < 1e-9
    new = name in ("joint, new", "onehot, new")
    assert result.diagnostics["closing_reference_change_high" if new else "closing_reference_change"] > 1e-6
    if new:
        assert best_change(result.potential, "low") < 1e-9


@pytest.mark.parametrize("name", ["joint", "onehot", "transfer, replay"])
def test_those_of_the_base_stay(name: str, results: dict[str, FitResult], tiny_potential: ReadoutPotential) -> None:
    result = result_of(name, results, tiny_potential)
    assert result.potential.surface("low").reference == tiny_potential.surface("low").reference
    assert "closing_reference_change_low" not in result.diagnostics


def test_those_that_the_user_gave_stay(tiny_potential: ReadoutPotential) -> None:
    given = {"high": GIVEN}
    result = joint(tiny_potential, start="new", reference_energies=given)
    assert result.potential.surface("high").reference.energies == {1: -1.5, 6: -2.5, 8: -3.5}
    assert best_change(result.potential, "low") < 1e-9
    kept = transfer(tiny_potential, fit_reference=False)
    assert kept.potential.surface("high").reference == tiny_potential.surface("low").reference


def test_the_errors_that_are_told_are_those_after_it(tiny_potential: ReadoutPotential) -> None:
    valid = two_levels(4, 4, seed=5)
    read = JointSettings.read({"training": TRAINING})
    result = fit_joint(lift_of(frames(), tiny_potential, valid), read, Context(dtype="float64"))
    batch = collate(valid, ["high"] * 4, tiny_potential.cutoff)
    error = (result.potential.predict(batch, forces=False).energy - batch.energy) / batch.n_atoms
    assert result.diagnostics["high_energy_rmse"] == pytest.approx(1e3 * float(error.square().mean().sqrt()), rel=1e-9)
