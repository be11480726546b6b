"""The table of a comparison: each method beside the best, by split, metric and number of labels."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rung.data.labels import Array
from rung.evaluate.draws import Values, in_order, moments
from rung.results.fits import StructureErrors, StudyFit
from rung.results.study import MethodComparison, StudyRow
from rung.study.config import StudyConfig
from rung.study.plan import BASE, Fit
from rung.study.statistics import Comparison, compare, sampling_stderr
from rung.study.table import values_of

METRICS = ("energy_rmse", "force_rmse")
"""Metrics by which methods are compared."""

Fits = Sequence[tuple[Fit, StudyFit]]


def judged_splits(config: StudyConfig, rows: Sequence[StudyRow]) -> list[str]:
    """Return the splits that methods are judged on, in the order of the table."""
    return [split for split in dict.fromkeys(row.split for row in rows) if split not in (*config.bands, "fit", "valid")]


def comparisons(config: StudyConfig, rows: Sequence[StudyRow], fits: Fits) -> tuple[MethodComparison, ...]:
    """Return each method beside the one that errs least in the mean, wherever two methods or more were judged.

    Parameters
    ----------
    config, rows
        The study and its table.
    fits
        Its fits, whose errors of single structures tell what the choice of the test set adds.
    """
    found: list[MethodComparison] = []
    for split in judged_splits(config, rows):
        for metric in METRICS:
            table = values_of(rows, split, metric)
            for n_labels in sorted({n for method, by_number in table.items() if method != BASE for n in by_number}):
                at = {method: by_number[n_labels] for method, by_number in table.items() if n_labels in by_number}
                at.pop(BASE, None)
                squares = _squares(fits, split, metric, n_labels)
                found += _table(split, metric, n_labels, at, squares)
    return tuple(found)


def _table(
    split: str, metric: str, n_labels: int, values: Mapping[str, Values], squares: "Mapping[str, _Squares]"
) -> Iterator[MethodComparison]:
    """Yield the rows of one metric at one number of labels, the best first."""
    added = {
        (one, other): squares[one].beside(squares[other])
        for one in squares
        for other in squares
        if one < other and one in values and other in values
    }
    against = {comparison.method: comparison for comparison in compare(values, added)}
    for method in in_order(values):
        yield _row(split, metric, n_labels, method, values[method], against.get(method))


def _row(
    split: str, metric: str, n_labels: int, method: str, values: Values, comparison: Comparison | None
) -> MethodComparison:
    known = moments(values)
    nan = float("nan")
    difference = None if comparison is None else comparison.difference
    low, high = (nan, nan) if difference is None or difference.n < 2 else difference.interval()
    return MethodComparison(
        split=split,
        metric=metric,
        n_labels=n_labels,
        method=method,
        mean=known.mean,
        spread=known.spread,
        n_draws=known.n if difference is None else difference.n,
        best=comparison is None,
        difference=nan if difference is None else difference.mean,
        low=low,
        high=high,
        p=nan if comparison is None else comparison.p,
        worse=comparison is not None and comparison.worse,
        detectable=nan if difference is None or difference.n < 2 else difference.detectable,
    )


class _Squares:
    """Mean squared errors of one method by draw and structure."""

    def __init__(self, first: StructureErrors, energies: bool) -> None:
        self.groups = first.groups
        self.energies = energies
        self.counts: Array = np.array([1.0 if energies else float(n) for n in first.n_forces])
        self.by_draw: dict[tuple[int, int], Array] = {}

    def add(self, draw: tuple[int, int], errors: StructureErrors) -> None:
        """Keep the errors of one draw."""
        self.by_draw[draw] = np.square(np.array(errors.energy if self.energies else errors.force, dtype=float))

    def beside(self, other: "_Squares") -> float:
        """Return the standard error that the choice of test structures gives to the mean difference."""
        common = sorted(self.by_draw.keys() & other.by_draw.keys())
        if not common or self.groups != other.groups:
            return 0.0
        one, two = (np.array([item.by_draw[draw] for draw in common]) for item in (self, other))
        known = np.isfinite(one).all(axis=0) & np.isfinite(two).all(axis=0) & (self.counts > 0)
        groups = [group for group, kept in zip(self.groups, known, strict=True) if kept]
        return sampling_stderr(one[:, known], two[:, known], self.counts[known], groups) if groups else 0.0


def _squares(fits: Fits, split: str, metric: str, n_labels: int) -> dict[str, _Squares]:
    """Return the errors of single structures by method; a study with folds has another test set for each: none."""
    if len({fit.fold for fit, _ in fits}) > 1:
        return {}
    found: dict[str, _Squares] = {}
    for fit, result in fits:
        errors = result.structures.get(split)
        if fit.n_labels == n_labels and fit.method != BASE and errors is not None:
            own = found.setdefault(fit.method, _Squares(errors, metric == "energy_rmse"))
            own.add((fit.seed, fit.fold), errors)
    return found
