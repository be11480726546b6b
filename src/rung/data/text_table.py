"""Tables of text with a line of names, as spreadsheets and scripts write them.

Which sign parts the entries, the line of names says. What would have to be guessed is refused.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rung.errors import DataError, counted, one_of

COMMA, BLANKS = ",", " "
"""Separators; that of blanks stands for any number of them."""

_QUOTED = re.compile(r'"[^"]*"')
_WITHIN_ENERGY = re.compile(r"\s*(±|\+/-|\+-)\s*|\s+(?=\()")
"""Blanks within an energy that states its error, such as ``-1.1723 +/- 0.0005``."""
_FIGURES = re.compile(r"[.,]?\d[\d.,]*")


@dataclass(frozen=True)
class TextRow:
    """A row of a table.

    Parameters
    ----------
    line
        Its number in the file.
    entries
        By the name of their column.
    """

    line: int
    entries: Mapping[str, str]


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Parameters
    ----------
    names
        Of its columns, in their order; two may be alike.
    rows
        All that hold anything.
    """

    names: tuple[str, ...]
    rows: tuple[TextRow, ...]


def read_text_table(path: Path, needed: Collection[str], numbers: Iterable[str]) -> TextTable:
    """Read a table of text: UTF-8 with a line of names.

    Commas part the entries where the line of names has any outside quotes, else semicolons, else tabs, else blanks.
    Lines that begin with ``#`` may stand above it; the last of them is the line of names where it alone has all that
    are needed, as numpy writes it. Rows without any entry are passed over.

    Parameters
    ----------
    path
        The file.
    needed
        Names of columns that must be there.
    numbers
        Names of columns that hold numbers: where commas do not part entries, their decimal commas become points.

    Raises
    ------
    OSError
        When the file cannot be opened.
    DataError
        When it is no such table or lacks a column, a row is longer or shorter than the line of names, or commas in its
        numbers may be decimal or part thousands.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no CSV in UTF-8 ({error}); save it as UTF-8.") from error
    try:
        head, above = _head(lines, frozenset(needed))
        separator = _separator(head)
        names = _names(head)
        _require(path, needed, names)
        rows = tuple(_rows(path, lines[above:], above, names, separator))
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error}).") from error
    columns = [name for name in numbers if name in names]
    return TextTable(names, rows if separator == COMMA else _with_points(path, rows, columns))


def _head(lines: Sequence[str], needed: frozenset[str]) -> tuple[str, int]:
    """Return the line of names, and how many lines stand above the first row."""
    first = next((k for k, line in enumerate(lines) if line.strip() and not _is_comment(line)), len(lines))
    head = lines[first] if first < len(lines) else ""
    comments = [line for line in lines[:first] if _is_comment(line)]
    if comments and needed and not needed <= set(_names(head)):
        for line in (comments[-1].lstrip(" \t#"), comments[-1]):
            if needed <= set(_names(line)):
                return line, first
    return head, first + 1


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _require(path: Path, needed: Iterable[str], names: Sequence[str]) -> None:
    if not names:
        raise DataError(f"{path} holds no columns.")
    for name in needed:
        if name not in names:
            raise DataError(f"{path}: {one_of(name, names, 'column')}")


def _separator(head: str) -> str:
    bare = _QUOTED.sub("", head).strip()
    return next((sign for sign in ",;\t" if sign in bare), BLANKS if bare.split()[1:] else COMMA)


def _names(head: str) -> tuple[str, ...]:
    return next((tuple(name.strip() for name in names) for _, names in _split([head], _separator(head))), ())


def _split(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the entries of each row that has any, with the number of its last line among ``lines``."""
    if separator == BLANKS:
        yield from ((number, line.split()) for number, line in enumerate(lines, start=1) if line.strip())
        return
    reader = csv.reader(lines, delimiter=separator, strict=True)
    for entries in reader:
        if any(entry.strip() for entry in entries):
            yield reader.line_num, entries


def _rows(path: Path, lines: Sequence[str], above: int, names: Sequence[str], separator: str) -> Iterator[TextRow]:
    for place, found in _split(lines, separator):
        entries = found
        if separator == BLANKS and len(entries) > len(names):
            entries = _WITHIN_ENERGY.sub(r"\1", lines[place - 1]).split()
        if len(entries) != len(names):
            longer = separator == COMMA and len(entries) > len(names)
            hint = "; where commas are decimal, part the entries by semicolons" if longer else ""
            raise DataError(
                f"{path}, line {above + place}: the row has {counted(len(entries), 'entry', 'entries')}, and the line "
                f"of names has {len(names)}{hint}."
            )
        yield TextRow(above + place, dict(zip(names, map(str.strip, entries), strict=True)))


def _with_points(path: Path, rows: Sequence[TextRow], columns: Sequence[str]) -> tuple[TextRow, ...]:
    """Return the rows with points for the decimal commas of some columns; raise where these are in doubt."""
    entries = [(row.line, row.entries[name]) for row in rows for name in columns]
    commas = [(line, entry) for line, entry in entries if _has(entry, ",")]
    points = [(line, entry) for line, entry in entries if _has(entry, ".")]
    if commas and points:
        (line, entry), (other, pointed) = commas[0], points[0]
        raise DataError(
            f"{path}, line {line}: {entry!r} has a comma and {pointed!r} in line {other} a point, so either may part "
            "thousands; write all decimals after points."
        )
    for line, entry in commas:
        if any(figures.count(",") > 1 for figures in _FIGURES.findall(entry)):
            raise DataError(f"{path}, line {line}: {entry!r} has commas that part thousands; leave them out.")
    if not commas:
        return tuple(rows)
    return tuple(replace(row, entries={**row.entries, **_pointed(row.entries, columns)}) for row in rows)


def _has(entry: str, sign: str) -> bool:
    return any(sign in figures for figures in _FIGURES.findall(entry))


def _pointed(entries: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    return {name: _FIGURES.sub(lambda found: found[0].replace(",", "."), entries[name]) for name in columns}
