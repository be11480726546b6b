"""Rows of numbers in text files: what is cut, glued or no number is said with its line."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.data.labels import Array
from rung.errors import DataError, counted


@dataclass(frozen=True)
class Rows:
    """The numbers of a file.

    Parameters
    ----------
    values
        Shape ``(rows, columns)``, in the units of the file.
    lines
        The line of each row in the file, from 1.
    cut
        Whether the last row was left out, because the file ends within it.
    """

    values: Array
    lines: tuple[int, ...]
    cut: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the rows."""
        return ("the last row is cut and left out: the run is going on, or it was killed",) if self.cut else ()


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    DataError
        When it cannot be read, or holds bytes that are no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} holds bytes that are no text, from byte {error.start}; copy it again.") from error


def read_rows(path: Path, lines: Iterable[tuple[int, Sequence[str]]], columns: int, *, whole: bool) -> Rows:
    """Return rows of ``columns`` numbers each.

    Parameters
    ----------
    path
        What messages call the file.
    lines
        The number of the first line of each row, and the words of the row.
    columns
        How many words each row must have.
    whole
        Whether the file ends with a line break, so that its last line is complete.

    Raises
    ------
    DataError
        When there is no whole row, or one before the last is damaged.
    """
    rows = list(lines)
    values: list[list[float]] = []
    cut = False
    for place, (line, words) in enumerate(rows):
        last = place == len(rows) - 1
        numbers = _numbers(words) if len(words) == columns else None
        if numbers is not None and (whole or not last):
            values.append(numbers)
        elif last and len(words) <= columns:
            cut = True
        else:
            what = (
                f"{counted(len(words), 'column')}, not {columns}"
                if len(words) != columns
                else "a word that is no number"
            )
            raise DataError(f"{path}, line {line}: the row has {what}; the file is damaged, copy it again.")
    if not values:
        raise DataError(f"{path} holds no rows yet: the run has not finished its first, or it failed.")
    return Rows(np.array(values), tuple(line for line, _ in rows[: len(values)]), cut)


def require_one_run(path: Path, rows: Rows, index: Array) -> None:
    """Raise a :class:`DataError` where ``index``, that counts the rows, goes back: two runs stand in one file."""
    back = np.flatnonzero(np.diff(index) <= 0)
    if len(back):
        at = int(back[0]) + 1
        raise DataError(
            f"{path}, line {rows.lines[at]}: row {index[at]:g} follows row {index[at - 1]:g}, so two runs stand in "
            "one file; split it there, and collect the parts."
        )


def require_finite(path: Path, rows: Rows, values: Array, what: str) -> Array:
    """Return ``values``, one a row; raise a :class:`DataError` that names the line of one that is not finite."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(
            f"{path}, line {rows.lines[int(bad[0])]}: {what} is {values[bad[0]]}; the run diverged or the file is "
            "damaged, so its mean says nothing."
        )
    return values


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that are not empty, with their numbers from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _numbers(words: Sequence[str]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None
