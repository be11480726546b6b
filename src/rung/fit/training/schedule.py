"""Learning-rate schedules: functions of where the training stands, without a state of their own.

Each gives the factor on the base learning rate from the epoch (a fraction within an epoch counts) and the validation
losses so far, so a resumed run needs nothing but its log.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from rung.errors import counted
from rung.settings import Settings


class Endless(Settings):
    """A schedule that ends no training; epochs and patience of the settings do."""

    def ended(self, losses: Sequence[float]) -> str:  # noqa: ARG002 - one signature
        """Return nothing."""
        return ""


class Constant(Endless):
    """One learning rate throughout."""

    name: Literal["constant"] = "constant"

    def factor(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:  # noqa: ARG002 - one signature
        """Return 1."""
        return 1.0


class Plateau(Endless):
    """A smaller learning rate each time the validation loss has stopped improving."""

    name: Literal["plateau"] = "plateau"
    shrink: float = Field(default=0.8, gt=0, lt=1)
    """Factor of each step down."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better loss before a step down."""
    least: float = Field(default=1e-3, gt=0, le=1)
    """The smallest factor."""
    warmup: float = Field(default=0.0, ge=0)
    """Epochs over which the learning rate rises from zero."""

    def factor(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:  # noqa: ARG002 - one signature
        """Return ``shrink`` to the number of plateaus seen in ``losses``."""
        best, waited, steps = math.inf, 0, 0
        for loss in losses:
            if loss < best:
                best, waited = loss, 0
                continue
            waited += 1
            if waited > self.patience:
                steps, waited = steps + 1, 0
        return _rising(epoch, self.warmup) * max(self.shrink**steps, self.least)


class Cosine(Endless):
    """Half a cosine from the learning rate to a fraction of it (Loshchilov and Hutter, arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    warmup: float = Field(default=1.0, ge=0)
    """Epochs over which the learning rate rises from zero."""
    final: float = Field(default=0.01, ge=0, le=1)
    """The factor at the last epoch."""

    def factor(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:  # noqa: ARG002 - one signature
        """Return the cosine's value, times the rise at the start."""
        length = max(epochs - self.warmup, 1e-9)
        done = min(max(epoch - self.warmup, 0.0) / length, 1.0)
        cosine = self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * done))
        return _rising(epoch, self.warmup) * cosine


class UntilFlat(Settings):
    """A few large steps down, each where the validation loss is flat; flat once more after the last, training ends.

    So a training is as long as its data need, and the epochs that the settings name are a cap. Where the loss still
    falls when the cap comes near, the steps down take the last epochs, ``patience`` each and half of all at most.
    """

    name: Literal["until_flat"] = "until_flat"
    shrink: float = Field(default=0.3, gt=0, lt=1)
    """Factor of each step down."""
    steps: int = Field(default=4, ge=0)
    """How many steps down there are."""
    patience: int = Field(default=15, ge=1)
    """Epochs without a clear gain after which the loss counts as flat."""
    gain: float = Field(default=0.02, ge=0, lt=1)
    """The share by which a loss must lie below the best one before to be a clear gain."""
    warmup: float = Field(default=1.0, ge=0)
    """Epochs over which the learning rate rises from zero."""

    def factor(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:
        """Return ``shrink`` to the number of times that ``losses`` were flat, or must have been this near the cap."""
        times = max(self._flat(losses), self._due(epochs - len(losses), epochs))
        return _rising(epoch, self.warmup) * self.shrink ** min(times, self.steps)

    def ended(self, losses: Sequence[float]) -> str:
        """Return that the loss was flat after the last step down, or nothing."""
        if self._flat(losses) <= self.steps:
            return ""
        return f"the validation loss is flat after {counted(self.steps, 'smaller learning rate')}"

    def _due(self, left: int, epochs: int) -> int:
        """Return how many steps down there must have been when ``left`` of ``epochs`` are to be run."""
        length = max(1, min(self.patience, epochs // (2 * max(self.steps, 1))))
        return max(0, self.steps - (left - 1) // length)

    def _flat(self, losses: Sequence[float]) -> int:
        """Return how often ``patience`` epochs in a row had no clear gain; each time the count begins anew."""
        reference, waited, times = math.inf, 0, 0
        for loss in filter(math.isfinite, losses):
            if loss < reference * (1.0 - self.gain):  # small gains add up: the reference moves with a clear one only
                reference, waited = loss, 0
                continue
            waited += 1
            if waited == self.patience:
                times, waited = times + 1, 0
        return times


Schedule = Annotated[Constant | Plateau | Cosine | UntilFlat, Field(discriminator="name")]


def _rising(epoch: float, warmup: float) -> float:
    """Return a line from almost 0 to 1; never 0, for a step of no length would waste a batch."""
    return 1.0 if epoch >= warmup else max(epoch / warmup, 0.01)
