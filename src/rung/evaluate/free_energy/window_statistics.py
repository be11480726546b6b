"""What each window of umbrella sampling is worth: its independent samples, and what is wrong with the windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from rung.data.labels import Array
from rung.errors import counted
from rung.evaluate.free_energy.mbar import independent_samples, statistical_inefficiency
from rung.evaluate.free_energy.umbrella import Window

LEAST_OVERLAP = 0.03
"""What neighbours should share: Klimovich, Shirts and Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015)."""

_FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class WindowStatistics:
    """How well one window did.

    Parameters
    ----------
    centre
        Of its spring.
    mean, spread
        Of the variable in equilibrium.
    equilibrated
        The first sample in equilibrium.
    inefficiency
        Samples that count as one.
    samples
        Independent samples that were used.
    overlap
        With the window that follows: the probability that a sample of this one came from that one; NaN for the last.
    """

    centre: float
    mean: float
    spread: float
    equilibrated: int
    inefficiency: float
    samples: int
    overlap: float


def independent(window: Window) -> tuple[Array, int, float]:
    """Return which samples are used, where equilibrium begins, and how many samples count as one."""
    first = 0
    inefficiency = 1.0
    for series in (window.values, window.energies):
        first = max(first, independent_samples(series)[0])
    for series in (window.values[first:], window.energies[first:]):
        inefficiency = max(inefficiency, statistical_inefficiency(series))
    count = int((len(window.values) - first) / inefficiency)
    indices = first + np.floor(np.arange(count) * inefficiency).astype(int)
    return indices, first, inefficiency


def statistics_of(window: Window, indices: Array, first: int, inefficiency: float) -> WindowStatistics:
    """Return the statistics of one window from what :func:`independent` gave, its overlap not known yet."""
    values = window.values[first:]
    mean, spread = (float(values.mean()), float(values.std())) if len(values) else (float("nan"), float("nan"))
    return WindowStatistics(window.centre, mean, spread, first, inefficiency, len(indices), float("nan"))


def unusable(windows: Sequence[Window], kept: Sequence[Array]) -> str:
    """Return why windows cannot be joined, or nothing."""
    for window, indices in zip(windows, kept, strict=True):
        if window.reason:
            return f"Window {window.index} at {window.centre:.4g} broke: {window.reason}."
        if len(indices) < _FEWEST_SAMPLES:
            return (
                f"Window {window.index} at {window.centre:.4g} has {counted(len(indices), 'independent sample')}; "
                f"at least {_FEWEST_SAMPLES} are needed: give more steps."
            )
    ranges = [_range(window, indices) for window, indices in zip(windows, kept, strict=True)]
    for number, (one, two) in enumerate(pairwise(ranges)):
        if max(one[0], two[0]) > min(one[1], two[1]):
            return apart(windows, kept, number)
    return ""


def apart(windows: Sequence[Window], kept: Sequence[Array], number: int) -> str:
    """Return the sentence on a window and the next one, which share too little."""
    one, two = windows[number : number + 2]
    (low, high), (next_low, next_high) = (_range(windows[k], kept[k]) for k in (number, number + 1))
    return (
        f"Windows {one.index} and {two.index}, at {one.centre:.4g} and {two.centre:.4g}, do not overlap (they sampled "
        f"{low:.4g} to {high:.4g} and {next_low:.4g} to {next_high:.4g}): "
        "put a window between them, or change the spring or the collective variable."
    )


def _range(window: Window, indices: Array) -> tuple[float, float]:
    """Return the range of the samples that are joined, but for the first of all.

    A start from a band lies near the neighbour's centre perhaps. It makes no overlap: the equations would be solved for
    hours, or not at all.
    """
    values = window.values[indices[indices > 0]]
    return float(values.min()), float(values.max())


def warnings_of(statistics: Sequence[WindowStatistics]) -> tuple[str, ...]:
    """Return what makes error bars too small or rough."""
    found = []
    poor = [index for index, one in enumerate(statistics[:-1]) if one.overlap < LEAST_OVERLAP]
    if poor:
        listed = ", ".join(f"{index} and {index + 1} ({statistics[index].overlap:.3f})" for index in poor)
        found.append(
            f"Neighbouring windows overlap by less than {LEAST_OVERLAP}: {listed}; the error bars are too small."
        )
    few = [index for index, one in enumerate(statistics) if one.samples < 50]
    if few:
        fewest = min(statistics[index].samples for index in few)
        found.append(
            f"{len(few)} of {counted(len(statistics), 'window')} {'has' if len(few) == 1 else 'have'} fewer than 50 "
            f"independent samples (the fewest {fewest}); error bars of so few samples are rough: give more steps."
        )
    return tuple(found)


def cut_off(statistics: Sequence[WindowStatistics], reactant: Literal["low", "high"]) -> Iterator[str]:
    """Yield a warning for each end of the windows beyond which the profile still falls: the basin there is not whole.

    A window whose spring is pulled outwards by more than two standard errors of its mean sits on such a slope.

    Parameters
    ----------
    statistics
        One entry a window, in the order of their centres.
    reactant
        The side of the reactant.
    """
    ordered = sorted(statistics, key=lambda one: one.centre)
    for side, window, outwards in (("low", ordered[0], -1.0), ("high", ordered[-1], 1.0)):
        error = window.spread / np.sqrt(window.samples)
        if outwards * (window.mean - window.centre) <= 2.0 * error:
            continue
        basin, what = (
            ("reactant", "ΔF‡ and the rate")
            if side == reactant
            else ("product", "ΔF‡ from that side and the reaction's ΔF")
        )
        yield (
            f"The profile still falls beyond the last window at {window.centre:.4g}, so the {basin}'s basin is cut off "
            f"and {what} count only what was sampled of it: add windows there."
        )
