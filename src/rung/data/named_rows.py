"""Tables of text with known columns, as people write them: what is wrong with one is a sentence with the line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rung.data.text_table import read_text_table
from rung.errors import DataError, one_of


def named_rows(
    path: Path, needed: Sequence[str], known: Sequence[str], numbers: Sequence[str] = ()
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the place of each row, for messages, and its entries by the name of their column.

    Parameters
    ----------
    path
        The file; :func:`rung.data.text_table.read_text_table` says how its entries may be parted.
    needed
        Columns that must be there.
    known
        Columns that may be there, the needed ones among them.
    numbers
        Those of them that hold numbers, which may have decimal commas.

    Raises
    ------
    DataError
        When the file cannot be read, is no table, lacks a column or has one that nobody knows, or a row is longer or
        shorter than the line of names.
    """
    try:
        table = read_text_table(path, needed, numbers)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    _require_known(path, table.names, known)
    for row in table.rows:
        yield f"{path}, line {row.line}", row.entries


def _require_known(path: Path, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise DataError(f"{path}: {one_of(name, known, 'column')}")
    if len(set(names)) < len(names):
        raise DataError(f"{path} has two columns of one name.")
