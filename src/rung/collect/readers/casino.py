"""CASINO: ``vmc.hist`` and ``dmc.hist`` of version 1, a row for each block or step.

The header is pairs of a label and a value, each behind a ``#``, then the names of the columns, one a line. A row is the
iteration and the columns, at most 25 items a line. In DMC, rows before ``#### START STATS`` are equilibration, and rows
are averaged by ``WEIGHT``. Energies are in Hartree: whole for finite systems, per primitive cell for crystals; the
energy of the ions is in them (utils/reblock/reblock.f90 of CASINO 2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.collect.output import Series
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import numbered, read_rows, require_finite, require_one_run, text_of
from rung.errors import DataError, counted
from rung.units import HARTREE

ENERGY, WEIGHT = "ETOT", "WEIGHT"

_TITLE, _ITEMS, _DATA, _STATISTICS = "Title", "Data items", "Raw QMC data", "#### START STATS"
_VERSION, _METHOD = "File version number", "QMC method"
_ATOMS, _CELLS, _PERIODIC = "Number of atoms per primitive cell", "Number of primitive cells", "Periodic"


@dataclass(frozen=True)
class _Header:
    """What stands above the rows."""

    values: dict[str, str]
    items: tuple[str, ...]
    lines: int

    def value(self, path: Path, label: str) -> str:
        """Return the value below the label that begins so."""
        found = next((value for name, value in self.values.items() if name.startswith(label)), None)
        if found is None:
            raise DataError(f"{path} has no '{label}' in its header; the file is damaged, copy it again.")
        return found

    def number(self, path: Path, label: str) -> int:
        text = self.value(path, label)
        if not text.isdecimal():
            raise DataError(f"{path}: '{label}' is {text!r} in its header, and no number; the file is damaged.")
        return int(text)


def read(path: Path) -> Series:
    """Read a file; energies come out per simulation cell.

    Raises
    ------
    DataError
        When the file is damaged, of another version or of an electron gas, holds two runs, or no row of statistics.
    """
    text = text_of(path)
    lines = list(numbered(text))
    header = _header(path, lines)
    version = header.value(path, _VERSION)
    if version != "1":
        raise DataError(f"{path} is of version {version}, and only version 1 is known.")
    if ENERGY not in header.items:
        raise DataError(f"{path} has no column {ENERGY}; there is: {', '.join(header.items)}.")
    columns = len(header.items) + 1
    begin = _statistics(path, lines[header.lines :])
    rows = read_rows(path, _joined(lines[header.lines :], columns), columns, whole=text.endswith("\n"))
    require_one_run(path, rows, rows.values[:, 0])
    table = dict(zip(header.items, rows.values[:, 1:].T, strict=True))
    energies = HARTREE * _cells(path, header) * require_finite(path, rows, table[ENERGY], ENERGY)
    method = header.value(path, _METHOD)
    equilibration = int(np.searchsorted(rows.lines, begin)) if begin else 0
    if method == "DMC" and not begin:
        raise DataError(
            f"{path}: {counted(len(energies), 'row is', 'rows are all')} equilibration, for there is no "
            f"'{_STATISTICS}' yet."
        )
    weights = np.ones_like(energies)
    if WEIGHT in table:
        weights = require_finite(path, rows, table[WEIGHT], WEIGHT)
    if (weights <= 0).any():
        raise DataError(f"{path}, line {rows.lines[int(np.argmin(weights))]}: {WEIGHT} is not above zero.")
    n_atoms = header.number(path, _ATOMS) * header.number(path, _CELLS)
    return Series(path, "CASINO", method, energies, weights, equilibration, n_atoms=n_atoms, notes=rows.notes)


def _header(path: Path, lines: Sequence[tuple[int, str]]) -> _Header:
    told = []
    for _, line in lines:
        if not line.startswith("#"):
            break
        told.append(line.removeprefix("#").strip())
        if told[-1].startswith(_DATA):
            break
    place = next((index for index, line in enumerate(told) if line.startswith(_ITEMS)), None)
    if place is None or not told[-1].startswith(_DATA):
        raise DataError(f"{path} ends within its header: the run has not begun, or the file is damaged.")
    if place % 2:
        raise DataError(f"{path}: a line is missing in its header; the file is damaged, copy it again.")
    return _Header(dict(zip(told[:place:2], told[1:place:2], strict=True)), tuple(told[place + 1 : -1]), len(told))


def _statistics(path: Path, lines: Sequence[tuple[int, str]]) -> int:
    """Return the line that ends equilibration, 0 where there is none; refuse any other line that is no row."""
    begin = 0
    for number, line in lines:
        if line.startswith(_STATISTICS) and not begin:
            begin = number
        elif line.startswith("#"):
            what = "statistics begin a second time" if line.startswith(_STATISTICS) else "a second header begins"
            raise DataError(
                f"{path}, line {number}: {what}, so two runs stand in one file; split it, and collect the parts."
            )
    return begin


def _joined(lines: Sequence[tuple[int, str]], columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the words of each row, which may go on in the next line, with the number of its first line."""
    first, words = 0, list[str]()
    for number, line in lines:
        if line.startswith("#"):
            continue
        first = first if words else number
        words += line.split()
        if len(words) >= columns:
            yield first, words
            words = []
    if words:
        yield first, words


def _cells(path: Path, header: _Header) -> int:
    """Return by what energies are multiplied to be those of the simulation cell."""
    if header.number(path, _PERIODIC) == 0:
        return 1
    if header.number(path, _ATOMS) == 0:
        raise DataError(f"{path} is of an electron gas, whose energies per particle label no structure.")
    return header.number(path, _CELLS)


READER = OutputReader(
    kind="CASINO vmc.hist or dmc.hist",
    suffixes=("vmc.hist", "dmc.hist"),
    recognises=lambda _, head: head.startswith(b"# Title") and b"# File version number" in head,
    read=read,
)
