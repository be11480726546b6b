"""Slopes that a few wild points cannot turn, and what units would explain them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import units as ase_units
from numpy.typing import ArrayLike, NDArray

from rung.data.labels import Array
from rung.results.findings import Severity
from rung.units import BOHR, GPA, HARTREE, KCAL_PER_MOL

KJ_PER_MOL = float(ase_units.kJ / ase_units.mol)

ENERGY_UNITS: Mapping[str, float] = {
    "Hartree": HARTREE,
    "Rydberg": HARTREE / 2.0,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": KJ_PER_MOL,
    "meV": 1.0e-3,
}
"""In eV."""

FORCE_UNITS: Mapping[str, float] = {
    "Hartree/Bohr": HARTREE / BOHR,
    "Hartree/Å": HARTREE,
    "Rydberg/Bohr": HARTREE / 2.0 / BOHR,
    "kcal/mol/Å": KCAL_PER_MOL,
    "kJ/mol/Å": KJ_PER_MOL,
    "meV/Å": 1.0e-3,
}
"""In eV/Å."""

STRESS_UNITS: Mapping[str, float] = {
    "GPa": GPA,
    "kbar": GPA / 10.0,
    "MPa": GPA / 1.0e3,
    "bar": GPA / 1.0e4,
    "Hartree/Bohr³": HARTREE / BOHR**3,
}
"""In eV/Å³."""

PLAUSIBLE = 5.0
"""Two levels of theory agree within this factor on how an energy, a force or a stress changes."""

ROUNDING = 1.0e-12
"""A difference below this, in eV, eV/Å or eV/Å³, is rounding and has no sign."""

MAX_PAIRS = 20_000
"""Differences that are looked at: more would not move a median."""


@dataclass(frozen=True)
class Slope:
    """How one quantity changes with another.

    Parameters
    ----------
    value
        The median of Δy/Δx, each weighted by |Δx|: the line through zero of least absolute error.
    agreement
        The share of |Δx| that goes with the sign of ``value``, less the share that goes against it: 1 where all
        differences agree, 0 where ``value`` means nothing.
    n
        How many independent differences there are.
    tightness
        The share of |Δx| whose own slope lies within a factor of 2 of ``value``: near 1 where a unit sets the slope.
    """

    value: float
    agreement: float
    n: int
    tightness: float = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether there are enough differences, and few of the other sign."""
        return self.n >= 3 and self.agreement >= 0.7

    @property
    def is_tight(self) -> bool:
        """Whether most differences share the slope, as they do where a unit or a sign sets it; chance scatters them."""
        return self.tightness >= 0.6

    def is_within(self, factor: float) -> bool:
        """Whether the slope lies between ``1/factor`` and ``factor``."""
        return 1.0 / factor <= self.value <= factor


def slope_through_zero(x: ArrayLike, y: ArrayLike, n: int | None = None) -> Slope:
    """Return the slope of ``y`` on ``x``, both flattened; entries that are no numbers do not count."""
    across, up = np.ravel(np.asarray(x, dtype=float)), np.ravel(np.asarray(y, dtype=float))
    use = np.isfinite(across) & np.isfinite(up) & (np.abs(across) > ROUNDING)
    across, up = across[use], up[use]
    if not len(across):
        return Slope(np.nan, 0.0, 0)
    weight = np.abs(across)
    value = weighted_median(up / across, weight)
    sign = np.sign(up * across) * np.sign(value)
    ratio = np.abs(up / across)
    tight = (ratio > 0.5 * abs(value)) & (ratio < 2.0 * abs(value))
    return Slope(
        value,
        agreement=float((weight * sign).sum() / weight.sum()),
        n=len(across) if n is None else n,
        tightness=float(weight[tight].sum() / weight.sum()),
    )


def slope_within_groups(x: Sequence[float], y: Sequence[float], groups: Sequence[Hashable]) -> Slope:
    """Return the slope of ``y`` on ``x`` from differences inside a group, so that no offset of a group counts."""
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    steps_x, steps_y, n = [], [], 0
    places: dict[Hashable, list[int]] = {}
    for k, group in enumerate(groups):
        places.setdefault(group, []).append(k)
    share = max(1, MAX_PAIRS // max(1, len(places)))
    for members in places.values():
        first, second = thinned_pairs(len(members), share)
        index = np.array(members)
        steps_x.append(across[index[second]] - across[index[first]])
        steps_y.append(up[index[second]] - up[index[first]])
        n += len(members) - 1
    return slope_through_zero(_joined(steps_x), _joined(steps_y), n)


def centred(values: Array, groups: Array) -> Array:
    """Return values less the mean of each group, ``(n, m)``."""
    _, place, count = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(place, weights=column) / count for column in values.T], axis=1)
    return np.asarray(values - means[place])


def thinned_pairs(size: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return about ``count`` of the pairs ``i < j`` below ``size``, at even places in their order, or all if fewer.

    Only the pairs that are returned are ever formed: all pairs of some ten thousand frames would fill the memory.
    """
    total = size * (size - 1) // 2
    place = np.arange(0, total, 1 + total // count, dtype=np.int64)
    first = np.arange(size, dtype=np.int64)
    start = first * (2 * size - first - 1) // 2  # the place of the pair (i, i + 1)
    first = np.searchsorted(start[: size - 1], place, side="right") - 1
    return first, place - start[first] + first + 1


def weighted_median(values: Array, weights: Array) -> float:
    """Return the value at which half of the weight lies below."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def explanations(slope: float, below: str, above: str, units: Mapping[str, float], slack: float = 2.2) -> str:
    """Return which unit of which quantity would turn a slope of about 1 into ``slope``, for a sentence.

    Parameters
    ----------
    slope
        Change of ``above`` by change of ``below``.
    below, above
        What the two quantities are called; one that stands in the right unit for certain is called "".
    units
        Units by name, in rung's.
    slack
        The factor that two levels of theory may differ by.
    """
    candidates = []
    for name, size in units.items():
        candidates += [(f"{above} in {name}", abs(np.log(slope * size)))] if above else []
        candidates += [(f"{below} in {name}", abs(np.log(slope / size)))] if below else []
    near = sorted((distance, text) for text, distance in candidates if distance < np.log(slack))
    return " or ".join(text for _, text in near[:3])


def explained(
    slope: Slope,
    below: str,
    above: str,
    units: Mapping[str, float],
    more: Mapping[str, float] | None = None,
    *,
    against: str = "those of the base",
) -> tuple[Severity, str] | None:
    """Return severity and reason where a slope cannot come from two levels of theory in one unit; else None.

    Parameters are those of :func:`explanations`; ``more`` are further units, and ``against`` is what stands below where
    it is in the right unit for certain.
    """
    if not slope.is_sure or not slope.is_tight or not slope.value > 0 or slope.is_within(PLAUSIBLE):
        return None
    observation = f"{above} change {slope.value:.3g} times as much as {below or against}"
    reason = explanations(slope.value, below, above, {**units, **(more or {})})
    if reason:
        return "error", f"{observation}: {reason}"
    return "warning", f"{observation}, which no usual unit explains"


def nearest_unit(slope: float, units: Mapping[str, float]) -> str:
    """Return the unit that would turn a slope of 1 most nearly into ``slope``."""
    return min(units, key=lambda name: abs(np.log(slope * units[name])))


def _joined(parts: Iterable[Array]) -> Array:
    listed = list(parts)
    return np.concatenate(listed) if listed else np.empty(0)
