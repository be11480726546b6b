"""The trainer: it learns, it repeats itself to the bit, and it resumes as if it had not been stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.data.stream import PackedRows, pack, shuffled
from rung.errors import ConfigError, FitError, StorageError
from rung.fit.training import checkpoint as checkpointing
from rung.fit.training.loss import LossSettings
from rung.fit.training.processes import Processes
from rung.fit.training.sampling import Balanced
from rung.fit.training.schedule import Constant, Plateau
from rung.fit.training.stages import FinalStage, TrainingSettings
from rung.fit.training.trainer import Trained, told_of, train
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.fit.toy_model import CUTOFF, ToyTrainable
from tests.fit.toy_surface import REFERENCE, toy_structures

PLAIN = {"schedule": Constant(), "checkpoint_seconds": 0.0}


def model_of(seed: int = 0) -> ToyTrainable:
    return ToyTrainable(seed)


def rows_of(count: int, seed: int = 0) -> PackedRows:
    return pack(toy_structures(count, seed), ["low"] * count, CUTOFF)


def run(model: TrainablePotential, settings: TrainingSettings, **options: object) -> Trained:
    arguments = {"rows": rows_of(6), "valid": rows_of(4, seed=9), "seed": 5, "dtype": torch.float64, **options}
    return train(model, arguments.pop("rows"), arguments.pop("valid"), settings, **arguments)  # type: ignore[arg-type]


def weights(model: TrainablePotential) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Stop(BaseException):
    """Stands for a key pressed in the middle of an epoch."""


class StoppingProgress:
    """Progress that stops the process's work after some batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, description: str, total: int) -> Iterator["StoppingProgress"]:
        yield self

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left <= 0:
            raise Stop

    def describe(self, text: str) -> None:
        pass


def test_it_learns_one_batch_by_heart() -> None:
    model, rows = model_of(), rows_of(2)
    settings = TrainingSettings(epochs=150, batch_size=2, learning_rate=0.02, average_decay=0.9, **PLAIN)
    done = run(model, settings, rows=rows, valid=rows)
    first, last = done.log[0], min(done.log, key=lambda row: row["valid_loss"])
    assert last["valid_loss"] < 1e-3 * first["valid_loss"]
    assert done.best_loss == last["valid_loss"]


def test_weights_equal_a_loop_written_out_by_hand() -> None:
    """AdamW, clipping and averaging against torch's own, with the loss spelt out."""
    settings = TrainingSettings(epochs=2, batch_size=2, average_decay=0.9, clip=0.5, **PLAIN)
    rows, model, other = rows_of(5), model_of(), model_of()
    run(model, settings, rows=rows, valid=None)
    parameters = list(other.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=5e-7, amsgrad=True)
    average, steps = [parameter.detach().clone() for parameter in parameters], 0
    other.train()
    for epoch in range(2):
        for chosen in shuffled(5, 2, seed=5, epoch=epoch):
            batch = rows.batch(chosen)
            found = other(batch, forces=True)
            energy = ((found.energy - batch.energy) / batch.n_atoms).square().mean()
            components = len(chosen) * 3 * rows.n_atoms.mean()  # of forces, as many as such a batch holds on average
            loss = 10.0 * energy + 100.0 * (found.forces - batch.forces).square().sum() / components
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.5)
            optimizer.step()
            steps += 1
            decay = min(0.9, (1 + steps) / (10 + steps))
            average = [decay * old + (1 - decay) * new.detach() for old, new in zip(average, parameters, strict=True)]
    expected = torch.cat([value.flatten() for value in average])
    torch.testing.assert_close(weights(model), expected, rtol=1e-10, atol=1e-12)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    settings = TrainingSettings(epochs=2, batch_size=2, **PLAIN)
    models = [model_of() for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        run(model, settings, seed=seed, dtype=torch.float32)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))
    assert weights(models[0]).dtype == torch.float32


@pytest.mark.parametrize("stopped_after", [2, 4, 8])
def test_resumed_equals_uninterrupted(tmp_path: Path, stopped_after: int) -> None:
    settings = TrainingSettings(epochs=4, batch_size=2, final=FinalStage(fraction=0.25), checkpoint_seconds=0.0)
    whole, broken, resumed = model_of(), model_of(), model_of()
    done = run(whole, settings)
    with pytest.raises(Stop):
        run(broken, settings, folder=tmp_path, progress=StoppingProgress(stopped_after))
    again = run(resumed, settings, folder=tmp_path)
    assert torch.equal(weights(whole), weights(resumed))
    for one, two in zip(done.log, again.log, strict=True):
        assert {**one, "seconds": 0.0} == {**two, "seconds": 0.0}


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=2, batch_size=4, **PLAIN)
    first, second = model_of(), model_of()
    done = run(first, settings, folder=tmp_path)
    again = run(second, settings, folder=tmp_path)
    assert again == done
    assert torch.equal(weights(first), weights(second))
    lines = (tmp_path / "epochs.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch,stage,learning_rate,train_loss,valid_loss,energy_rmse")


def test_checkpoint_is_data_with_a_version(tmp_path: Path) -> None:
    run(model_of(), TrainingSettings(epochs=1, **PLAIN), folder=tmp_path)
    content = torch.load(tmp_path / checkpointing.FILE, weights_only=True)
    assert (content["format"], content["version"]) == ("rung-training", 1)


@pytest.mark.parametrize(
    "change",
    [{"seed": 6}, {"rows": "others"}, {"settings": TrainingSettings(epochs=3, **PLAIN)}, {"start": 1}],
    ids=["seed", "rows", "settings", "start"],
)
def test_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    settings = TrainingSettings(epochs=1, **PLAIN)
    run(model_of(), settings, folder=tmp_path)
    options = {"seed": change.get("seed", 5), "rows": rows_of(6, seed=1) if "rows" in change else rows_of(6)}
    with pytest.raises(FitError, match="other data, settings"):
        run(model_of(change.get("start", 0)), change.get("settings", settings), folder=tmp_path, **options)


def test_reference_energies_are_those_of_the_start_of_the_training(tmp_path: Path) -> None:
    """What a graphics card does not repeat to the last digit does not stop a resume; another fit does."""
    settings = TrainingSettings(epochs=1, **PLAIN)
    run(model_of(), settings, folder=tmp_path)
    near, far = ({number: energy + step for number, energy in REFERENCE.items()} for step in (1e-6, 0.1))
    resumed = ToyTrainable(references={"low": ReferenceEnergies(near)})
    run(resumed, settings, folder=tmp_path)
    assert resumed.references["low"].energies == REFERENCE
    with pytest.raises(FitError, match="other data, settings"):
        run(ToyTrainable(references={"low": ReferenceEnergies(far)}), settings, folder=tmp_path)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: bytes | None) -> None:
    settings = TrainingSettings(epochs=1, **PLAIN)
    run(model_of(), settings, folder=tmp_path)
    path = tmp_path / checkpointing.FILE
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(StorageError, match=r"training\.pt is damaged"):
        run(model_of(), settings, folder=tmp_path)


def test_divergence_stops_with_one_sentence_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    # the learning rate rises from 1e17 until the square of a force is beyond float32
    settings = TrainingSettings(epochs=50, learning_rate=1e15, schedule=Plateau(warmup=20.0), checkpoint_seconds=0.0)
    with pytest.raises(FitError, match=r"not a finite number in epoch .* lower learning_rate") as caught:
        run(model_of(), settings, folder=tmp_path, dtype=torch.float32)
    assert "\n" not in str(caught.value)
    content = torch.load(tmp_path / checkpointing.FILE, weights_only=True)
    assert all(torch.isfinite(value).all() for value in content["parameters"] + content["best"])
    assert content["log"]
    assert all(np.isfinite(row["train_loss"]) for row in content["log"])


def test_patience_stops_and_the_best_average_is_kept() -> None:
    model = model_of()
    settings = TrainingSettings(epochs=60, batch_size=3, patience=3, learning_rate=0.3, average_decay=0.5, **PLAIN)
    valid = rows_of(4, seed=9)
    done = run(model, settings, valid=valid)
    assert "no better validation loss in 3 epochs" in done.finished
    assert len(done.log) == done.best_epoch + 3
    batch = valid.batch(np.arange(4))
    found = model(batch, forces=True)
    energy = ((found.energy - batch.energy) / batch.n_atoms).square().mean()
    loss = 10.0 * energy + 100.0 * (found.forces - batch.forces).square().mean()
    assert loss.item() == pytest.approx(done.best_loss, rel=1e-10)
    assert done.best_loss == min(row["valid_loss"] for row in done.log)


def test_a_validation_whose_labels_weigh_nothing_chooses_no_epoch() -> None:
    """Its loss is 0 at every epoch, so the first one looked best and the training flat at once."""
    energies = pack(toy_structures(4, forces=False), ["low"] * 4, CUTOFF)
    settings = TrainingSettings(epochs=6, batch_size=3, patience=2, loss=LossSettings(energy_weight=0.0), **PLAIN)
    model, alone = model_of(), model_of()
    done = run(model, settings, valid=energies)
    assert done.best_epoch == 6
    assert done.finished == "all epochs were run"
    run(alone, settings, valid=None)
    assert torch.equal(weights(model), weights(alone))


def test_energies_alone_ask_for_no_forces() -> None:
    rows = pack(toy_structures(4, forces=False), ["low"] * 4, CUTOFF)
    asked = []
    model = model_of()
    forward = model.forward

    def spy(batch: object, **wanted: bool) -> object:
        asked.append(wanted["forces"])
        return forward(batch, **wanted)

    model.forward = spy  # type: ignore[method-assign]
    done = run(model, TrainingSettings(epochs=1, **PLAIN), rows=rows, valid=None)
    assert asked
    assert not any(asked)
    assert "force_rmse" not in done.log[0]


def test_no_epochs_leave_the_start() -> None:
    model, start = model_of(), weights(model_of())
    done = run(model, TrainingSettings(epochs=0))
    assert torch.equal(weights(model), start)
    assert done.log == ()


def test_weights_of_the_loss_matter() -> None:
    energies, forces = model_of(), model_of()
    for model, loss in ((energies, LossSettings(forces_weight=0.0)), (forces, LossSettings(energy_weight=0.0))):
        run(model, TrainingSettings(epochs=15, batch_size=3, loss=loss, **PLAIN))
    batch = rows_of(6).batch(np.arange(6))

    def errors(model: TrainablePotential) -> tuple[float, float]:
        found = model(batch, forces=True)
        energy = ((found.energy - batch.energy) / batch.n_atoms).square().mean()
        return energy.item(), (found.forces - batch.forces).square().mean().item()

    assert errors(energies)[0] < errors(forces)[0]
    assert errors(energies)[1] > errors(forces)[1]


def test_nodes_without_a_launcher_and_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(ConfigError, match="torchrun or srun"):
        run(model_of(), TrainingSettings(epochs=1, processes=Processes(nodes=2)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'cuda' is not available"):
        run(model_of(), TrainingSettings(epochs=1), device="cuda")
    with pytest.raises(ConfigError, match="no device 'gpu'"):
        run(model_of(), TrainingSettings(epochs=1), device="gpu")


def test_a_checkpoint_of_before_least_rows_is_still_that_of_its_training() -> None:
    """What is hashed has no key that 0.1.0 lacked, unless it is used."""
    assert told_of(TrainingSettings())["sampling"] == {"name": "proportional"}
    balanced = TrainingSettings(sampling=Balanced(least_rows=30))
    assert told_of(balanced)["sampling"] == {"name": "balanced", "least_rows": 30}
