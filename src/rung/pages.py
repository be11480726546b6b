"""What pages of results are made of: tables between marks, and the numbers behind them."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from rung.errors import StorageError, counted
from rung.storage import write_text

_TABLE = re.compile(
    r"^<!-- table: (?P<name>\S+) -->$(?P<table>(?:(?!^<!-- table: ).)*?)^<!-- end of table -->$",
    re.MULTILINE | re.DOTALL,
)


def write_table(target: Path, content: str) -> None:
    """Write Markdown to a file, or between the marks of one table of a page.

    Parameters
    ----------
    target
        ``page.md#name`` replaces what stands between the lines ``<!-- table: name -->`` and ``<!-- end of table -->``
        of a page, and adds the day. Without ``#name`` it is a file, of which the content is all.
    content
        Tables, and sentences that belong to them.

    Raises
    ------
    StorageError
        Where the page or its marks do not exist, with the tables that it has.
    """
    file, _, name = target.name.partition("#")
    if not name:
        write_text(target, content)
        return
    page = target.with_name(file)
    if not page.is_file():
        raise StorageError(f"There is no page {page}; without '#{name}' the table becomes a file of its own.")
    text = page.read_text(encoding="utf-8")
    parts = list(_TABLE.finditer(text))
    chosen = [part for part in parts if part["name"] == name]
    if len(chosen) != 1:
        has = ", ".join(part["name"] for part in parts) or "none"
        raise StorageError(
            f"{page} needs '<!-- table: {name} -->' and '<!-- end of table -->' once; its tables: {has}."
        )
    (part,) = chosen
    written = f"\n\n{content.strip()}\n\n*Made on {date.today().isoformat()}.*\n\n"
    write_text(page, text[: part.start("table")] + written + text[part.end("table") :])


def keep_values(
    path: Path, columns: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> dict[tuple[str, ...], float]:
    """Add numbers to a CSV file that has one number a line, and return all that it then has.

    So what one machine measured can be shown, and added to, on another one. A line whose names are there already is
    replaced. The lines are sorted, for a file of the same numbers to stay the same.

    Parameters
    ----------
    path
        The file; it is made where it is not there.
    columns
        What names a number, such as ``("method", "draw", "metric")``; the last column of the file is ``value``.
    values
        Numbers by their names, one a column; they are kept to six digits.

    Raises
    ------
    StorageError
        Where the file has other columns, or a line that is not a number with its names.
    """
    head = [*columns, "value"]
    every = _kept_values(path, head) if path.exists() else {}
    every |= {names: float(f"{value:.6g}") for names, value in values.items()}
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([*names, f"{every[names]:.6g}"] for names in sorted(every))
    if not path.exists() or path.read_text(encoding="utf-8") != lines.getvalue():
        write_text(path, lines.getvalue())
    return every


def _kept_values(path: Path, head: Sequence[str]) -> dict[tuple[str, ...], float]:
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    if not lines or lines[0] != list(head):
        has = f"the columns {', '.join(lines[0])}" if lines else "no columns"
        raise StorageError(f"{path} has {has}, not {', '.join(head)}.")
    found = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(head):
            raise StorageError(f"{path}, line {number}: {counted(len(line), 'column')}, not {len(head)}.")
        *names, value = line
        try:
            found[tuple(names)] = float(value)
        except ValueError as error:
            raise StorageError(f"{path}, line {number}: {','.join(line)!r} does not end with a number.") from error
    return found
