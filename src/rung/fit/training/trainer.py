"""The one trainer: epochs over labelled rows, on Lightning Fabric, resumable to the bit.

Everything random is a function of seed and epoch, everything adaptive a function of the log, and a checkpoint holds
the rest, so a training that was killed goes on as if it had not been.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rung.data.stream import PackedRows
from rung.errors import FitError
from rung.fidelity import require_fidelity
from rung.fit.training.processes import make_fabric, progress_of
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.worker import Job, Worker, moving, n_batches, plain_data, refuse_nothing, tables
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
        One mapping of numbers per epoch: losses, validation errors (meV/atom, meV/Å), learning rate, seconds. With
        several fidelities ``energy_rmse`` and ``force_rmse`` are those of the one that judges (the first, where the sum
        does), and each has its own in ``<fidelity>_valid_loss``, ``<fidelity>_energy_rmse`` and so on.
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


def train(
    model: TrainablePotential,
    rows: PackedRows,
    valid: PackedRows | None,
    settings: TrainingSettings,
    *,
    seed: int,
    target: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train ``model`` in place; it ends with the averaged weights of its best epoch, on the CPU.

    Only parameters that require a gradient move.

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
    target
        The fidelity whose validation says which epoch is best, where there are several and
        ``settings.best_by`` is ``target``; None takes the weighted sum over all.
    device, dtype
        Where and in which type the model runs.
    folder
        Keeps the checkpoint and ``epochs.csv``; None keeps nothing.
    progress
        Told of every batch.

    Raises
    ------
    ConfigError
        When the settings weigh a fidelity that no row can have, or ``target`` is none of theirs.
    FitError
        When there is nothing to learn from or to move, the loss is no longer a finite number, or the checkpoint in
        ``folder`` belongs to another training.
    """
    refuse_nothing(model, rows)
    settings.loss.weights_of(rows.fidelities)
    if target is not None:
        require_fidelity(target, rows.fidelities)
    model.to(dtype).train()
    identity = _identity(model, rows, valid, settings, (seed, target), dtype)
    job = Job(rows, valid, settings, target=target, seed=seed, dtype=dtype, folder=folder, identity=identity)
    fabric = make_fabric(settings.processes, device)
    with progress_of(fabric, progress, n_batches(rows, settings) * settings.epochs) as task:
        done = fabric.launch(_work, model, job, task)
    if done["failure"]:
        raise FitError(done["failure"])
    model.to("cpu")
    model.set_references(tables(done["references"]))
    with torch.no_grad():
        for parameter, value in zip(moving(model), done["best"], strict=True):
            parameter.copy_(torch.from_numpy(value))
    model.eval()
    return Trained(tuple(done["log"]), done["best_epoch"], done["best_loss"], done["finished"])


def _work(fabric: "Fabric", model: TrainablePotential, job: Job, task: Task) -> dict[str, Any]:
    """Train in this process; return the best weights, what was done, and why it failed (or nothing) as plain data."""
    worker = Worker(fabric, model, job, task)
    failure = worker.run()
    return {**plain_data(worker.state), "failure": failure}


def told_of(settings: TrainingSettings) -> dict[str, Any]:
    """Return the settings that decide the trained weights; how often to save and on how many devices do not."""
    told: dict[str, Any] = settings.model_dump(mode="json", exclude={"checkpoint_seconds", "processes"})
    if not settings.sampling.least_rows:
        del told["sampling"]["least_rows"]  # checkpoints of 0.1.0 do not know it
    return told


def _identity(
    model: TrainablePotential,
    rows: PackedRows,
    valid: PackedRows | None,
    settings: TrainingSettings,
    seed_and_target: tuple[int, str | None],
    dtype: torch.dtype,
) -> str:
    """Return a hash of all that the trained weights depend on."""
    start = [(name, tensor.detach().cpu().numpy()) for name, tensor in model.state_dict().items()]
    return content_hash(
        "training-2",
        repr(sorted(told_of(settings).items())),
        repr(seed_and_target),
        str(dtype),
        start,
        tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad),
        model.fidelities,
        rows.fingerprint,
        None if valid is None else valid.fingerprint,
    )
