"""Energies in a table beside the structures: of structures by name, differences of two, and errors that rows share.

A row without ``minus_structure_id`` is the energy of a structure, and becomes a label of it like any other. A row with
one is ``E(structure_id) - E(minus_structure_id)``, as correlated sampling or a reaction energy gives it.
"""

import csv
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rung.data.energy_entry import energy_and_stderr, number
from rung.data.labels import STRUCTURE_ID
from rung.data.named_rows import named_rows
from rung.data.structure import Structure
from rung.errors import DataError, counted, one_of
from rung.storage import atomic_path

FIDELITY, ENERGY, STDERR, MINUS = "fidelity", "energy", "stderr", "minus_structure_id"
RUN, SHARED = "run", "shared_stderr"
NEEDED = (STRUCTURE_ID, FIDELITY, ENERGY)
COLUMNS = (*NEEDED, STDERR, MINUS, RUN, SHARED)
EV = "a number, eV"

MOST_LISTED = 20
"""Names of structures that a sentence lists."""


@dataclass(frozen=True)
class EnergyRow:
    """One row of a table.

    Parameters
    ----------
    structure_id
        The structure.
    fidelity
        Whose energy it is.
    energy
        eV: of the structure, or less that of ``minus``.
    stderr
        One-sigma statistical error of ``energy``, eV; NaN where there is none.
    minus
        The structure whose energy was subtracted; empty where none was.
    run
        Rows of one run share a part of their errors; empty for a row whose error is its own.
    shared_stderr
        That part, eV: the covariance of two rows of a run is the product of theirs, so that two signs mean errors
        that go against each other.
    place
        File and line, for a message.
    """

    structure_id: str
    fidelity: str
    energy: float
    stderr: float = float("nan")
    minus: str = ""
    run: str = ""
    shared_stderr: float = 0.0
    place: str = ""

    @property
    def pair(self) -> frozenset[str]:
        """The structures that the row is about, whichever is subtracted."""
        return frozenset({self.structure_id, self.minus})


@dataclass(frozen=True)
class EnergyTable:
    """The rows of one table or of several."""

    rows: tuple[EnergyRow, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any row."""
        return bool(self.rows)

    def of(self, fidelity: str) -> "EnergyTable":
        """Return the rows of a fidelity."""
        return EnergyTable(tuple(row for row in self.rows if row.fidelity == fidelity))

    def within(self, names: Iterable[str]) -> "EnergyTable":
        """Return the rows about structures of these names alone."""
        known = {*names, ""}
        return EnergyTable(tuple(row for row in self.rows if row.pair <= known))

    @property
    def energies(self) -> tuple[EnergyRow, ...]:
        """The rows that are energies of structures."""
        return tuple(row for row in self.rows if not row.minus)

    @property
    def differences(self) -> tuple[EnergyRow, ...]:
        """The rows that are differences."""
        return tuple(row for row in self.rows if row.minus)

    @property
    def correlated(self) -> tuple[EnergyRow, ...]:
        """The rows that share a part of their errors with others."""
        return tuple(row for row in self.rows if row.run)

    @property
    def subtracted(self) -> frozenset[str]:
        """The names of the structures that stand in differences."""
        return frozenset(name for row in self.differences for name in row.pair)


NO_TABLE = EnergyTable()


def read_energy_tables(paths: Sequence[Path | str], keys: Mapping[str, str] | None = None) -> EnergyTable:
    """Read tables of energies.

    Parameters
    ----------
    paths
        Tables of text with a line of names: ``structure_id``, ``fidelity`` and ``energy``, and where they are known
        ``stderr``, ``minus_structure_id``, ``run`` and ``shared_stderr``; eV. An energy may state its error, as
        :func:`rung.data.energy_entry.energy_and_stderr` reads it.
    keys
        What the files call a fidelity, for each that has another name here.

    Raises
    ------
    DataError
        When a file cannot be read or a row says nothing that can be; the message names the line.
    """
    names = {key: name for name, key in (keys or {}).items()}
    rows = [row for path in paths for row in _rows(Path(path))]
    return EnergyTable(tuple(replace(row, fidelity=names.get(row.fidelity, row.fidelity)) for row in rows))


def write_energy_table(path: Path, rows: Iterable[EnergyRow]) -> None:
    """Write a table that :func:`read_energy_tables` reads back to the last bit; whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            shared = repr(row.shared_stderr) if row.run else ""
            stderr = "" if np.isnan(row.stderr) else repr(row.stderr)
            writer.writerow([row.structure_id, row.fidelity, repr(row.energy), stderr, row.minus, row.run, shared])


def with_table(structures: Iterable[Structure], table: EnergyTable) -> tuple[Structure, ...]:
    """Return the structures with the table's energies among their labels; of several frames of one name, the first.

    An energy that a structure has already stays.
    """
    wanted: dict[str, list[EnergyRow]] = {}
    for row in table.energies:
        wanted.setdefault(row.structure_id, []).append(row)
    return tuple(_labelled(structure, wanted.pop(structure.structure_id, ())) for structure in structures)


def _labelled(structure: Structure, rows: Sequence[EnergyRow]) -> Structure:
    labels = dict(structure.labels)
    for row in rows:
        label = structure.labelled(row.fidelity)
        if not label.has_energy:
            labels[row.fidelity] = replace(label, energy=row.energy, energy_stderr=row.stderr)
    return replace(structure, labels=labels) if rows else structure


@dataclass(frozen=True)
class Fault:
    """What makes a row of a table unusable beside the structures.

    Parameters
    ----------
    code
        What kind of fault it is.
    sentence
        The place, what is wrong, and what to do.
    row
        The row.
    """

    code: str
    sentence: str
    row: EnergyRow


def faults(table: EnergyTable, splits: Mapping[str, Sequence[Structure]], fidelities: Iterable[str]) -> Iterator[Fault]:
    """Yield what is wrong with a table beside the structures of all splits, which do not hold its energies yet.

    Parameters
    ----------
    table
        Every row of every table.
    splits
        Structures as their files have them.
    fidelities
        Those that there are; empty where any name may be meant.
    """
    split_of: dict[str, str] = {}
    labelled: set[tuple[str, str]] = set()
    for split, members in splits.items():
        for structure in members:
            split_of.setdefault(structure.structure_id, split)
            labelled |= {(structure.structure_id, name) for name, one in structure.labels.items() if one.has_energy}
    known = tuple(fidelities)
    first: dict[tuple[str, frozenset[str]], EnergyRow] = {}
    for row in table.rows:
        if known and row.fidelity not in known:
            yield Fault("table-fidelity", f"{row.place}: {one_of(row.fidelity, known, 'fidelity')}", row)
        if strangers := sorted(row.pair - {""} - set(split_of)):
            yield Fault("table-unknown", f"{row.place}: {_stranger(strangers[0], split_of)}", row)
        elif len({split_of[name] for name in row.pair if name}) > 1:
            one, other = split_of[row.structure_id], split_of[row.minus]
            sentence = f"{row.place}: it joins {one} and {other}, and a label of one split must not tell of another."
            yield Fault("table-splits", sentence, row)
        if not row.minus and (row.structure_id, row.fidelity) in labelled:
            sentence = f"{row.place}: {row.structure_id} has an energy of {row.fidelity!r} in its file too; keep one."
            yield Fault("table-twice", sentence, row)
        before = first.setdefault((row.fidelity, row.pair), row)
        if before is not row and not (row.minus and row.run != before.run):
            sentence = f"{row.place}: {_words(row)} stands in {before.place} too; keep one of them, or average them."
            yield Fault("table-twice", sentence, row)


def require_faultless(
    table: EnergyTable, splits: Mapping[str, Sequence[Structure]], fidelities: Iterable[str]
) -> EnergyTable:
    """Return the table; raise a :class:`~rung.errors.DataError` that names its first fault and counts the others."""
    wrong = list(faults(table, splits, fidelities))
    if wrong:
        more = (
            f" {counted(len(wrong) - 1, 'more row has', 'more rows have')} such faults; rung doctor --labels lists all."
            if wrong[1:]
            else ""
        )
        raise DataError(wrong[0].sentence + more)
    return table


def _stranger(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names no more than the nearest of perhaps thousands of structures."""
    listed = sorted(known)
    if len(listed) <= MOST_LISTED:
        return one_of(name, listed, "structure_id")
    close = difflib.get_close_matches(name, listed, n=1, cutoff=0.5)
    return f"no structure is called {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")


def _words(row: EnergyRow) -> str:
    return f"{row.structure_id} less {row.minus}" if row.minus else f"the energy of {row.structure_id}"


def _rows(path: Path) -> Iterator[EnergyRow]:
    empty = True
    for where, row in named_rows(path, NEEDED, COLUMNS, (ENERGY, STDERR, SHARED)):
        empty = False
        try:
            yield _row(row, where)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    if empty:
        raise DataError(f"{path} holds no row below its line of names.")


def _row(entries: Mapping[str, str], where: str) -> EnergyRow:
    empty = [name for name in NEEDED if not entries[name]]
    if empty:
        raise DataError(f"{empty[0]} is empty.")
    energy, stderr = energy_and_stderr(entries[ENERGY], entries.get(STDERR), EV)
    row = EnergyRow(
        structure_id=entries[STRUCTURE_ID],
        fidelity=entries[FIDELITY],
        energy=energy,
        stderr=stderr,
        minus=entries.get(MINUS, ""),
        run=entries.get(RUN, ""),
        shared_stderr=number(entries[SHARED], SHARED, EV) if entries.get(SHARED) else 0.0,
        place=where,
    )
    if row.minus == row.structure_id:
        raise DataError(f"{row.minus} less itself is zero and says nothing.")
    if bool(row.run) != bool(row.shared_stderr):
        raise DataError("run and shared_stderr belong together; give both, or none.")
    if row.run and not abs(row.shared_stderr) <= row.stderr:
        raise DataError("shared_stderr is a part of stderr, so it cannot be larger.")
    return row
