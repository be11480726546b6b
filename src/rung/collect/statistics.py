"""The mean of a correlated, weighted series and its error: equilibrium, statistical inefficiency, independent samples.

The error of a weighted mean μ = Σwx/Σw is that of the plain mean of w(x − μ)/w̄ to first order (the ratio estimator;
Kish, Survey Sampling, 1965, ch. 2), with the statistical inefficiency g of that series: σ² = g s²/N, N/g independent
samples. g is pymbar's (Chodera et al., J. Chem. Theory Comput. 3, 26 (2007), eq. 28).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.evaluate.free_energy.mbar import independent_samples, statistical_inefficiency

FEWEST_ROWS = 10
"""Rows after equilibration below which no correlation can be told."""

FEWEST_INDEPENDENT = 5.0
"""Independent samples below which an error is refused: it would itself be off by a third."""

FEW_INDEPENDENT = 20.0
"""Independent samples below which an error is rough: it is itself off by a sixth."""

MOST_BLOCKS = 8192
"""Rows above which neighbours are averaged before correlations are looked for."""

FARTHEST_DRIFT = 3.0
"""Standard errors by which two halves of a series in equilibrium may differ."""


@dataclass(frozen=True)
class Estimate:
    """The mean of a series.

    Parameters
    ----------
    mean
        In the unit of the series.
    stderr
        One-sigma statistical error of it.
    rows
        All rows of the series.
    equilibration
        Rows at the beginning that were left out.
    detected
        Rows after which the series itself looks settled.
    inefficiency
        Rows that count as one.
    independent
        Independent samples.
    warnings
        What makes the mean or its error doubtful.
    """

    mean: float
    stderr: float
    rows: int
    equilibration: int
    detected: int
    inefficiency: float
    independent: float
    warnings: tuple[str, ...] = ()


def estimate(source: Path, values: Array, weights: Array, *, equilibration: int | None = None) -> Estimate:
    """Return the mean of a series and its error.

    Parameters
    ----------
    source
        What messages call the series.
    values, weights
        Shape ``(rows,)`` each.
    equilibration
        Rows to leave out at the beginning; None leaves out what is found not to be in equilibrium.

    Raises
    ------
    DataError
        When no error can be told: too few rows or independent samples, or rows that do not differ.
    """
    detected = settled_from(values)
    first = detected if equilibration is None else equilibration
    kept, kept_weights = values[first:], weights[first:]
    if len(kept) < FEWEST_ROWS:
        raise DataError(
            f"{source}: {len(kept)} of {counted(len(values), 'row')} are left after {first} of equilibration, and no "
            f"error can be told from fewer than {FEWEST_ROWS}; run on, or leave fewer out."
        )
    if np.ptp(kept) == 0:
        raise DataError(f"{source}: all rows hold {kept[0]:.6g}, so no error can be told; is it a Monte Carlo run?")
    mean, stderr, inefficiency = mean_and_error(kept, kept_weights)
    independent = len(kept) / inefficiency
    if independent < FEWEST_INDEPENDENT:
        raise DataError(
            f"{source}: the {len(kept)} rows after equilibration are worth {independent:.1f} independent samples, and "
            f"no error can be told from fewer than {FEWEST_INDEPENDENT:.0f}; run on."
        )
    warnings = []
    if independent < FEW_INDEPENDENT:
        rough = 100.0 / np.sqrt(2.0 * (independent - 1.0))
        warnings.append(f"{independent:.0f} independent samples: the error is itself uncertain by {rough:.0f} %")
    warnings += _unsettled(values, weights, first, detected, mean, stderr)
    return Estimate(mean, stderr, len(values), first, detected, inefficiency, independent, tuple(warnings))


def mean_and_error(values: Array, weights: Array) -> tuple[float, float, float]:
    """Return the weighted mean of a series in equilibrium, its standard error, and how many rows count as one."""
    mean = float(weights @ values / weights.sum())
    rows = weights * (values - mean) / weights.mean()
    blocks, _ = blocked(rows)
    variance = statistical_inefficiency(blocks) * blocks.var(ddof=1) / len(blocks)
    inefficiency = variance * len(values) / rows.var(ddof=1)
    return mean, float(np.sqrt(variance)), max(float(inefficiency), 1.0)


def settled_from(values: Array) -> int:
    """Return the first row in equilibrium: the beginning that leaves most independent samples."""
    blocks, size = blocked(values)
    return independent_samples(blocks)[0] * size


def blocked(values: Array) -> tuple[Array, int]:
    """Return means of so many neighbours that at most :data:`MOST_BLOCKS` are left, and how many those are.

    Rows that do not fill the last block are left out.
    """
    size = -(-len(values) // MOST_BLOCKS)
    count = len(values) // size
    return values[: count * size].reshape(count, size).mean(axis=1), size


def combined(estimates: Sequence[Estimate], shares: Sequence[float]) -> tuple[float, float]:
    """Return the mean of independent estimates by their ``shares``, and its standard error."""
    weights = np.asarray(shares, dtype=float) / np.sum(shares)
    means = np.array([one.mean for one in estimates])
    errors = np.array([one.stderr for one in estimates])
    return float(weights @ means), float(np.sqrt(np.sum((weights * errors) ** 2)))


def _unsettled(values: Array, weights: Array, first: int, detected: int, mean: float, stderr: float) -> Iterator[str]:
    """Yield what says that a series is not in equilibrium from the row ``first``."""
    if first < detected and len(values) - detected >= FEWEST_ROWS:
        later, _, _ = mean_and_error(values[detected:], weights[detected:])
        if abs(later - mean) > stderr:
            yield (
                f"the series settles only at row {detected}, and from there its mean is {later:.4f} eV and not "
                f"{mean:.4f}: leave out {counted(detected, 'row')}"
            )
            return
    if first == detected and first > len(values) / 2:
        yield f"it settles only in its second half ({first} of {len(values)} rows are left out), or not at all; run on"
    half = first + (len(values) - first) // 2
    if half - first < FEWEST_ROWS:
        return
    one, one_error, _ = mean_and_error(values[first:half], weights[first:half])
    two, two_error, _ = mean_and_error(values[half:], weights[half:])
    apart = abs(two - one) / np.hypot(one_error, two_error)
    if apart > FARTHEST_DRIFT:
        yield f"its halves differ by {two - one:+.4f} eV, {apart:.1f} times the error: it still drifts; run on"
