"""The one trainer: epochs over labelled rows, on Lightning Fabric, resumable to the bit.

Everything random is a function of seed and epoch, everything adaptive a function of the log, and a checkpoint holds
the rest, so a training that was killed goes on as if it had not been.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.data.stream import PackedRows, Rows, in_order, share, shuffled, unlabelled
from rung.errors import FitError
from rung.fit import checkpointing
from rung.fit.checkpointing import TrainingState
from rung.fit.loss import LossSettings, LossSums, loss_sums, total
from rung.fit.processes import make_fabric, progress_of
from rung.fit.stages import Stage, TrainingSettings, next_stage
from rung.fit.trainlog import ErrorSums, error_sums, write_log
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from rung.progress import SILENT, Progress, Task
from rung.storage import content_hash

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Trained:
    """What a training did.

    Parameters
    ----------
    log
        One mapping of numbers per epoch: losses, validation errors (meV/atom, meV/Å), learning rate, seconds.
    best_epoch
        The epoch whose averaged weights were kept; 0 is the start.
    best_loss
        The validation loss there (the training loss without validation rows).
    finished
        Why it ended.
    """

    log: tuple[Mapping[str, float], ...]
    best_epoch: int
    best_loss: float
    finished: str


class _Job:
    """What a worker needs beside the model.

    No dataclass: Fabric looks for modules inside whatever crosses a process boundary and refuses frozen dataclasses.
    """

    def __init__(
        self,
        rows: PackedRows,
        valid: PackedRows | None,
        settings: TrainingSettings,
        *,
        seed: int,
        dtype: torch.dtype,
        folder: Path | None,
        identity: str,
    ) -> None:
        self.rows, self.valid, self.settings = rows, valid, settings
        self.seed, self.dtype, self.folder, self.identity = seed, dtype, folder, identity


class _Step(torch.nn.Module):
    """Model and loss as one module, so that whatever averages gradients sees one forward pass."""

    def __init__(self, model: TrainablePotential, *, forces: bool, stress: bool) -> None:
        super().__init__()
        self.model = model
        self.wanted = {"forces": forces, "stress": stress}

    def forward(self, batch: Batch, loss: LossSettings) -> tuple[Tensor, Tensor]:
        found = loss_sums(self.model(batch, **self.wanted), batch, loss)
        return found.sums, found.counts  # a tuple, for Fabric looks for tensors in it and refuses frozen dataclasses


def train(
    model: TrainablePotential,
    rows: PackedRows,
    valid: PackedRows | None,
    settings: TrainingSettings,
    *,
    seed: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train ``model`` in place; it ends with the averaged weights of its best epoch, on the CPU.

    Parameters
    ----------
    model
        What is trained.
    rows, valid
        Labelled rows to learn from and, where given, to stop and choose by.
    settings
        How.
    seed
        Of the order of rows.
    device, dtype
        Where and in which type the model runs.
    folder
        Keeps the checkpoint and ``epochs.csv``; None keeps nothing.
    progress
        Told of every batch.

    Raises
    ------
    FitError
        When the loss is no longer a finite number, or the checkpoint in ``folder`` belongs to another training.
    """
    if not len(rows):
        raise FitError("There is no labelled structure to train on.")
    model.to(dtype).train()
    identity = _identity(model, rows, valid, settings, seed, dtype)
    job = _Job(rows, valid, settings, seed=seed, dtype=dtype, folder=folder, identity=identity)
    fabric = make_fabric(settings.processes, device)
    with progress_of(fabric, progress, _steps(len(rows), settings)) as task:
        done = fabric.launch(_work, model, job, task)
    if done["failure"]:
        raise FitError(done["failure"])
    model.to("cpu")
    model.set_references(_tables(done["references"]))
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), done["best"], strict=True):
            parameter.copy_(torch.from_numpy(value))
    model.eval()
    return Trained(tuple(done["log"]), done["best_epoch"], done["best_loss"], done["finished"])


def _work(fabric: "Fabric", model: TrainablePotential, job: _Job, task: Task) -> dict[str, Any]:
    """Train in this process; return the best weights, what was done, and why it failed (or nothing) as plain data."""
    worker = _Worker(fabric, model, job, task)
    failure = worker.run()
    state = worker.state
    return {
        "best": [tensor.cpu().numpy() for tensor in state.best],  # a tensor would need its process to live on
        "log": state.log,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "finished": state.finished,
        "failure": failure,
        "references": state.references,
    }


class _Worker:
    """One process of a training: the tensors that move, and the state of :class:`TrainingState`."""

    def __init__(self, fabric: "Fabric", model: TrainablePotential, job: _Job, task: Task) -> None:
        self.fabric, self.job, self.task = fabric, job, task
        self.rows, self.valid, self.settings = job.rows, job.valid, job.settings
        self.step = _Step(
            model, forces=_wants_forces(job.rows, job.valid), stress=_wants_stress(job.rows, job.settings)
        )
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            amsgrad=self.settings.amsgrad,
            fused=True,  # one pass over many small tensors instead of a dozen: 2 ms a step instead of 9
        )
        self.parallel, self.optimizer = fabric.setup(self.step, optimizer)
        self.parameters: list[Tensor] = list(model.parameters())
        references = {name: dict(table.energies) for name, table in model.references.items()}
        self.state = self._resume(references) or TrainingState.at(self.parameters, references)
        model.set_references(_tables(self.state.references))

    def _resume(self, references: dict[str, dict[int, float]]) -> TrainingState | None:
        if self.job.folder is None:
            return None
        device = self.fabric.device
        found = checkpointing.load(self.job.folder, self.job.identity, references, self.parameters, device)
        if found is None:
            return None
        state, optimizer = found
        self.optimizer.load_state_dict(optimizer)
        self.task.advance(_batches(len(self.rows), self.settings) * len(state.log))
        return state

    def run(self) -> str:
        """Run epochs until done; return why it failed, or nothing."""
        saved = -math.inf
        while not self.state.finished:
            stage = next_stage(self.settings, self.state.log)
            if stage is None:
                self.state.finished = "all epochs were run"
                break
            failure = self._epoch(stage)
            if failure:
                return failure
            self.state.finished = stage.finished(self.settings, self.state.log)
            if time.monotonic() - saved > self.settings.checkpoint_seconds and not self.state.finished:
                self._save()
                saved = time.monotonic()
        self._save()
        return ""

    def _epoch(self, stage: Stage) -> str:
        started = time.monotonic()
        epoch = len(self.state.log)
        seen = self._nothing()
        self.step.train()
        batches = shuffled(len(self.rows), self.settings.batch_size, self.job.seed, epoch)
        for number, chosen in enumerate(batches):
            rate = stage.learning_rate(self.settings, self.state.log, number / len(batches))
            sums = self._update(chosen, stage.loss, rate)
            if sums is None:
                return self._diverged(epoch, number)
            seen = seen + sums
            self.task.advance()
        row = {"epoch": float(epoch + 1), "stage": float(stage.index), "learning_rate": rate}
        row["train_loss"] = float(total(seen, stage.loss))
        row.update(self._validate(stage.loss))
        row.setdefault("valid_loss", row["train_loss"])
        if not math.isfinite(row["valid_loss"]):
            return self._diverged(epoch, len(batches) - 1)
        row["seconds"] = time.monotonic() - started
        self._record(row, stage)
        return ""

    def _nothing(self) -> LossSums:
        return LossSums(*torch.zeros(2, 3, dtype=torch.float64, device=self.fabric.device))

    def _update(self, chosen: Rows, loss: LossSettings, rate: float) -> LossSums | None:
        """Take one step; return the loss's sums over all processes, or None where they are not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch(self.rows, chosen)
        self.optimizer.zero_grad(set_to_none=True)
        local = LossSums(*self.parallel(batch, loss))
        summed = self._over_processes(local)
        # gradients are averaged over processes, so what is a sum over rows is multiplied by their number
        objective = total(LossSums(local.sums, summed.counts), loss) * self.fabric.world_size
        if not math.isfinite(float(total(summed, loss))):
            return None
        self.fabric.backward(objective)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self._average()
        return summed

    def _average(self) -> None:
        state = self.state
        state.updates += 1
        decay = min(self.settings.average_decay, (1.0 + state.updates) / (10.0 + state.updates))
        with torch.no_grad():
            torch._foreach_lerp_(state.average, self.parameters, 1.0 - decay)

    def _validate(self, loss: LossSettings) -> dict[str, float]:
        if self.valid is None or not len(self.valid):
            return {}
        sums = self._nothing()
        errors = ErrorSums(torch.zeros(4, dtype=torch.float64, device=self.fabric.device))
        self.step.eval()
        with self._averaged():
            for chosen in in_order(len(self.valid), self.settings.valid_batch_size):
                batch = self._batch(self.valid, chosen)
                prediction = self.step.model(batch, **self.step.wanted)
                sums = sums + loss_sums(prediction, batch, loss)
                errors = errors + error_sums(prediction, batch)
        gathered = ErrorSums(self._summed(errors.values))
        return {"valid_loss": float(total(self._over_processes(sums), loss)), **gathered.rmse()}

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged weights in place for the duration of a block."""
        kept = [parameter.detach().clone() for parameter in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.state.average)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, kept)

    def _record(self, row: dict[str, float], stage: Stage) -> None:
        state = self.state
        new_stage = not state.log or state.log[-1]["stage"] != stage.index
        state.log.append(row)
        if self.valid is None or new_stage or row["valid_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = row["valid_loss"], int(row["epoch"])
            state.best = [tensor.clone() for tensor in state.average]
        self.task.describe(_describe(row))

    def _batch(self, rows: PackedRows, chosen: Rows) -> Batch:
        mine, counts = share(chosen, self.fabric.global_rank, self.fabric.world_size)
        batch = rows.batch(mine, dtype=self.job.dtype, device=self.fabric.device)
        return batch if counts else unlabelled(batch)

    def _over_processes(self, sums: LossSums) -> LossSums:
        joined = self._summed(torch.stack([sums.sums.detach(), sums.counts]))
        return LossSums(joined[0], joined[1])

    def _summed(self, values: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return values
        found = self.fabric.all_reduce(values.detach().clone(), reduce_op="sum")
        assert isinstance(found, Tensor)  # noqa: S101 - a tensor in gives a tensor
        return found

    def _save(self) -> None:
        folder = self.job.folder
        if folder is None or self.fabric.global_rank != 0:
            return
        checkpointing.save(folder, self.job.identity, self.state, self.parameters, self.optimizer.state_dict())
        write_log(folder, self.state.log)

    def _diverged(self, epoch: int, number: int) -> str:
        where = f"The loss is not a finite number in epoch {epoch + 1}, batch {number + 1}"
        kept = f"; the last good checkpoint is in {self.job.folder}" if self.job.folder is not None else ""
        return f"{where}: lower learning_rate (now {self.settings.learning_rate:g}) or check the labels{kept}."


def _tables(references: Mapping[str, Mapping[int, float]]) -> dict[str, ReferenceEnergies]:
    return {name: ReferenceEnergies(dict(energies)) for name, energies in references.items()}


def _describe(row: Mapping[str, float]) -> str:
    parts = [f"epoch {row['epoch']:.0f}", f"loss {row['valid_loss']:.4g}"]
    if "energy_rmse" in row:
        parts.append(f"{row['energy_rmse']:.1f} meV/atom")
    if "force_rmse" in row:
        parts.append(f"{row['force_rmse']:.0f} meV/Å")
    return ", ".join(parts)


def _batches(n_rows: int, settings: TrainingSettings) -> int:
    return math.ceil(n_rows / settings.batch_size)


def _steps(n_rows: int, settings: TrainingSettings) -> int:
    return _batches(n_rows, settings) * settings.epochs


def _wants_forces(rows: PackedRows, valid: PackedRows | None) -> bool:
    return rows.has_forces or (valid is not None and valid.has_forces)


def _wants_stress(rows: PackedRows, settings: TrainingSettings) -> bool:
    return rows.has_stress and settings.loss.stress_weight > 0


def _identity(
    model: TrainablePotential,
    rows: PackedRows,
    valid: PackedRows | None,
    settings: TrainingSettings,
    seed: int,
    dtype: torch.dtype,
) -> str:
    """Return a hash of all that the trained weights depend on; how often to save and on how many devices is not."""
    told: dict[str, Any] = settings.model_dump(mode="json", exclude={"checkpoint_seconds", "processes"})
    start = [(name, tensor.detach().cpu().numpy()) for name, tensor in model.state_dict().items()]
    return content_hash(
        "training-1",
        repr(sorted(told.items())),
        seed,
        str(dtype),
        start,
        model.fidelities,
        _data_hash(rows),
        _data_hash(valid) if valid is not None else None,
    )


def _data_hash(rows: PackedRows) -> str:
    return content_hash(
        rows.fidelities,
        float(rows.cutoff),
        rows.atom_start,
        rows.fidelity,
        rows.energy,
        rows.energy_stderr,
        rows.cell,
        rows.pbc,
        rows.stress,
        rows.numbers,
        rows.positions,
        rows.forces,
        rows.forces_stderr,
    )
