"""``scratch``: what a new model starts from, and what comes out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from rung.backends import export, load_base
from rung.data.batch import collate
from rung.data.labels import Labels
from rung.data.stream import pack
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, FitError
from rung.fit.fidelities.normalisation import normalisation
from rung.fit.lift import Context, FitResult
from rung.fit.methods.scratch import ScratchSettings, fit_scratch
from rung.model.potential import ReadoutPotential
from tests.fit.lifts import lift_of
from tests.fit.toy_surface import REFERENCE, toy_structures

TINY = {
    "channels": 2, "max_l": 0, "max_harmonic": 1, "layers": 1, "cutoff": 3.0, "correlation": 1, "radial_units": [4],
    "readout_units": 2,
}  # fmt: skip


def settings_of(**training: object) -> ScratchSettings:
    return ScratchSettings.read({"architecture": TINY, "training": {"epochs": 2, "batch_size": 4, **training}})


def run(train: list[Structure], valid: list[Structure] | None = None, **options: object) -> FitResult:
    settings = options.pop("settings", settings_of())
    lift = lift_of(train, valid=valid or [], target="low", fidelities=["low"])
    return fit_scratch(lift, settings, Context(**options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result() -> FitResult:
    return run(toy_structures(12), settings=settings_of(epochs=6, learning_rate=0.01))


def test_potential_offers_the_target_and_knows_its_elements(result: FitResult) -> None:
    assert isinstance(result.potential, ReadoutPotential)
    assert result.potential.fidelities == ("low",)
    assert result.potential.elements == frozenset(REFERENCE)
    assert result.posterior is None


def test_log_holds_every_epoch_and_the_loss_falls(result: FitResult) -> None:
    log = result.details.epochs
    assert [row["epoch"] for row in log] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert log[-1]["valid_loss"] < log[0]["valid_loss"]
    assert result.diagnostics["best_loss"] == min(row["valid_loss"] for row in log)
    assert result.diagnostics["n_valid"] == 1.0
    assert result.diagnostics["n_energies"] == 11.0


def test_validation_errors_are_those_of_the_frozen_potential() -> None:
    train, valid = toy_structures(6), toy_structures(3, seed=4)
    given = {"H": REFERENCE[1], "C": REFERENCE[6], "O": REFERENCE[8]}  # else they are fitted again after the last epoch
    settings = settings_of(epochs=1).model_copy(update={"reference_energies": given})
    result = run(train, valid, dtype="float64", settings=settings)
    batch = collate(valid, ["low"] * 3, result.potential.cutoff)
    found = result.potential.predict(batch)
    row = result.details.epochs[-1]
    energy = ((found.energy - batch.energy) / batch.n_atoms).square().mean().sqrt().item()
    forces = (found.forces - batch.forces).square().mean().sqrt().item()
    assert row["energy_rmse"] == pytest.approx(1000 * energy, rel=1e-9)
    assert row["force_rmse"] == pytest.approx(1000 * forces, rel=1e-9)


def test_exported_file_predicts_as_the_potential(tmp_path: Path) -> None:
    structures = toy_structures(6)
    potential = run(structures, dtype="float64").potential
    export(potential, "low", tmp_path / "low.model")
    again = load_base(tmp_path / "low.model", fidelity="low")
    batch = collate(structures, ["low"] * 6, potential.cutoff)
    one, two = potential.predict(batch), again.predict(batch)
    torch.testing.assert_close(one.energy, two.energy, rtol=0.0, atol=1e-10)
    torch.testing.assert_close(one.forces, two.forces, rtol=0.0, atol=1e-10)


def test_start_is_measured_on_the_training_rows() -> None:
    structures = toy_structures(8)
    rows = pack(structures, ["low"] * 8, 3.0)
    start = normalisation(structures, rows, (1, 6, 8), 0.005)
    forces = np.concatenate([structure.labels["low"].forces for structure in structures])
    assert start.scales["low"][0] == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert start.scales["low"][1] == 0.0
    distances = [structure.atoms.get_all_distances() for structure in structures]
    pairs = sum(int(((distance > 0) & (distance < 3.0)).sum()) for distance in distances)
    assert start.avg_num_neighbors == pytest.approx(pairs / sum(len(structure) for structure in structures))


def test_given_reference_energies_are_kept_and_the_rest_is_the_shift() -> None:
    structures = toy_structures(8)
    rows = pack(structures, ["low"] * 8, 3.0)
    given = {"H": REFERENCE[1], "C": REFERENCE[6], "O": REFERENCE[8]}
    start = normalisation(structures, rows, (1, 6, 8), 0.005, {"low": given})
    assert start.references["low"].energies == REFERENCE
    bound = [s.labels["low"].energy - sum(REFERENCE[int(z)] for z in s.atoms.numbers) for s in structures]
    per_atom = [b / len(s) for b, s in zip(bound, structures, strict=True)]
    assert start.scales["low"][1] == pytest.approx(np.mean(per_atom))
    with pytest.raises(ConfigError, match=r"\bO\b"):
        normalisation(structures, rows, (1, 6, 8), 0.005, {"low": {"H": 0.0, "C": 0.0}})


def test_without_forces_the_scale_is_the_spread_of_energies() -> None:
    structures = toy_structures(8, forces=False)
    rows = pack(structures, ["low"] * 8, 3.0)
    start = normalisation(structures, rows, (1, 6, 8), 0.005)
    counts = np.array([[np.sum(s.atoms.numbers == z) for z in (1, 6, 8)] for s in structures], dtype=float)
    size = counts.sum(axis=1)
    energies = np.array([s.labels["low"].energy for s in structures])
    residual = energies - counts @ np.linalg.lstsq(counts / size[:, None], energies / size, rcond=None)[0]
    assert start.scales["low"][0] == pytest.approx(np.sqrt(np.mean((residual / size) ** 2)), rel=1e-8)


def test_a_single_structure_still_gives_a_scale() -> None:
    structures = toy_structures(1, forces=False)
    start = normalisation(structures, pack(structures, ["low"], 3.0), (1, 8), 0.005)
    assert start.scales["low"][0] == 1.0


def test_reference_energies_of_the_result_are_those_it_started_from() -> None:
    given = {"H": -1.5, "C": -2.5, "O": -3.5}
    settings = settings_of(epochs=2).model_copy(update={"reference_energies": given})
    result = run(toy_structures(6), settings=settings)
    assert result.potential.surface("low").reference.energies == {1: -1.5, 6: -2.5, 8: -3.5}


def test_no_change_of_reference_energies_would_lower_the_training_error() -> None:
    structures = toy_structures(9)
    train, valid = structures[:6], structures[6:]
    result = run(train, valid, dtype="float64", settings=settings_of(epochs=3, learning_rate=0.01))
    batch = collate(train, ["low"] * len(train), result.potential.cutoff)
    found = result.potential.predict(batch)
    residual = (batch.energy - found.energy).numpy()
    counts = np.array([[np.sum(s.atoms.numbers == z) for z in (1, 6, 8)] for s in train], dtype=float)
    size = counts.sum(axis=1)  # the loss weighs a structure of N atoms as one over N squared
    change = np.linalg.lstsq(counts / size[:, None], residual / size, rcond=None)[0]
    assert np.abs(counts @ change).max() < 1e-8
    assert result.diagnostics["closing_reference_change"] > 1e-4


def test_same_seed_same_potential() -> None:
    one, two, other = (run(toy_structures(6), seed=seed).potential.fingerprint for seed in (1, 1, 2))
    assert one == two != other


def test_folder_keeps_the_table_and_a_second_run_only_reads(tmp_path: Path) -> None:
    first = run(toy_structures(6), folder=tmp_path)
    second = run(toy_structures(6), folder=tmp_path)
    assert (tmp_path / "epochs.csv").exists()
    assert first.details == second.details
    assert first.potential.fingerprint == second.potential.fingerprint


def test_one_composition_is_warned_of() -> None:
    water = [structure for structure in toy_structures(16) if structure.formula == "H2O"]
    result = run(water)
    assert "tell only 1 combination of the 2" in result.warnings[0]


def test_what_cannot_be_is_refused() -> None:
    train = toy_structures(6)
    with pytest.raises(ConfigError, match="uses no base"):
        fit_scratch(lift_of(train, run(train).potential, target="low"), settings_of(), Context())
    with pytest.raises(ConfigError, match="Unknown fidelity 'lwo'"):
        fit_scratch(lift_of(train, target="lwo"), settings_of(), Context())
    with pytest.raises(FitError, match="No training structure has a label of 'low'"):
        run(toy_structures(3, fidelity="high"))
    strange = train[0].atoms.copy()
    strange.numbers[0] = 16
    n_atoms = len(strange)
    labels = Labels(0.0, np.nan, np.zeros((n_atoms, 3)), np.full((n_atoms, 3), np.nan), np.full(6, np.nan))
    with pytest.raises(DataError, match=r"\bS\b"):
        run(train, [Structure(strange, "strange", {"low": labels})])
    with pytest.raises(ConfigError, match="'Xx' is not an element"):
        ScratchSettings.read({"reference_energies": {"Xx": 1.0}})


def test_settings_name_the_nearest_key() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'channels'"):
        ScratchSettings.read({"architecture": {"chanels": 8}})


def test_float64_is_float64_all_the_way() -> None:
    result = run(toy_structures(6), dtype="float64")
    assert result.potential.dtype == torch.float64


def test_elements_that_it_will_be_asked_for_and_never_sees_are_refused_before_the_training(tmp_path: Path) -> None:
    hydrogen, helium = ([Structure(Atoms(symbol), symbol, {})] for symbol in ("H", "He"))
    with pytest.raises(DataError, match="trains the new model holds He, which structures to evaluate on hold"):
        run(toy_structures(4), evaluated=[hydrogen, helium], folder=tmp_path)
    assert not list(tmp_path.iterdir())
    assert run(toy_structures(4), settings=settings_of(epochs=0), evaluated=[hydrogen]).potential.elements >= {1}
