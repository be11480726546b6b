"""A result in a few words: tables and sentences, as a terminal or a log shows them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.errors import counted
from rung.results.metrics import SplitErrors

UNKNOWN = "–"
"""Stands for a number that nobody knows."""


def number(value: float | None, places: int = 3) -> str:
    """Return a number with so many decimals, or a dash where it is unknown."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.{places}f}"


def of_split(errors: Mapping[tuple[str, str], SplitErrors], key: tuple[str, str]) -> str:
    """Return ``60 of 180 structures`` where errors are of fewer structures than others of their split, else nothing.

    A run looks at some structures only for what became of another fidelity, and errors of unlike sets do not compare.

    Parameters
    ----------
    errors
        By split and fidelity.
    key
        Whose structures are counted.
    """
    most = max(entry.n_structures for (split, _), entry in errors.items() if split == key[0])
    count = errors[key].n_structures
    return f"{count} of {counted(most, 'structure')}" if count < most else ""


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Parameters
    ----------
    title
        What they are about.
    headings
        One a column.
    rows
        A text for each heading.
    n_names
        How many of the first columns hold names; the others hold numbers, which stand to the right.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    n_names: int = 1


@dataclass(frozen=True)
class Summary:
    """What came of a task.

    Parameters
    ----------
    tables
        Its numbers.
    sentences
        What else there is to say of them.
    warnings
        What the reader of the numbers must know.
    failures
        What is missing, and why; with any, the exit code is 1.
    """

    tables: tuple[Table, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
