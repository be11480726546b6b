"""Learning-rate schedules: functions of where the training stands, without a state of their own.

Each gives the factor on the base learning rate from the epoch (a fraction within an epoch counts) and the validation
losses so far, so a resumed run needs nothing but its log.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from rung.settings import Settings


class Constant(Settings):
    """One learning rate throughout."""

    name: Literal["constant"] = "constant"

    def factor(self, epoch: float, epochs: int, losses: Sequence[float]) -> float:  # noqa: ARG002 - one signature
        """Return 1."""
        return 1.0


class Plateau(Settings):
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


class Cosine(Settings):
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


Schedule = Annotated[Constant | Plateau | Cosine, Field(discriminator="name")]


def _rising(epoch: float, warmup: float) -> float:
    """Return a line from almost 0 to 1; never 0, for a step of no length would waste a batch."""
    return 1.0 if epoch >= warmup else max(epoch / warmup, 0.01)
