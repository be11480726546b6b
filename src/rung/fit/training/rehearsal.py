"""What the steps of a training take: a few are done on its real batches, at a learning rate of zero."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rung.data.stream import Indices, PackedRows, in_order
from rung.errors import FitError
from rung.fit.training.processes import Processes, make_fabric
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.worker import Job, Worker, n_batches, refuse_nothing
from rung.model.trainable import TrainablePotential
from rung.progress import SILENT

REPEATS = 5
"""How often a batch is timed at most."""

WARM_UPS = 3
"""How often it is done before that: torch compiles parts of a model in the first few."""

SECONDS = 1.0
"""After so much time no batch is repeated."""


@dataclass(frozen=True)
class Rehearsal:
    """What an epoch does on this machine, and what it takes.

    Parameters
    ----------
    n_rows, n_steps
        Rows that an epoch draws, and in how many steps.
    n_valid
        Batches of its validation; 0 where nothing is held out.
    step, valid
        Seconds of a step of middle size, and of a batch of the validation.
    once
        Seconds that the first calls take beyond that, while torch compiles parts of the model.
    saved
        Bytes that the largest batch keeps for its reverse passes.
    held
        Bytes that the training holds at all times: gradients, the optimizer's state, copies of the weights.
    """

    n_rows: int
    n_steps: int
    n_valid: int
    step: float
    valid: float
    once: float
    saved: int
    held: int

    @property
    def epoch(self) -> float:
        """Seconds of an epoch with its validation."""
        return self.n_steps * self.step + self.n_valid * self.valid


def rehearse(
    model: TrainablePotential,
    rows: PackedRows,
    valid: PackedRows | None,
    settings: TrainingSettings,
    *,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Rehearsal:
    """Return what a training takes, from a few of its steps; the weights stay as they are.

    The batches are those of the first epoch. Where several processes share them, one process takes its part here; what
    the processes exchange is not seen.

    Parameters
    ----------
    model, rows, valid, settings, seed, device, dtype
        As :func:`~rung.fit.training.trainer.train` takes them.

    Raises
    ------
    ConfigError
        When the device is not there.
    FitError
        When there is nothing to learn from or to move, or the loss of the untrained model is not a finite number.
    """
    refuse_nothing(model, rows)
    was_training = model.training
    model.to(dtype).train()
    job = Job(rows, valid, settings, target=None, seed=seed, dtype=dtype, folder=None, identity="")
    with SILENT.task("rehearsal", total=1) as task:
        found = _rehearsed(Worker(make_fabric(Processes(), device), model, job, task))
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return found


@dataclass(frozen=True)
class _Measured:
    """Seconds of a batch of middle size, those that only the first calls take, and bytes that the largest keeps."""

    seconds: float
    once: float
    saved: int


_NOTHING = _Measured(0.0, 0.0, 0)


def _rehearsed(worker: Worker) -> Rehearsal:
    rows, valid, settings = worker.rows, worker.valid, worker.settings
    world = settings.processes.devices * settings.processes.nodes
    drawn = settings.sampling.batches(rows.fidelity, settings.batch_size, worker.job.seed, 0)

    def step(chosen: Indices) -> None:
        if worker.update(chosen, settings.loss, 0.0) is None:
            raise FitError("The loss is not a finite number before the first step: check the labels.")

    of_steps = _measured(step, [one[::world] for one in drawn], rows, worker)
    of_valid, judged = _NOTHING, list[Indices]()
    if valid is not None and len(valid):
        judged = in_order(len(valid), settings.valid_batch_size)
        worker.step.eval()
        of_valid = _measured(
            lambda chosen: worker.judged_batch(valid, chosen, settings.loss),
            [one[::world] for one in judged],
            valid,
            worker,
        )
    return Rehearsal(
        n_rows=sum(map(len, drawn)),
        n_steps=n_batches(rows, settings),
        n_valid=len(judged),
        step=of_steps.seconds,
        valid=of_valid.seconds,
        once=of_steps.once + of_valid.once,
        saved=max(of_steps.saved, of_valid.saved),
        held=sum(_storages(worker.held).values()),
    )


def _measured(
    work: Callable[[Indices], object], batches: Sequence[Indices], rows: PackedRows, worker: Worker
) -> _Measured:
    edges = np.diff(rows.edge_start)
    by_size = sorted(batches, key=lambda chosen: int(edges[chosen].sum()))
    middle, kept = by_size[len(by_size) // 2], dict[int, int]()
    with keeping(kept):
        first = _seconds(work, by_size[-1], 1, worker)
    weights = _storages([*worker.step.parameters(), *worker.step.buffers()])
    first += _seconds(work, middle, WARM_UPS, worker)
    seconds = float(np.median(_seconds(work, middle, REPEATS, worker)))
    return _Measured(
        seconds=seconds,
        once=max(0.0, sum(first) - len(first) * seconds),
        saved=sum(size for place, size in kept.items() if place not in weights),
    )


def _seconds(work: Callable[[Indices], object], chosen: Indices, at_most: int, worker: Worker) -> list[float]:
    """Return how long ``work`` took each time."""
    times = list[float]()
    while len(times) < at_most and sum(times) < SECONDS:
        _wait(worker)
        began = time.perf_counter()
        work(chosen)
        _wait(worker)
        times.append(time.perf_counter() - began)
    return times


def keeping(kept: dict[int, int]) -> AbstractContextManager[None]:
    """Write into ``kept`` the bytes of each piece of memory that a reverse pass will read, by its address."""

    def keep(tensor: Tensor) -> Tensor:
        kept.update(_storages([tensor]))
        return tensor

    return torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)


def _storages(tensors: Sequence[Tensor]) -> dict[int, int]:
    """Return the bytes of each piece of memory that ``tensors`` lie in, by its address."""
    return {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}


def _wait(worker: Worker) -> None:
    """Wait until an accelerator has done what it was told."""
    if worker.fabric.device.type == "cuda":
        torch.cuda.synchronize()
