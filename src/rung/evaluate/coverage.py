"""How often error bars hold the truth: the one definition, which runs, evaluations, studies and benchmarks share.

The share of labels that lie within the central interval of a level around the prediction. The interval is that of a
normal error whose variance is the one of the prediction (weights and model) and the one of the label together. Labels
that are absent do not count, nor do bars that are unknown or infinite. Errors that all labels share are in no bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfinv

from rung.data.labels import Array
from rung.errors import DataError

LEVELS = (0.68, 0.95)
"""The shares that the tables quote."""


@dataclass(frozen=True)
class Coverage:
    """What share of intervals held the truth.

    Parameters
    ----------
    level
        The share that is due.
    fraction
        The share that was found; NaN where ``n`` is 0.
    n
        Values with a finite error bar and a known truth.
    low, high
        95 % interval of ``fraction`` for ``n`` independent values (Wilson 1927). Components of one fit are
        correlated, so the honest interval is wider.
    """

    level: float
    fraction: float
    n: int
    low: float
    high: float


def against_labels(stderr: ArrayLike, label_stderr: ArrayLike) -> Array:
    """Return the one-sigma error of prediction less label, of that of each; a label without an error has none."""
    return np.asarray(np.hypot(np.asarray(stderr, dtype=float), np.nan_to_num(np.asarray(label_stderr, dtype=float))))


def coverage(values: ArrayLike, truths: ArrayLike, stderr: ArrayLike, level: float) -> float:
    """Return the share of ``values`` whose central interval of probability ``level`` holds the truth.

    Parameters
    ----------
    values, truths
        Predictions and what they should be, one unit, one shape; a NaN truth does not count.
    stderr
        One-sigma error bars of the difference, same shape; a bar that is not finite or not positive does not count.
    level
        Probability of the interval, between 0 and 1; errors are taken as normal.

    Returns
    -------
    float
        Between 0 and 1; NaN where nothing counts.

    Raises
    ------
    DataError
        When shapes disagree or ``level`` is no probability.
    """
    ratios = _ratios(values, truths, stderr)
    if not 0 < level < 1:
        raise DataError(f"A coverage level lies between 0 and 1, not at {level}.")
    return float(np.mean(ratios <= sqrt(2) * erfinv(level))) if ratios.size else float("nan")


def coverage_table(
    values: ArrayLike, truths: ArrayLike, stderr: ArrayLike, levels: Sequence[float] = LEVELS
) -> tuple[Coverage, ...]:
    """Return :func:`coverage` at each of ``levels`` with the interval that the number of values leaves."""
    count = int(_ratios(values, truths, stderr).size)
    rows = []
    for level in levels:
        fraction = coverage(values, truths, stderr, level)
        rows.append(Coverage(level, fraction, count, *_wilson(fraction, count)))
    return tuple(rows)


def _ratios(values: ArrayLike, truths: ArrayLike, stderr: ArrayLike) -> Array:
    value, truth, bar = (np.asarray(array, dtype=float) for array in (values, truths, stderr))
    if not value.shape == truth.shape == bar.shape:
        raise DataError(f"Coverage needs equal shapes, not {value.shape}, {truth.shape} and {bar.shape}.")
    usable = np.isfinite(value) & np.isfinite(truth) & np.isfinite(bar) & (bar > 0)
    return np.asarray(np.abs(value - truth)[usable] / bar[usable])


def _wilson(fraction: float, count: int, quantile: float = 1.959964) -> tuple[float, float]:
    if not count:
        return float("nan"), float("nan")
    spread = quantile**2 / count
    middle = (fraction + spread / 2) / (1 + spread)
    half = quantile / (1 + spread) * sqrt(fraction * (1 - fraction) / count + spread / (4 * count))
    return middle - half, middle + half
