"""CSV with a line of names above its rows, as people write it: what is wrong with it is one sentence with the line."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rung.errors import DataError, one_of


def named_rows(path: Path, needed: Sequence[str], known: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the place of each row, for messages, and its entries by the name of their column.

    Parameters
    ----------
    path
        The file.
    needed
        Columns that must be there.
    known
        Columns that may be there, the needed ones among them.

    Raises
    ------
    DataError
        When the file cannot be read, is no CSV, lacks a column or has one that nobody knows, or a row is longer or
        shorter than the first line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _require_columns(path, reader.fieldnames or (), needed, known)
            lines = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV ({error}).") from error
    for line, row in lines:
        where = f"{path}, line {line}"
        if None in row or None in row.values():
            raise DataError(f"{where}: the row has more or fewer entries than the first line.")
        yield where, row


def _require_columns(path: Path, names: Sequence[str], needed: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]}; there is: {', '.join(names) or 'none'}.")
    for name in names:
        if name not in known:
            raise DataError(f"{path}: {one_of(name, known, 'column')}")
    if len(set(names)) < len(names):
        raise DataError(f"{path} has two columns of one name.")
