"""The result of a study as one tidy table: a number a line, in CSV and in Parquet."""

import importlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rung.errors import MissingExtraError
from rung.results.fits import FitErrors, StudyFit
from rung.results.study import COLUMNS, StudyRow
from rung.storage import atomic_path
from rung.study.plan import Fit

COUNTS = ("n_structures", "n_energies", "n_forces", "n_stresses", "n_energy_bars", "noise_floor")
"""What does not change from fit to fit, and so is no row."""

OTHER_FIDELITY = ("energy_rmse", "energy_rmse_rel", "force_rmse")
"""What is told of a fidelity other than the target, after ``low_``."""

CHECKED = ("step_zero_energy", "step_zero_force", "cost_ratio")
"""Numbers of a method that become rows."""


def rows_of(fit: Fit, result: StudyFit, target: str, low: str) -> Iterator[StudyRow]:
    """Yield the rows of one fit.

    Parameters
    ----------
    fit
        Which fit.
    result
        Its errors, barriers and numbers.
    target
        The fidelity whose metrics keep their names.
    low
        The base's fidelity, whose metrics begin with ``low_``; others begin with the name of the fidelity.
    """
    groups = [
        (split, _metrics(errors, fidelity, target, low))
        for split, by_fidelity in result.splits.items()
        for fidelity, errors in by_fidelity.items()
    ]
    groups += [(band, barrier.as_json()) for band, barrier in result.bands.items()]
    groups.append(("fit", _fit_metrics(result)))
    for split, numbers in groups:
        for metric, value in numbers.items():
            if not math.isnan(value):
                yield StudyRow(
                    method=fit.method,
                    n_labels=fit.n_labels,
                    seed=fit.seed,
                    fold=fit.fold,
                    split=split,
                    metric=metric,
                    value=value,
                )


def _metrics(errors: FitErrors, fidelity: str, target: str, low: str) -> dict[str, float]:
    """Return the errors of one split at one fidelity, by the names that they have in the table."""
    numbers = errors.as_json()
    if fidelity == target:
        return {name: value for name, value in numbers.items() if name not in COUNTS}
    prefix = "low_" if fidelity == low else f"{fidelity}_"
    return {prefix + name: numbers[name] for name in OTHER_FIDELITY}


def _fit_metrics(result: StudyFit) -> dict[str, float]:
    numbers = result.fit
    checks = {name: numbers.hyperparameters[name] for name in CHECKED if name in numbers.hyperparameters}
    return {"seconds": numbers.seconds, "call_seconds_per_atom": numbers.call_seconds_per_atom, **checks}


def write_parquet(path: Path, rows: Sequence[StudyRow]) -> None:
    """Write the same table as Parquet, with types."""
    arrow = require_arrow()
    types = {"n_labels": arrow.int64(), "seed": arrow.int64(), "fold": arrow.int64(), "value": arrow.float64()}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])
    table = arrow.Table.from_pylist([row.model_dump() for row in rows], schema)
    with atomic_path(path) as temporary:
        importlib.import_module("pyarrow.parquet").write_table(table, temporary)


def require_arrow() -> Any:
    """Return ``pyarrow``.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingExtraError(
            "Parquet needs pyarrow; install it with: pip install 'rung[compare]', or say executor: {name: here}."
        ) from error


def values_of(rows: Sequence[StudyRow], split: str, metric: str) -> dict[str, dict[int, dict[tuple[int, int], float]]]:
    """Return the values of one metric by method, number of labels and (seed, fold)."""
    values: dict[str, dict[int, dict[tuple[int, int], float]]] = {}
    for row in rows:
        if row.split == split and row.metric == metric:
            by_number = values.setdefault(row.method, {}).setdefault(row.n_labels, {})
            by_number[row.seed, row.fold] = row.value
    return values
