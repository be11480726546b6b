"""Result files as the report sees them: every one optional, every damage named."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rung.data.labels import Array
from rung.errors import StorageError
from rung.storage import read_json

Errors = Mapping[str, Any]
"""The errors of one split at one fidelity, as ``metrics.json`` has them."""

_COLUMNS = ("method", "n_labels", "seed", "split", "metric", "value")


@dataclass(frozen=True)
class StudyRow:
    """One line of ``study.csv``; ``n_labels`` is 0 and numbers are NaN where the cell is empty."""

    method: str
    n_labels: int
    seed: str
    split: str
    metric: str
    value: float
    stderr: float


@dataclass(frozen=True)
class StudyFiles:
    """What a study folder holds."""

    rows: tuple[StudyRow, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds; empty where a file is absent."""

    config_text: str
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    metrics: Mapping[str, Any]
    findings: Mapping[str, Any]
    fit: Mapping[str, Any]
    barriers: tuple[Mapping[str, Any], ...]
    predictions: Mapping[str, Mapping[str, Any]]
    study: StudyFiles

    @property
    def target(self) -> str:
        """The fidelity that the run lifts to; empty where no file says."""
        return str(self.config.get("target") or "")

    @property
    def method(self) -> str:
        """The name of the method; empty where no file says."""
        method = self.config.get("method") or {}
        named = method.get("name") if isinstance(method, Mapping) else method
        fit = self.metrics.get("fit")
        said = fit.get("method") if isinstance(fit, Mapping) else ""
        return str(named or said or "")


def read_run(folder: Path) -> RunFiles:
    """Read the result files of a run folder.

    Raises
    ------
    StorageError
        When a file is there and not readable as what it should be.
    """
    text, config = _read_yaml(folder / "config.yaml")
    fit = _mapping(folder / "fit.json")
    barrier = _optional(folder / "barrier.json")
    return RunFiles(
        config_text=text,
        config=config,
        provenance=_mapping(folder / "provenance.json"),
        metrics=_mapping(folder / "metrics.json"),
        findings=_mapping(folder / "findings.json"),
        fit={**fit, **fit["details"]} if isinstance(fit.get("details"), Mapping) else fit,
        barriers=tuple(barrier if isinstance(barrier, list) else [barrier] if barrier else []),
        predictions={path.stem: _mapping(path) for path in sorted((folder / "predictions").glob("*.json"))},
        study=read_study(folder if (folder / "study.csv").exists() else folder / "study"),
    )


def read_study(folder: Path) -> StudyFiles:
    """Read the result files of a study folder.

    Raises
    ------
    StorageError
        When a file is there and not readable as what it should be.
    """
    reports = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/report.html"))
    return StudyFiles(_read_rows(folder / "study.csv"), _mapping(folder / "study.json"), tuple(reports))


def by_split(metrics: Any, target: str) -> dict[tuple[str, str], Errors]:
    """Return errors by (split, fidelity) from any of the nestings in which they come.

    Parameters
    ----------
    metrics
        ``{split: {fidelity: errors}}``, the same under ``splits``, or ``{split: errors}`` of the target.
    target
        The fidelity of errors that name none.
    """
    if not isinstance(metrics, Mapping):
        return {}
    found: dict[tuple[str, str], Errors] = {}
    for split, inner in metrics.get("splits", metrics).items():
        if not isinstance(inner, Mapping):
            continue
        nested = {name: errors for name, errors in inner.items() if isinstance(errors, Mapping)}
        for name, errors in (nested or {target: inner}).items():
            found[str(split), str(name)] = errors
    return found


def number(value: Any) -> float:
    """Return ``value`` as a float, NaN where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def sentences(*values: Any) -> list[str]:
    """Return the sentences among ``values``, each a string, a list of strings or nothing, without repeats."""
    flat: list[str] = []
    for value in values:
        given = value if isinstance(value, (list, tuple)) else [value]
        flat += [str(item) for item in given if item is not None]
    return list(dict.fromkeys(item.strip() for item in flat if item.strip()))


def column(prediction: Mapping[str, Any], name: str) -> Array | None:
    """Return one number a structure, or None where the list is absent.

    Raises
    ------
    ValueError
        When the list is not as long as ``n_atoms``.
    """
    values = prediction.get(name)
    if values is None:
        return None
    return _long(np.array([number(value) for value in values], dtype=float), len(_atoms(prediction)), name)


def components(prediction: Mapping[str, Any], name: str) -> Array | None:
    """Return all force components in one flat array, NaN where a structure has none, or None without the list.

    Raises
    ------
    ValueError
        When there are not three components an atom.
    """
    blocks = prediction.get(name)
    if blocks is None:
        return None
    atoms = _atoms(prediction)
    if any(isinstance(block, Sequence) for block in blocks) or all(block is None for block in blocks):
        parts = [
            np.full(3 * count, np.nan) if block is None else _numbers(block)
            for block, count in zip(blocks, atoms, strict=True)
        ]
        return _long(np.concatenate([np.empty(0), *parts]), 3 * sum(atoms), name)
    return _long(_numbers(blocks), 3 * sum(atoms), name)


def _atoms(prediction: Mapping[str, Any]) -> list[int]:
    return [int(count) for count in prediction.get("n_atoms") or ()]


def _long(values: Array, length: int, name: str) -> Array:
    if len(values) != length:
        raise ValueError(f"{name} has {len(values)} numbers where n_atoms asks for {length}")
    return values


def _numbers(block: Iterable[Any]) -> Array:
    items = list(block)
    if items and isinstance(items[0], Sequence):
        items = [entry for row in items for entry in row]
    return np.array([number(item) for item in items], dtype=float)


def _optional(path: Path) -> Any:
    return read_json(path) if path.exists() else None


def _mapping(path: Path) -> Mapping[str, Any]:
    content = _optional(path)
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise StorageError(f"{path} holds no JSON object; delete it and run again.")
    return content


def _read_yaml(path: Path) -> tuple[str, Mapping[str, Any]]:
    if not path.exists():
        return "", {}
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StorageError(f"{path} is not readable YAML.") from error
    return text, content if isinstance(content, Mapping) else {}


def _read_rows(path: Path) -> tuple[StudyRow, ...]:
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise StorageError(f"{path} lacks the column {missing[0]!r}.")
            return tuple(_row(line) for line in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path} is not a readable table.") from error


def _row(line: Mapping[str, str]) -> StudyRow:
    labels = number(line["n_labels"])
    return StudyRow(
        method=line["method"],
        n_labels=int(labels) if math.isfinite(labels) else 0,
        seed=line["seed"],
        split=line["split"],
        metric=line["metric"],
        value=number(line["value"]),
        stderr=number(line.get("stderr")),
    )
