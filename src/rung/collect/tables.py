"""Energies that somebody collected already: a table whose columns the user names, in a unit that the user states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.collect.arrays import Columns, column, read_columns
from rung.collect.matching import CELLS, MINUS, STRUCTURE
from rung.data.energy_entry import energy_and_stderr, number
from rung.errors import ConfigError, DataError, one_of
from rung.results.collected import CollectedLabel, CollectedRun, RefusedOutput
from rung.storage import file_hash

ENERGY, STDERR = "energy", "stderr"
MEANINGS = (STRUCTURE, ENERGY, STDERR, CELLS, MINUS)

Key = tuple[str, str]
"""A structure, and the one whose energy was subtracted, or nothing."""


@dataclass(frozen=True)
class TableMeaning:
    """What the columns of tables are.

    Parameters
    ----------
    columns
        Their names in the file, by what they are: ``structure_id``, ``energy``, and perhaps ``stderr``, ``cells`` and
        ``minus``, the structure whose energy was subtracted.
    unit
        eV that one unit of energy is.
    cells
        By how many energies are divided, where no column says it.
    constants
        What is added to each energy of the structure's cell, by name, eV.
    stderr
        Of an energy without one, eV; NaN where nobody said.
    """

    columns: Mapping[str, str]
    unit: float
    cells: int = 1
    constants: Mapping[str, float] | None = None
    stderr: float = float("nan")

    def __post_init__(self) -> None:
        """Refuse meanings that there are not, and a map without what every label needs."""
        for meaning in self.columns:
            if meaning not in MEANINGS:
                raise ConfigError(one_of(meaning, MEANINGS, "meaning of a column"))
        for meaning in (STRUCTURE, ENERGY):
            if meaning not in self.columns:
                raise ConfigError(f"--columns must name the column of {meaning}, as {meaning}=name.")


def read_labels(
    path: Path, meaning: TableMeaning, structure_ids: frozenset[str]
) -> tuple[list[CollectedLabel], list[RefusedOutput]]:
    """Return the labels of a table, and what is wrong with its other rows.

    Parameters
    ----------
    path
        Text, JSON, npz or HDF5: see :func:`rung.collect.arrays.read_columns`. An energy may state its error, as
        :func:`rung.data.energy_entry.energy_and_stderr` reads it.
    meaning
        What its columns are.
    structure_ids
        The names of all structures; empty takes any.

    Raises
    ------
    DataError
        When the table cannot be read, or a column is missing or has another length.
    """
    names = meaning.columns
    numbers = [names[what] for what in (ENERGY, STDERR, CELLS) if what in names]
    table = read_columns(path, tuple(names.values()), numbers)
    chosen = {name: column(path, table, called) for name, called in names.items()}
    _require_rows(path, chosen, names)
    key = file_hash(path)
    labels: dict[Key, CollectedLabel] = {}
    refused = []
    for place in range(len(chosen[ENERGY])):
        row = {name: values[place] for name, values in chosen.items()}
        try:
            label = _label(row, meaning, path, key)
            _require_new(label, structure_ids, labels)
        except DataError as error:
            where = f"{path}, row {place + 1}"
            refused.append(RefusedOutput(file=where, sentence=f"{where}: {error}"))
        else:
            labels[_key(label)] = label
    return list(labels.values()), refused


def _require_rows(path: Path, chosen: Columns, names: Mapping[str, str]) -> None:
    lengths = {names[name]: len(values) if values.ndim == 1 else -1 for name, values in chosen.items()}
    if -1 in lengths.values():
        bad = next(name for name, length in lengths.items() if length < 0)
        raise DataError(f"{path}: the column {bad} is not one entry a row.")
    if set(lengths.values()) == {0}:
        raise DataError(f"{path} holds no rows.")
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(f"{path}: its columns are not equally long ({listed}).")


def _key(label: CollectedLabel) -> Key:
    return label.structure_id, label.minus_structure_id


def _require_new(label: CollectedLabel, known: frozenset[str], labels: Mapping[Key, CollectedLabel]) -> None:
    for name in _key(label):
        if known and name and name not in known:
            raise DataError(one_of(name, known, "structure_id"))
    if _key(label) in labels:
        raise DataError(f"{label.name} stands in an earlier row already.")


def _label(row: Mapping[str, Any], meaning: TableMeaning, path: Path, key: str) -> CollectedLabel:
    name = _name(row[STRUCTURE])
    if not name:
        raise DataError("it names no structure.")
    cells = meaning.cells if CELLS not in row else _cells(row[CELLS])
    minus = _name(row[MINUS]) if MINUS in row else ""
    if minus == name:
        raise DataError(f"{name} less itself is zero and says nothing.")
    constants = {} if minus else dict(meaning.constants or {})  # what is added to both cancels
    energy, stated = (meaning.unit * value for value in energy_and_stderr(row[ENERGY], row.get(STDERR)))
    stderr = meaning.stderr if np.isnan(stated) else stated / cells
    run = _run(path, key, energy, stderr * cells)
    return CollectedLabel(
        structure_id=name,
        name=f"{name} - {minus}" if minus else name,
        energy=energy / cells + sum(constants.values()),
        energy_stderr=stderr,
        independent=float("nan"),
        cells=cells,
        corrections=constants,
        runs=(run,),
        warnings=(),
        minus_structure_id=minus,
    )


def _cells(value: Any) -> int:
    cells = number(value, CELLS)
    if cells < 1 or not cells.is_integer():
        raise DataError(f"{CELLS} is {value!r}, and should be a whole number from 1.")
    return int(cells)


def _name(value: Any) -> str:
    """Return an entry as the name of a structure; empty where there is none."""
    if value is None:
        return ""
    return value.decode() if isinstance(value, bytes) else str(value).strip()


def _run(path: Path, key: str, energy: float, stderr: float) -> CollectedRun:
    unknown = float("nan")
    return CollectedRun(
        file=str(path),
        hash=key,
        program="table",
        method="",
        series=None,
        twist=None,
        share=1.0,
        energy=energy,
        energy_stderr=stderr,
        rows=1,
        equilibration=0,
        detected=0,
        inefficiency=unknown,
        independent=unknown,
    )


def read_all(
    paths: Sequence[Path], meaning: TableMeaning, structure_ids: frozenset[str]
) -> tuple[tuple[CollectedLabel, ...], list[RefusedOutput]]:
    """Return the labels of several tables, and what is wrong; a structure has its energy from the first of them."""
    labels: dict[Key, CollectedLabel] = {}
    refused: list[RefusedOutput] = []
    for path in paths:
        try:
            more, wrong = read_labels(path, meaning, structure_ids)
        except DataError as error:
            refused.append(RefusedOutput(file=str(path), sentence=str(error)))
            continue
        refused += wrong
        for label in more:
            if _key(label) in labels:
                first = labels[_key(label)].runs[0].file
                sentence = f"{path}: {label.name} has an energy in {first} already."
                refused.append(RefusedOutput(file=str(path), sentence=sentence))
            else:
                labels[_key(label)] = label
    return tuple(labels.values()), refused
