"""The settings of a training, and which stage of it comes next: functions of the log alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field

from rung.errors import counted
from rung.fit.training.decay import DecayToStart
from rung.fit.training.loss import LossSettings
from rung.fit.training.processes import Processes
from rung.fit.training.sampling import Balanced, Proportional, Sampling
from rung.fit.training.schedule import Plateau, Schedule
from rung.settings import Settings

Log = Sequence[Mapping[str, float]]

NEW_RATE, LIFTING_RATE = 0.01, 1e-3
"""Learning rates of a new model, and of one that starts from a base."""


class FinalStage(Settings):
    """The last part of a training, where energies count more: forces find the shape first, then energies the depth."""

    fraction: float = Field(default=0.25, gt=0, lt=1)
    """Share of the epochs."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Replaces the learning rate."""
    energy_weight: float = Field(default=1000.0, ge=0)
    """Replaces the weight of energies."""


class TrainingSettings(Settings):
    """How a model is trained, whatever it starts from."""

    epochs: int = Field(default=200, ge=0)
    """Passes over the training rows at most."""
    sampling: Sampling = Proportional()
    """Which rows stand in which batch, where several fidelities share them, and how long an epoch is."""
    batch_size: int = Field(default=8, ge=1)
    """Rows per step, over all processes."""
    valid_batch_size: int = Field(default=32, ge=1)
    """Rows per batch of the validation."""
    loss: LossSettings = LossSettings()
    """Weights and shapes of the terms."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Of the optimizer, before the schedule; null is 0.01 for a new model, and 0.001 for one that starts from a base,
    which is left faster than it is learnt."""
    schedule: Schedule = Plateau()
    """How the learning rate changes."""
    amsgrad: bool = True
    """Whether AdamW remembers the largest second moment (Reddi et al., arXiv:1904.09237)."""
    weight_decay: float = Field(default=5e-7, ge=0)
    """Decoupled decay of all weights (Loshchilov and Hutter, arXiv:1711.05101)."""
    decay_to_start: DecayToStart | None = None
    """A pull towards the weights that the training begins with, such as a base's; null has none."""
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay per step of the moving average of weights, which is what is validated and kept; 0 averages nothing."""
    clip: float | None = Field(default=10.0, gt=0)
    """Largest norm of the gradient; null does not clip."""
    best_by: Literal["target", "total"] = "target"
    """Whose validation loss says which epoch is best and when to stop: the target's alone, or the weighted sum over
    fidelities."""
    patience: int = Field(default=50, ge=1)
    """Epochs without a better validation loss before the stage ends."""
    final: FinalStage | None = None
    """A last stage with other weights; null has none."""
    valid_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the training structures held out where no validation data are given."""
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """Least time between checkpoints, s; one is written at an epoch's end only."""
    processes: Processes = Processes()
    """Devices and nodes."""

    @property
    def rate(self) -> float:
        """The learning rate: that of a new model, where none is said."""
        return NEW_RATE if self.learning_rate is None else self.learning_rate

    def starting(self, *, new: bool) -> Self:
        """Return the settings with a learning rate: what is said, or else that of a new model or of a base."""
        rate = NEW_RATE if new else LIFTING_RATE
        return self if self.learning_rate is not None else self.model_copy(update={"learning_rate": rate})


class SeveralLoss(LossSettings):
    """Weights and shapes where several fidelities train: energies count more, for a target may have nothing else."""

    energy_weight: float = Field(default=1000.0, ge=0)
    """Weight of the mean over energies per atom: 10 meV/atom weigh as much as some 30 meV/Å on every component."""


class SeveralTraining(TrainingSettings):
    """How a model of several fidelities is trained: what differs from other trainings where nothing is said."""

    loss: SeveralLoss = SeveralLoss()
    """Weights and shapes of the terms."""

    sampling: Sampling = Balanced()
    """Which rows stand in which batch: equally many of every fidelity, so that the few are not lost among the many."""


@dataclass(frozen=True)
class Stage:
    """One stage: its number, epochs at most, base learning rate and loss."""

    index: int
    epochs: int
    base_rate: float
    loss: LossSettings

    def learning_rate(self, settings: TrainingSettings, log: Log, done: float) -> float:
        """Return the learning rate after the epochs of ``log`` and the share ``done`` of the running one."""
        losses = self._losses(log)
        return self.base_rate * settings.schedule.factor(len(losses) + done, self.epochs, losses)

    def finished(self, settings: TrainingSettings, log: Log) -> str:
        """Return why the training ends after ``log``, or nothing."""
        if self.index == 0 and settings.final is not None:
            return ""
        if len(self._losses(log)) >= self.epochs:
            return "all epochs were run"
        if exhausted(self._losses(log), settings.patience):
            return f"no better validation loss in {counted(settings.patience, 'epoch')}"
        return settings.schedule.ended(self._losses(log))

    def _losses(self, log: Log) -> list[float]:
        return stage_losses(log, self.index)


def stage_losses(log: Log, index: int) -> list[float]:
    """Return the validation losses of one stage; those of another are sums of other weights."""
    return [row["valid_loss"] for row in log if row["stage"] == index]


def exhausted(losses: Sequence[float], patience: int) -> bool:
    """Return whether the last ``patience`` losses are no better than the best before them."""
    if len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])


def next_stage(settings: TrainingSettings, log: Log) -> Stage | None:
    """Return the stage of the epoch that follows ``log``; None where no epoch is left."""
    if settings.epochs == 0:
        return None
    if settings.final is None:
        return Stage(0, settings.epochs, settings.rate, settings.loss)
    last = max(1, math.ceil(settings.final.fraction * settings.epochs))
    first = settings.epochs - last
    losses = stage_losses(log, 0)
    over = exhausted(losses, settings.patience) or settings.schedule.ended(losses)
    if len(losses) < first and not over:
        return Stage(0, first, settings.rate, settings.loss)
    loss = settings.loss.model_copy(update={"energy_weight": settings.final.energy_weight})
    return Stage(1, last, settings.final.learning_rate, loss)
