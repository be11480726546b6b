"""What draws of labels show: draws that gave the same fit are one draw, and have no spread."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Values = Mapping[tuple[int, int], float]
"""One metric by seed and fold."""


FEWEST_DRAWS = 5
"""With fewer draws an interval is shown, and no method is called worse."""


@dataclass(frozen=True)
class Moments:
    """Mean and spread of one metric.

    Parameters
    ----------
    mean
        Over distinct draws, in the unit of the metric; NaN without any.
    spread
        Standard deviation between distinct draws; NaN with fewer than two.
    n
        How many distinct draws there are.
    """

    mean: float
    spread: float
    n: int


def repeated(values: Values) -> frozenset[tuple[int, int]]:
    """Return the draws that are another's again: all but the first of a fold where every seed gave the same value."""
    folds: dict[int, list[tuple[int, int]]] = {}
    for seed, fold in values:
        folds.setdefault(fold, []).append((seed, fold))
    again: set[tuple[int, int]] = set()
    for draws in folds.values():
        known = np.array([values[draw] for draw in draws])
        if len(known) > 1 and np.ptp(known) <= 1e-12 * max(np.abs(known).max(), 1e-300):
            again |= set(draws[1:])
    return frozenset(again)


def distinct(values: Values) -> Values:
    """Return the values of distinct draws: seeds that all took every label of a fold are one draw."""
    again = repeated(values)
    return {draw: value for draw, value in values.items() if draw not in again} if again else values


def moments(values: Values) -> Moments:
    """Return mean and spread over the distinct draws whose value is finite."""
    known = np.array([value for value in distinct(values).values() if np.isfinite(value)])
    if not known.size:
        return Moments(float("nan"), float("nan"), 0)
    spread = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return Moments(float(known.mean()), spread, known.size)


def in_order(values: Mapping[str, Values]) -> list[str]:
    """Return the methods, the least mean first, and after the others those that lack draws which another has.

    Draws are not equally hard, so the mean of a method whose fit of a hard draw failed is no smaller error.
    """
    draws = {draw for own in values.values() for draw in own}

    def place(method: str) -> tuple[int, float]:
        own = {draw for draw, value in values[method].items() if np.isfinite(value)}
        return len(draws - own), moments(values[method]).mean

    return sorted(values, key=place)
