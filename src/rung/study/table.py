"""The result of a study as one tidy table: a number a line, in CSV and in Parquet."""

import csv
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.errors import MissingExtraError
from rung.storage import atomic_path, write_text
from rung.study.plan import Fit

COLUMNS = ("method", "n_labels", "seed", "fold", "split", "metric", "value")

COUNTS = ("n_structures", "n_energies", "n_forces", "n_stresses", "noise_floor")
"""What does not change from fit to fit, and so is no row."""

OTHER_FIDELITY = ("energy_rmse", "energy_rmse_rel", "force_rmse")
"""What is told of a fidelity other than the target, after ``low_``."""

Row = Mapping[str, Any]


def rows_of(fit: Fit, result: Mapping[str, Any], target: str, low: str) -> Iterator[Row]:
    """Yield the rows of one fit.

    Parameters
    ----------
    fit
        Which fit.
    result
        What it found: the content of its ``metrics.json``.
    target
        The fidelity whose metrics keep their names.
    low
        The base's fidelity, whose metrics begin with ``low_``; others begin with the name of the fidelity.
    """
    common = {"method": fit.method, "n_labels": fit.n_labels, "seed": fit.seed, "fold": fit.fold}
    groups: list[tuple[str, str, Mapping[str, Any]]] = []
    for split, by_fidelity in result["splits"].items():
        for fidelity, errors in by_fidelity.items():
            if fidelity == target:
                groups.append((split, "", errors))
            else:
                told = {name: errors[name] for name in OTHER_FIDELITY}
                groups.append((split, "low_" if fidelity == low else f"{fidelity}_", told))
    groups += [(band, "", numbers) for band, numbers in result["bands"].items()]
    groups.append(("fit", "", _told_of_fit(result["fit"])))
    for split, prefix, numbers in groups:
        for metric, value in numbers.items():
            if metric not in COUNTS and value is not None:
                yield {**common, "split": split, "metric": prefix + metric, "value": float(value)}


def _told_of_fit(fit: Mapping[str, Any]) -> dict[str, Any]:
    said = fit["hyperparameters"]
    checks = {name: said[name] for name in ("step_zero_energy", "step_zero_force", "cost_ratio") if name in said}
    return {"seconds": fit["seconds"], "call_seconds_per_atom": fit.get("call_seconds_per_atom"), **checks}


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    """Write the same table as Parquet, with types."""
    arrow = require_arrow()
    types = {"n_labels": arrow.int64(), "seed": arrow.int64(), "fold": arrow.int64(), "value": arrow.float64()}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])
    with atomic_path(path) as temporary:
        importlib.import_module("pyarrow.parquet").write_table(arrow.Table.from_pylist(list(rows), schema), temporary)


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


def values_of(rows: Sequence[Row], split: str, metric: str) -> dict[str, dict[int, dict[tuple[int, int], float]]]:
    """Return the values of one metric by method, number of labels and (seed, fold)."""
    found: dict[str, dict[int, dict[tuple[int, int], float]]] = {}
    for row in rows:
        if row["split"] == split and row["metric"] == metric:
            by_number = found.setdefault(row["method"], {}).setdefault(row["n_labels"], {})
            by_number[row["seed"], row["fold"]] = row["value"]
    return found
