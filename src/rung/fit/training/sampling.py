"""Which rows stand in which batch, where several fidelities share them: functions of seed and epoch alone."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rung.data.labels import Array
from rung.data.stream import Indices, shuffled
from rung.settings import Settings


class Drawing(Settings):
    """What every way of drawing rows has."""

    least_rows: int = Field(default=0, ge=0)
    """Rows that an epoch draws at least: it goes through fewer rows several times. Patience counts epochs, and an epoch
    of three steps shows nothing."""

    def _times(self, length: int) -> int:
        """Return how often an epoch goes through ``length`` rows."""
        return max(1, -(-self.least_rows // length))


class Proportional(Drawing):
    """Every row once an epoch, all fidelities shuffled together: a batch holds them as the data do."""

    name: Literal["proportional"] = "proportional"

    def shares(self, counts: Indices) -> Array:
        """Return the part of each fidelity in the rows of an epoch; ``counts`` are its rows, shape ``(F,)``."""
        return counts / counts.sum()

    def length(self, counts: Indices) -> int:
        """Return how many rows an epoch draws."""
        return int(counts.sum()) * self._times(int(counts.sum()))

    def batches(self, fidelity: Indices, batch_size: int, seed: int, epoch: int) -> list[Indices]:
        """Return the rows of each batch of one epoch; ``fidelity`` is the index of each row's, shape ``(S,)``."""
        times = self._times(len(fidelity))
        if times == 1:
            return shuffled(len(fidelity), batch_size, seed, epoch)
        order = _passes(np.arange(len(fidelity)), times * len(fidelity), [seed, epoch])
        return _cut(order, batch_size)


class Balanced(Drawing):
    """Equally many rows of every fidelity in each batch; within a batch their numbers differ by one at most.

    An epoch goes once through the fidelity with the most rows. The others are gone through as often as that takes,
    each time in another order, so an epoch draws the largest number of rows times the number of fidelities.
    """

    name: Literal["balanced"] = "balanced"

    def shares(self, counts: Indices) -> Array:
        """Return the part of each fidelity in the rows of an epoch; ``counts`` are its rows, shape ``(F,)``."""
        return (counts > 0) / np.count_nonzero(counts)

    def length(self, counts: Indices) -> int:
        """Return how many rows an epoch draws."""
        length = int(counts.max() * np.count_nonzero(counts))
        return length * self._times(length)

    def batches(self, fidelity: Indices, batch_size: int, seed: int, epoch: int) -> list[Indices]:
        """Return the rows of each batch of one epoch; ``fidelity`` is the index of each row's, shape ``(S,)``."""
        present = np.unique(fidelity)
        if len(present) == 1:
            return Proportional(least_rows=self.least_rows).batches(fidelity, batch_size, seed, epoch)
        members = [np.flatnonzero(fidelity == index) for index in present]
        longest = max(len(own) for own in members)
        longest *= self._times(longest * len(members))
        streams = [_passes(own, longest, [seed, epoch, number]) for number, own in enumerate(members)]
        return _cut(np.stack(streams, axis=1).ravel(), batch_size)


Sampling = Annotated[Proportional | Balanced, Field(discriminator="name")]


def _cut(order: Indices, batch_size: int) -> list[Indices]:
    """Return the batches of rows in this order."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _passes(rows: Indices, length: int, seed: list[int]) -> Indices:
    """Return ``length`` of ``rows``, pass after pass, each in another order."""
    passes = -(-length // len(rows))
    drawn = [np.random.default_rng([*seed, number]).permutation(rows) for number in range(passes)]
    return np.concatenate(drawn)[:length].astype(np.int64)
