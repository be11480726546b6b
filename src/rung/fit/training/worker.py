"""One process of a training: epochs, steps, validation, checkpoints."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.data.stream import Indices, PackedRows, in_order, share, unlabelled
from rung.errors import FitError, StorageError
from rung.fit.training import checkpoint as checkpointing
from rung.fit.training.checkpoint import TrainingState
from rung.fit.training.log import ErrorSums, error_sums, write_log
from rung.fit.training.loss import LossSettings, LossSums, by_fidelity, counting, loss_sums, nothing, total
from rung.fit.training.stages import Stage, TrainingSettings, next_stage
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from rung.progress import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Job:
    """What a worker needs beside the model.

    No dataclass: Fabric looks for modules inside whatever crosses a process boundary and refuses frozen dataclasses.
    """

    def __init__(
        self,
        rows: PackedRows,
        valid: PackedRows | None,
        settings: TrainingSettings,
        *,
        target: str | None,
        seed: int,
        dtype: torch.dtype,
        folder: Path | None,
        identity: str,
    ) -> None:
        self.rows, self.valid, self.settings, self.target = rows, valid, settings, target
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


class Worker:
    """One process of a training: the tensors that move, and the state of :class:`TrainingState`."""

    def __init__(self, fabric: "Fabric", model: TrainablePotential, job: Job, task: Task) -> None:
        self.fabric, self.job, self.task = fabric, job, task
        self.rows, self.valid, self.settings = job.rows, job.valid, job.settings
        self.fidelities = job.rows.fidelities
        self.step = _Step(
            model, forces=_wants_forces(job.rows, job.valid), stress=_wants_stress(job.rows, job.settings)
        )
        optimizer = torch.optim.AdamW(
            moving(model),
            lr=self.settings.rate,
            weight_decay=self.settings.weight_decay,
            amsgrad=self.settings.amsgrad,
            fused=True,  # one pass over many small tensors instead of a dozen: 2 ms a step instead of 9
        )
        self.parallel, self.optimizer = fabric.setup(self.step, optimizer)
        self.parameters: list[Tensor] = moving(model)
        self.start = [parameter.detach().clone() for parameter in self.parameters]
        counts = np.bincount(self.rows.fidelity, minlength=len(self.fidelities))
        shares = self.settings.sampling.shares(counts)
        per_row = shares[:, None] * self.rows.label_counts / np.maximum(counts, 1)[:, None]
        self.expected = torch.as_tensor(per_row, device=fabric.device)  # labels that a batch holds on average, a row
        self.judge = _judge(job)
        references = {name: dict(table.energies) for name, table in model.references.items()}
        self.state = self._resume(references) or TrainingState.at(self.parameters, references)
        model.set_references(tables(self.state.references))

    def _resume(self, references: dict[str, dict[int, float]]) -> TrainingState | None:
        if self.job.folder is None:
            return None
        device = self.fabric.device
        found = checkpointing.load(self.job.folder, self.job.identity, references, self.parameters, device)
        if found is None:
            return None
        state, optimizer = found
        try:
            self.optimizer.load_state_dict(optimizer)
        except (ValueError, KeyError, TypeError) as error:
            file = self.job.folder / checkpointing.FILE
            raise StorageError(
                f"{file} is damaged at 'optimizer' ({error}); delete it to train from the start."
            ) from error
        self.task.advance(n_batches(self.rows, self.settings) * len(state.log))
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
        seen = nothing(self.fidelities, self.fabric.device)
        self.step.train()
        batches = self.settings.sampling.batches(self.rows.fidelity, self.settings.batch_size, self.job.seed, epoch)
        for number, chosen in enumerate(batches):
            rate = stage.learning_rate(self.settings, self.state.log, number / len(batches))
            sums = self.update(chosen, stage.loss, rate)
            if sums is None:
                return self._diverged(epoch, number)
            seen = seen + sums
            self.task.advance()
        row = {"epoch": float(epoch + 1), "stage": float(stage.index), "learning_rate": rate}
        row["train_loss"] = float(total(seen, stage.loss))
        row["valid_loss"] = self._judged(seen, stage.loss)
        validated = self._validate(stage.loss)
        row.update(validated)
        if not math.isfinite(row["valid_loss"]):
            return self._diverged(epoch, len(batches) - 1)
        row["seconds"] = time.monotonic() - started
        self._record(row, stage, judged="valid_loss" in validated)
        return ""

    def update(self, chosen: Indices, loss: LossSettings, rate: float) -> LossSums | None:
        """Take one step; return the loss's sums over all processes, or None where they are not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch(self.rows, chosen)
        self.optimizer.zero_grad(set_to_none=True)
        local = LossSums(self.fidelities, *self.parallel(batch, loss))
        summed = self._over_processes(local)
        # gradients are averaged over processes, so what is a sum over rows is multiplied by their number
        joint = LossSums(self.fidelities, local.sums, summed.counts)
        objective = total(joint, loss, len(chosen) * self.expected) * self.fabric.world_size
        if not math.isfinite(float(total(summed, loss))):
            return None
        self.fabric.backward(objective)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        if self.settings.decay_to_start is not None:
            self.settings.decay_to_start.apply(self.parameters, self.start, rate)
        self._average()
        return summed

    def _average(self) -> None:
        state = self.state
        state.updates += 1
        decay = min(self.settings.average_decay, (1.0 + state.updates) / (10.0 + state.updates))
        with torch.no_grad():
            torch._foreach_lerp_(state.average, self.parameters, 1.0 - decay)

    def _validate(self, loss: LossSettings) -> dict[str, float]:
        """Return the validation's row of the log; without ``valid_loss`` where no validation label can judge."""
        if self.valid is None or not len(self.valid):
            return {}
        sums = nothing(self.fidelities, self.fabric.device)
        errors = ErrorSums(torch.zeros(len(self.fidelities), 4, dtype=torch.float64, device=self.fabric.device))
        self.step.eval()
        with self._averaged():
            for chosen in in_order(len(self.valid), self.settings.valid_batch_size):
                more = self.judged_batch(self.valid, chosen, loss)
                sums, errors = sums + more[0], errors + more[1]
        sums, errors = self._over_processes(sums), ErrorSums(self._summed(errors.values))
        row = {"valid_loss": self._judged(sums, loss)} if self._judges(sums, loss) else {}
        row.update(errors.rmse(self.judge or 0))
        if len(self.fidelities) > 1:
            losses = by_fidelity(sums, loss).tolist()
            for index, name in enumerate(self.fidelities):
                row[f"{name}_valid_loss"] = losses[index]
                row.update({f"{name}_{key}": value for key, value in errors.rmse(index).items()})
        return row

    def judged_batch(self, valid: PackedRows, chosen: Indices, loss: LossSettings) -> tuple[LossSums, ErrorSums]:
        """Return what one batch of the validation adds to the sums of loss and errors."""
        batch = self._batch(valid, chosen)
        prediction = self.step.model(batch, **self.step.wanted)
        return loss_sums(prediction, batch, loss), error_sums(prediction, batch)

    @property
    def held(self) -> list[Tensor]:
        """What the training holds beside the model: gradients, the optimizer's state, and copies of the weights."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        moments = [value for of_one in self.optimizer.state.values() for value in of_one.values()]
        return [*gradients, *moments, *self.start, *self.state.average, *self.state.best]

    def _judged(self, sums: LossSums, loss: LossSettings) -> float:
        """Return the loss by which epochs are compared."""
        if self.judge is None:
            return float(total(sums, loss))
        return float(by_fidelity(sums, loss)[self.judge])

    def _judges(self, sums: LossSums, loss: LossSettings) -> bool:
        """Whether some label of the validation counts in the loss, so that it can tell which epoch is best."""
        counts = counting(sums, loss).tolist()
        if self.judge is not None:
            return bool(counts[self.judge])
        return any(one and weight > 0 for one, weight in zip(counts, loss.weights_of(self.fidelities), strict=True))

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

    def _record(self, row: dict[str, float], stage: Stage, *, judged: bool) -> None:
        state = self.state
        new_stage = not state.log or state.log[-1]["stage"] != stage.index
        state.log.append(row)
        if not judged or new_stage or row["valid_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = row["valid_loss"], int(row["epoch"])
            state.best = [tensor.clone() for tensor in state.average]
        self.task.describe(_describe(row))

    def _batch(self, rows: PackedRows, chosen: Indices) -> Batch:
        mine, counts = share(chosen, self.fabric.global_rank, self.fabric.world_size)
        batch = rows.batch(mine, dtype=self.job.dtype, device=self.fabric.device)
        return batch if counts else unlabelled(batch)

    def _over_processes(self, sums: LossSums) -> LossSums:
        joined = self._summed(torch.stack([sums.sums.detach(), sums.counts]))
        return LossSums(sums.fidelities, joined[0], joined[1])

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
        return f"{where}: lower learning_rate (now {self.settings.rate:g}) or check the labels{kept}."


def refuse_nothing(model: TrainablePotential, rows: PackedRows) -> None:
    """Raise a :class:`~rung.errors.FitError` where there is nothing to learn from or to move."""
    if not len(rows):
        raise FitError("There is no labelled structure to train on.")
    if not moving(model):
        raise FitError("Nothing is left to train: all weights are frozen.")


def moving(model: torch.nn.Module) -> list[Tensor]:
    """Return the parameters of ``model`` that a training moves: those that require a gradient."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def tables(references: Mapping[str, Mapping[int, float]]) -> dict[str, ReferenceEnergies]:
    """Return reference energies that were written as plain data."""
    return {name: ReferenceEnergies(dict(energies)) for name, energies in references.items()}


def n_batches(rows: PackedRows, settings: TrainingSettings) -> int:
    """Return the number of steps of one epoch."""
    counts = np.bincount(rows.fidelity, minlength=len(rows.fidelities))
    return math.ceil(settings.sampling.length(counts) / settings.batch_size)


def _judge(job: Job) -> int | None:
    """Return the index of the fidelity whose loss chooses; None where the weighted sum does."""
    if job.target is None or job.settings.best_by == "total" or len(job.rows.fidelities) == 1:
        return None
    return job.rows.fidelities.index(job.target)


def _describe(row: Mapping[str, float]) -> str:
    parts = [f"epoch {row['epoch']:.0f}", f"loss {row['valid_loss']:.4g}"]
    if "energy_rmse" in row:
        parts.append(f"{row['energy_rmse']:.1f} meV/atom")
    if "force_rmse" in row:
        parts.append(f"{row['force_rmse']:.0f} meV/Å")
    return ", ".join(parts)


def _wants_forces(rows: PackedRows, valid: PackedRows | None) -> bool:
    return rows.has_forces or (valid is not None and valid.has_forces)


def _wants_stress(rows: PackedRows, settings: TrainingSettings) -> bool:
    return rows.has_stress and settings.loss.stress_weight > 0


def plain_data(state: TrainingState) -> dict[str, Any]:
    """Return what a process hands back of a state: a tensor would need its process to live on."""
    return {
        "best": [tensor.cpu().numpy() for tensor in state.best],
        "log": state.log,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "finished": state.finished,
        "references": state.references,
    }
