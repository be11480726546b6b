"""What draws can show: paired differences with intervals, corrected for how many pairs are compared.

A method is called worse than the best only where a paired t test says so after Holm's correction (Scand. J. Stat. 6,
65, 1979) over *all* pairs of methods: the best was chosen by the same numbers, so pairs with it are not the only ones.
Then among equal methods something is called worse in at most 5 % of tables, whatever the number of draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import t as student

from rung.data.labels import Array
from rung.evaluate.draws import FEWEST_DRAWS, Values, in_order, repeated

LEVEL = 0.05
"""Share of tables of equal methods in which something may be called worse."""

POWER = 0.8
"""Share of tables in which the smallest difference that is quoted would have been found."""


@dataclass(frozen=True)
class Difference:
    """How far one method is from another, fit by fit on the same draws.

    Parameters
    ----------
    mean
        Of the differences, in the unit of the metric; positive where the first errs more.
    stderr
        Standard error of the mean: the scatter of the draws, and of the test structures where it is known. NaN for one
        draw.
    n
        How many distinct draws both have; where there are several folds, how many folds.
    """

    mean: float
    stderr: float
    n: int

    @property
    def p(self) -> float:
        """Two-sided p value of the paired t test, before any correction; 1 where nothing is known."""
        if self.n < 2 or not np.isfinite(self.stderr):
            return 1.0
        if self.stderr == 0.0:
            return 0.0 if self.mean else 1.0
        return float(2.0 * student.sf(abs(self.mean) / self.stderr, self.n - 1))

    def interval(self, level: float = 1.0 - LEVEL) -> tuple[float, float]:
        """Return the interval that holds the difference with probability ``level``; infinite for one draw."""
        if self.n < 2 or not np.isfinite(self.stderr):
            return -np.inf, np.inf
        half = float(student.ppf(0.5 + 0.5 * level, self.n - 1)) * self.stderr
        return self.mean - half, self.mean + half

    @property
    def detectable(self) -> float:
        """The smallest difference that so many draws find in 80 % of cases, uncorrected; infinite for one draw."""
        if self.n < 2 or not np.isfinite(self.stderr):
            return float("inf")
        quantiles = student.ppf([1.0 - 0.5 * LEVEL, POWER], self.n - 1)
        return float(quantiles.sum()) * self.stderr


def paired(one: Values, other: Values, test_stderr: float = 0.0) -> Difference:
    """Return the difference of ``one`` less ``other`` over the draws that both have; NaN where there is none.

    With several folds the draws of each are averaged first: they share its test structures.

    Parameters
    ----------
    one, other
        The same metric of two methods.
    test_stderr
        Standard error that the choice of test structures gives to the mean difference; see :func:`sampling_stderr`.
    """
    common = sorted(one.keys() & other.keys())
    if not common:
        return Difference(np.nan, np.nan, 0)
    again = repeated({key: one[key] for key in common}) & repeated({key: other[key] for key in common})
    differences = _by_fold({key: one[key] - other[key] for key in common if key not in again})
    if len(differences) == 1:
        return Difference(float(differences[0]), np.nan, 1)
    scatter = float(np.std(differences, ddof=1)) / np.sqrt(len(differences))
    return Difference(float(differences.mean()), float(np.hypot(scatter, test_stderr)), len(differences))


def _by_fold(values: Values) -> Array:
    """Return what scatters independently: the draws, or where there are several folds, the mean over draws of each.

    All draws of a fold are judged on its test structures, and its neighbours' are others.
    """
    folds: dict[int, list[float]] = {}
    for (_, fold), value in values.items():
        folds.setdefault(fold, []).append(value)
    return np.array(list(values.values()) if len(folds) == 1 else [np.mean(own) for own in folds.values()])


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method, in the same order."""
    order = np.argsort(p_values)
    corrected, largest = np.ones(len(p_values)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min((len(order) - rank) * p_values[place], 1.0))
        corrected[place] = largest
    return corrected.tolist()


@dataclass(frozen=True)
class Comparison:
    """One method beside the one that errs least.

    Parameters
    ----------
    method, best
        Their names.
    difference
        The method's error less that of the best.
    p
        Corrected over all pairs of methods.
    """

    method: str
    best: str
    difference: Difference
    p: float

    @property
    def worse(self) -> bool:
        """Whether the method may be called worse than the best."""
        return self.difference.n >= FEWEST_DRAWS and self.difference.mean > 0.0 and self.p <= LEVEL


def compare(
    values: Mapping[str, Values], test_stderr: Mapping[tuple[str, str], float] | None = None
) -> list[Comparison]:
    """Return every method beside the one that errs least, in the order given; empty with fewer than two.

    The one that errs least is the first of :func:`rung.evaluate.draws.in_order`.

    Parameters
    ----------
    values
        One metric by method.
    test_stderr
        By pair of methods, in any order, what the choice of test structures adds; see :func:`sampling_stderr`.
    """
    if len(values) < 2:
        return []
    added = test_stderr or {}
    pairs = list(combinations(values, 2))
    differences = {
        pair: paired(values[pair[0]], values[pair[1]], added.get(pair, added.get(pair[::-1], 0.0))) for pair in pairs
    }
    corrected = dict(zip(pairs, holm([differences[pair].p for pair in pairs]), strict=True))
    best = in_order(values)[0]
    found = []
    for method in values:
        if method == best:
            continue
        pair = (method, best) if (method, best) in differences else (best, method)
        one = differences[pair]
        sign = 1.0 if pair[0] == method else -1.0
        found.append(Comparison(method, best, Difference(sign * one.mean, one.stderr, one.n), corrected[pair]))
    return found


RESAMPLES = 400


def sampling_stderr(one: Array, other: Array, counts: Array, groups: Sequence[str], *, seed: int = 0) -> float:
    """Return the standard error that the choice of test structures gives to a mean difference of r.m.s. errors.

    A bootstrap over groups of structures (Efron, Ann. Stat. 7, 1, 1979): all draws are judged on the same test
    structures, so more draws do not average this out.

    Parameters
    ----------
    one, other
        Mean squared errors of each structure in each common draw, shape ``(draws, S)``.
    counts
        How many values stand behind each, shape ``(S,)``: 1 for energies, components for forces.
    groups
        Structures of one name are drawn together.
    """
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n_groups = int(member.max(initial=-1)) + 1
    if n_groups < 2:
        return 0.0
    times = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=RESAMPLES)
    weight = times[:, member] * counts
    total = weight.sum(axis=1)
    usable = total > 0
    sizes = [np.sqrt(weight[usable] @ squares.T / total[usable, None]) for squares in (one, other)]
    return float(np.std(np.mean(sizes[0] - sizes[1], axis=1), ddof=1))
