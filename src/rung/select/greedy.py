"""Choose labels one after the other, each the best for its cost, with a look back after each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.progress import SILENT, Progress
from rung.select.gaussian import Knowledge, Label

BETTER = 1e-6
"""By what share of the loss an exchange must lower it to be made."""


@dataclass(frozen=True)
class Offer:
    """Which labels can be had.

    Parameters
    ----------
    sizes
        Atoms of each candidate, shape ``(n,)``.
    stderrs
        The one-sigma errors that a label may have, eV; the largest is the unit of the cost.
    power
        Cost grows as N^power; it always grows as 1/σ².
    unit
        Atoms of a label that costs one; by default the mean of the candidates.
    """

    sizes: Array
    stderrs: tuple[float, ...]
    power: float = 0.0
    unit: float | None = None

    def costs(self, stderr: float) -> Array:
        """Return the cost of a label of each candidate with this error, shape ``(n,)``."""
        unit = self.sizes.mean() if self.unit is None else self.unit
        return np.asarray((max(self.stderrs) / stderr) ** 2 * (self.sizes / unit) ** self.power)

    def label(self, candidate: int, stderr: float) -> Label:
        """Return a label of a candidate with this error."""
        return Label(candidate, stderr, float(self.costs(stderr)[candidate]))


def greedy(knowledge: Knowledge, offer: Offer, budget: float, *, progress: Progress = SILENT) -> Iterator[list[Label]]:
    """Yield the labels chosen so far, after each choice, until the budget is spent or nothing helps.

    Each choice is the label that lowers the loss most for its cost. Then one label chosen before may be exchanged for a
    better one at no more cost: the first choices were made without knowing the later ones.

    Parameters
    ----------
    knowledge
        What is known before.
    offer
        Which labels can be had, each candidate once.
    budget
        What all labels may cost.
    progress
        Where choices are reported.
    """
    chosen: list[Label] = []
    with progress.task("Choosing labels", round(budget)) as task:
        while label := _best(knowledge.after(chosen), offer, budget - spent(chosen), chosen, per_cost=True):
            chosen = _exchanged(knowledge, offer, [*chosen, label], budget)
            yield chosen
            task.advance(max(1, round(label.cost)))


def spent(labels: Sequence[Label]) -> float:
    """Return what labels cost together."""
    return sum(label.cost for label in labels)


def _exchanged(knowledge: Knowledge, offer: Offer, chosen: list[Label], budget: float) -> list[Label]:
    """Return ``chosen`` with that one exchange which lowers the loss most, or as it is."""
    best, loss = chosen, knowledge.loss_after(chosen) * (1 - BETTER)
    for position in range(len(chosen) - 1):
        others = chosen[:position] + chosen[position + 1 :]
        label = _best(knowledge.after(others), offer, budget - spent(others), others, per_cost=False)
        if label is not None and label.cost <= chosen[position].cost:
            exchanged = [*chosen[:position], label, *chosen[position + 1 :]]
            if (lower := knowledge.loss_after(exchanged)) < loss:
                best, loss = exchanged, lower
    return best


def _best(
    knowledge: Knowledge, offer: Offer, budget: float, chosen: Sequence[Label], *, per_cost: bool
) -> Label | None:
    """Return the affordable label that lowers the loss most, for its cost or at all; None where none does."""
    taken = [label.candidate for label in chosen]
    best, most = None, 0.0
    for stderr in offer.stderrs:
        costs = offer.costs(stderr)
        worth = knowledge.gains(stderr) / (costs if per_cost else 1.0)
        worth[taken] = 0.0
        worth[costs > budget * (1 + 1e-9)] = 0.0
        candidate = int(np.argmax(worth))
        if worth[candidate] > most:
            best, most = offer.label(candidate, stderr), float(worth[candidate])
    return best


def in_order(order: Sequence[int], offer: Offer, budget: float) -> Iterator[list[Label]]:
    """Yield the labels of candidates in this order, with the largest error, until the budget is spent."""
    chosen: list[Label] = []
    for candidate in order:
        label = offer.label(candidate, max(offer.stderrs))
        if spent(chosen) + label.cost > budget * (1 + 1e-9):
            break
        chosen = [*chosen, label]
        yield chosen


def farthest_first(points: Array, count: int) -> list[int]:
    """Return positions of ``count`` points, each the farthest from those before it; the first is nearest to the mean.

    Gonzalez, Theor. Comput. Sci. 38, 293 (1985).
    """
    order = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(order) < min(count, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - points[order[-1]], axis=1))
        distance[order[-1]] = -1.0  # copies of it come last, and it does not come again
        order.append(int(np.argmax(distance)))
    return order
