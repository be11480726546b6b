"""``transfer``: it starts as the base, its reference energies are those that were fitted, and it learns the rest."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends import export, load_base
from rung.backends.mace.export import native_model
from rung.backends.training import trainable
from rung.data.batch import collate
from rung.data.structure import Structure, composition_matrix
from rung.errors import ConfigError, DataError, FitError
from rung.fit.lift import Context, FitResult
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.transfer import TransferSettings, fit_transfer
from rung.fit.training.blocks import moving_names
from rung.model.potential import ReadoutPotential
from tests.fit.lifts import lift_of
from tests.fit.toy_surface import toy_structures

ELEMENTS = (1, 6, 8)


def settings_of(fit_reference: bool = True, **training: object) -> TransferSettings:
    return TransferSettings.read({"fit_reference": fit_reference, "training": {"batch_size": 4, **training}})


def run(
    train: list[Structure], base: ReadoutPotential, settings: TransferSettings, valid: list[Structure] | None = None
) -> FitResult:
    return fit_transfer(lift_of(train, base, valid or []), settings, Context(dtype="float64"))


def energies(potential: ReadoutPotential, structures: list[Structure], fidelity: str) -> np.ndarray:
    batch = collate(structures, [fidelity] * len(structures), potential.cutoff)
    return potential.predict(batch, forces=False).energy.numpy()


@pytest.fixture(scope="module")
def labelled() -> list[Structure]:
    return toy_structures(8, fidelity="high", forces=False)


def test_no_epochs_and_no_reference_give_the_base(tiny_potential: ReadoutPotential, labelled: list[Structure]) -> None:
    result = run(labelled, tiny_potential, settings_of(fit_reference=False, epochs=0))
    assert result.potential.fidelities == ("high",)
    np.testing.assert_allclose(
        energies(result.potential, labelled, "high"), energies(tiny_potential, labelled, "low"), rtol=0.0, atol=1e-10
    )


def test_no_epochs_give_the_base_and_numpy_s_least_squares(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    result = run(labelled, tiny_potential, settings_of(epochs=0, valid_fraction=0.0))
    difference = np.array([s.labels["high"].energy for s in labelled]) - energies(tiny_potential, labelled, "low")
    counts = composition_matrix(labelled, ELEMENTS)
    size = counts.sum(axis=1)
    change = np.linalg.lstsq(counts / size[:, None], difference / size, rcond=None)[0]
    before = tiny_potential.surface("low").reference.energies
    after = result.potential.surface("high").reference.energies
    for number, step in zip(ELEMENTS, change, strict=True):
        assert after[number] == pytest.approx(before[number] + step, abs=1e-8)
    np.testing.assert_allclose(
        energies(result.potential, labelled, "high"),
        energies(tiny_potential, labelled, "low") + counts @ change,
        atol=1e-8,
    )


def test_fitted_reference_energies_survive_the_training(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    """The trap of mace-torch's fine-tuning: shapes agree, and the base's reference energies come back (7.7 eV/atom)."""
    start = run(labelled, tiny_potential, settings_of(epochs=0))
    trained = run(labelled, tiny_potential, settings_of(epochs=3))
    fitted = start.potential.surface("high").reference.energies
    base = tiny_potential.surface("low").reference.energies
    closed = trained.potential.surface("high").reference.energies
    moved = np.array([closed[number] - fitted[number] for number in ELEMENTS])
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(trained.diagnostics["closing_reference_change"])
    assert np.abs(moved).max() < 0.3
    assert min(abs(fitted[number] - base[number]) for number in ELEMENTS) > 0.1
    per_atom = trained.details.epochs[0]["energy_rmse"]
    assert per_atom < 1000.0  # meV/atom; with the base's own reference energies it is beyond 10 eV/atom


def test_training_comes_nearer_and_leaves_the_base_alone(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    before = energies(tiny_potential, labelled, "low")
    settings = settings_of(epochs=40, learning_rate=0.005, valid_fraction=0.0)
    result = run(labelled, tiny_potential, settings)
    log = result.details.epochs
    assert log[-1]["train_loss"] < 0.2 * log[0]["train_loss"]
    assert np.array_equal(energies(tiny_potential, labelled, "low"), before)
    assert result.diagnostics["n_energies"] == 8.0
    assert result.diagnostics["n_force_components"] == 0.0


def test_forces_are_used_where_there_are_any(tiny_potential: ReadoutPotential) -> None:
    both = [*toy_structures(3, fidelity="high"), *toy_structures(3, seed=1, fidelity="high", forces=False)]
    result = run(both, tiny_potential, settings_of(epochs=1, valid_fraction=0.0))
    assert result.diagnostics["n_force_components"] == 3 * sum(len(s) for s in both[:3])
    assert result.diagnostics["n_energies"] == 6.0


def test_types_other_than_the_base_s(tiny_potential: ReadoutPotential, labelled: list[Structure]) -> None:
    result = fit_transfer(lift_of(labelled, tiny_potential), settings_of(epochs=1), Context(dtype="float32"))
    assert result.potential.dtype == torch.float32
    assert tiny_potential.dtype == torch.float64


def test_what_cannot_be_is_refused(tiny_potential: ReadoutPotential, labelled: list[Structure]) -> None:
    settings = settings_of(epochs=1)
    with pytest.raises(ConfigError, match="'transfer' needs a base"):
        fit_transfer(lift_of(labelled), settings, Context())
    with pytest.raises(ConfigError, match="Unknown fidelity 'other'"):
        fit_transfer(lift_of(labelled, tiny_potential, source="other"), settings, Context())
    with pytest.raises(FitError, match="No training structure has a label of 'high'"):
        run(toy_structures(3), tiny_potential, settings)
    strange = labelled[0].atoms.copy()
    strange.numbers[0] = 16
    with pytest.raises(DataError, match=r"\bS\b"):
        run([*labelled, Structure(strange, "strange", labelled[0].labels)], tiny_potential, settings)


def test_a_changed_number_of_epochs_leaves_the_other_defaults_of_the_method() -> None:
    training = TransferSettings.read({"training": {"epochs": 3}}).training
    assert training == TransferSettings().training.model_copy(update={"epochs": 3})
    assert training.starting(new=False).rate == 1e-3


def with_pieces(labelled: list[Structure], base: ReadoutPotential, **pieces: object) -> FitResult:
    training = {"batch_size": 8, "epochs": 1, "valid_fraction": 0.0, **pieces.pop("training", {})}  # type: ignore[dict-item]
    settings = TransferSettings.read({"training": training, **pieces})
    return run(labelled, base, settings)


def tensors(potential: ReadoutPotential) -> dict[str, torch.Tensor]:
    return dict(native_model(potential, potential.fidelities[0]).state_dict())


@pytest.mark.parametrize("blocks", ["readouts", "products", ["interactions\\.1"]])
def test_only_the_chosen_blocks_move(
    tiny_potential: ReadoutPotential, labelled: list[Structure], blocks: str | list[str]
) -> None:
    result = with_pieces(labelled, tiny_potential, blocks=blocks, training={"weight_decay": 0.1})
    before, after = tensors(tiny_potential), tensors(result.potential)
    names = [name for name, _ in native_model(tiny_potential, "low").named_parameters()]
    model = trainable(tiny_potential, {"low": "low"})
    chosen = moving_names(model, tuple(blocks) if isinstance(blocks, list) else blocks)
    moves = {name.removeprefix("module.") for name in chosen}
    for name in names:
        assert torch.equal(before[name], after[name]) == (name not in moves or not before[name].numel()), name
    assert result.diagnostics["n_parameters"] == sum(before[name].numel() for name in moves)


def test_infinite_decay_to_the_base_keeps_it(tiny_potential: ReadoutPotential, labelled: list[Structure]) -> None:
    held = with_pieces(labelled, tiny_potential, training={"decay_to_start": {"strength": float("inf")}})
    start = with_pieces(labelled, tiny_potential, training={"epochs": 0})
    assert held.potential.fingerprint == start.potential.fingerprint
    free = with_pieces(labelled, tiny_potential)
    assert free.potential.fingerprint != start.potential.fingerprint


def test_adapters_leave_a_plain_model_of_the_same_shapes(
    tiny_potential: ReadoutPotential, labelled: list[Structure], tmp_path: Path
) -> None:
    result = with_pieces(labelled, tiny_potential, lora={"rank": 1, "alpha": 2.0})
    before, after = tensors(tiny_potential), tensors(result.potential)
    assert {name: tensor.shape for name, tensor in before.items()} == {n: t.shape for n, t in after.items()}
    assert any(not torch.equal(before[name], after[name]) for name in before)
    names = [name for name, _ in native_model(tiny_potential, "low").named_parameters()]
    assert result.diagnostics["n_parameters"] < 0.8 * sum(before[name].numel() for name in names)
    export(result.potential, "high", tmp_path / "high.model")
    read = load_base(tmp_path / "high.model", fidelity="high")
    np.testing.assert_allclose(
        energies(read, labelled, "high"), energies(result.potential, labelled, "high"), rtol=0.0, atol=1e-10
    )


def test_adapters_of_chosen_blocks(tiny_potential: ReadoutPotential, labelled: list[Structure]) -> None:
    result = with_pieces(labelled, tiny_potential, lora={"rank": 1}, blocks="readouts")
    before, after = tensors(tiny_potential), tensors(result.potential)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("readouts", "atomic_energies")) for name in moved)


def test_replay_keeps_the_base_s_fidelity_and_is_no_target_data(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    result = with_pieces(labelled, tiny_potential, replay={"frames": 5})
    assert result.potential.fidelities == ("high", "low")
    assert result.diagnostics["n_energies"] == 8.0
    assert result.diagnostics["n_force_components"] == 0.0
    assert result.diagnostics["n_energies_low"] == 5.0
    assert result.potential.surface("low").reference == tiny_potential.surface("low").reference
    assert result.diagnostics["reference_rank"] == 3.0


@pytest.mark.parametrize("through", ["own", "shared"])
def test_replayed_predictions_of_the_base_are_met_at_first(
    tiny_potential: ReadoutPotential, labelled: list[Structure], through: str
) -> None:
    """One batch with all rows: the loss of the base's own rows is zero before the first step, whatever the readout."""
    training = {"loss": {"fidelity_weights": {"high": 0.0}}, "epochs": 1, "batch_size": 32}
    result = with_pieces(labelled, tiny_potential, replay={"through": through}, training=training)
    assert result.details.epochs[0]["train_loss"] < 1e-20


def test_replay_through_the_shared_readout_is_one_surface(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    shared = with_pieces(labelled, tiny_potential, replay={"through": "shared"}).potential
    own = with_pieces(labelled, tiny_potential, replay={"through": "own"}).potential
    assert shared.surface("low").readout.fingerprint == shared.surface("high").readout.fingerprint
    np.testing.assert_array_equal(shared.surface("low").readout.weights, shared.surface("high").readout.weights)
    assert not np.array_equal(own.surface("low").readout.weights, own.surface("high").readout.weights)


def test_closing_readout_is_the_readout_fit_of_the_trained_model(
    tiny_potential: ReadoutPotential, labelled: list[Structure]
) -> None:
    trained = with_pieces(labelled, tiny_potential)
    closed = with_pieces(labelled, tiny_potential, closing_readout={})
    lift = lift_of(labelled, trained.potential, source="high")
    alone = fit_readout(lift, ReadoutSettings(), Context(dtype="float64"))
    assert closed.potential.fingerprint == alone.potential.fingerprint
    assert closed.posterior is not None
    assert closed.details.epochs
    assert closed.diagnostics["n_parameters"] == trained.diagnostics["n_parameters"]
