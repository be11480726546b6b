"""Which structure an output belongs to: by a table, by its geometry or by names of folders; never by a guess."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rung.collect.finding import Candidate
from rung.collect.geometry import CLOSE, likeness
from rung.collect.output import Output, Total
from rung.data.named_rows import named_rows
from rung.data.structure import Structure
from rung.errors import DataError, one_of

PATH, STRUCTURE, CELLS, WEIGHT, MINUS = "path", "structure_id", "cells", "weight", "minus"
COLUMNS = (PATH, STRUCTURE, CELLS, WEIGHT, MINUS)

TELLS_APART, ROUNDED = 3.0, 1e-4
"""A second structure must be so many times farther than the nearest, and so many Å, to be told from it."""


@dataclass(frozen=True)
class Match:
    """The structure of an output.

    Parameters
    ----------
    structure_id
        Its name.
    cells
        How many times the simulation cell holds it, where that is said of this output alone.
    weight
        Of the output's twist, where that is said.
    minus
        The structure whose energy, of the same walkers row by row, is to be subtracted; empty for none.
    """

    structure_id: str
    cells: int | None = None
    weight: float | None = None
    minus: str = ""


class Matcher(Protocol):
    """Finds the structure of an output, or says why there is none."""

    def __call__(self, candidate: Candidate, content: Output) -> Match:
        """Return the structure; raise a :class:`~rung.errors.DataError` where none or several are meant."""


@dataclass(frozen=True)
class ByName:
    """Matches an output whose folder, or the prefix of whose files, is called as a structure is.

    Parameters
    ----------
    structure_ids
        The names of all structures.
    """

    structure_ids: frozenset[str]

    def __call__(self, candidate: Candidate, content: Output) -> Match:  # noqa: ARG002 - the protocol's signature
        """Return the structure; see :class:`Matcher`."""
        folders = candidate.path.parent.resolve().relative_to(candidate.root.resolve().parent).parts
        words = (*folders, candidate.name.prefix, candidate.path.stem)
        meant = list(dict.fromkeys(word for word in words if word in self.structure_ids))
        if len(meant) == 1:
            return Match(meant[0])
        if meant:
            raise DataError(f"{candidate.path} may be of {' or '.join(meant)}; say which in a --table.")
        raise DataError(
            f"{candidate.path}: no structure is called like its folders or its name ({', '.join(folders)}, "
            f"{candidate.name.prefix}); name the folder after the structure_id, or give a --table."
        )


@dataclass(frozen=True)
class ByTable:
    """Matches outputs that a table names, or that lie in a folder which it names; the nearest folder counts.

    Parameters
    ----------
    source
        The table.
    rows
        What it says, by the whole path of a file or folder.
    """

    source: Path
    rows: Mapping[Path, Match]

    def __call__(self, candidate: Candidate, content: Output) -> Match:  # noqa: ARG002 - the protocol's signature
        """Return the structure; see :class:`Matcher`."""
        path = candidate.path.resolve()
        for place in (path, *path.parents):
            if place in self.rows:
                return self.rows[place]
        raise DataError(f"{candidate.path} stands in no row of {self.source}.")


@dataclass(frozen=True)
class ByGeometry:
    """Matches an output that holds its geometry to the only structure that is like it, others as ``otherwise`` says.

    Parameters
    ----------
    structures
        All of them.
    otherwise
        Matches outputs that hold no geometry.
    """

    structures: Sequence[Structure]
    otherwise: Matcher

    def __call__(self, candidate: Candidate, content: Output) -> Match:
        """Return the structure; see :class:`Matcher`."""
        if not isinstance(content, Total) or content.atoms is None:
            return self.otherwise(candidate, content)
        apart = {one.structure_id: likeness(content.atoms, one.atoms).distance for one in self.structures}
        near = sorted((distance, name) for name, distance in apart.items() if distance < CLOSE)
        if not near:
            formula = content.atoms.get_chemical_formula()
            raise DataError(f"{candidate.path}: no structure has its geometry ({formula}, the same order of atoms).")
        if len(near) > 1 and near[1][0] < TELLS_APART * near[0][0] + ROUNDED:
            raise DataError(
                f"{candidate.path}: its geometry is that of {near[0][1]} and of {near[1][1]}; say which in a --table."
            )
        return Match(near[0][1])


@dataclass(frozen=True)
class Checked:
    """Matches as ``matcher`` says, and refuses an output whose own geometry is another.

    Parameters
    ----------
    matcher
        Says which structure it is.
    structures
        All of them.
    """

    matcher: Matcher
    structures: Sequence[Structure]

    def __call__(self, candidate: Candidate, content: Output) -> Match:
        """Return the structure; see :class:`Matcher`."""
        match = self.matcher(candidate, content)
        if isinstance(content, Total) and content.atoms is not None and (match.cells or 1) == 1:
            structure = next(one for one in self.structures if one.structure_id == match.structure_id)
            distance = likeness(content.atoms, structure.atoms).distance
            if not distance < CLOSE:
                raise DataError(f"{candidate.path} holds another geometry than {match.structure_id}.")
        return match


def read_table(path: Path, structure_ids: Iterable[str]) -> ByTable:
    """Read a table of outputs and structures.

    Parameters
    ----------
    path
        CSV with a line of names: ``path`` (a file or folder, from the folder of the table) and ``structure_id``, and
        where they differ ``cells``, ``weight`` and ``minus``.
    structure_ids
        The names of all structures; empty takes any.

    Raises
    ------
    DataError
        When it cannot be read, or a row names a file or a structure that is not there; the message names the line.
    """
    known = set(structure_ids)
    rows: dict[Path, Match] = {}
    for where, row in named_rows(path, (PATH, STRUCTURE), COLUMNS, (WEIGHT,)):
        if "\0" in row[PATH]:
            raise DataError(f"{where}: the path holds a NUL; the file is damaged.")
        place = (path.parent / row[PATH].strip()).resolve()
        if not place.exists():
            raise DataError(f"{where}: there is no {row[PATH]} in {path.parent}.")
        if place in rows:
            raise DataError(f"{where}: {row[PATH]} stands twice.")
        name = row[STRUCTURE].strip()
        minus = (row.get(MINUS) or "").strip()
        for one in (name, minus):
            if known and one and one not in known:
                raise DataError(f"{where}: {one_of(one, known, 'structure_id')}")
        if not name or name == minus:
            raise DataError(f"{where}: {STRUCTURE} is {name!r}, and should be a structure other than {MINUS}.")
        rows[place] = Match(name, _cells(row, where), _weight(row, where), minus)
    return ByTable(path, rows)


def _cells(row: Mapping[str, str], where: str) -> int | None:
    text = (row.get(CELLS) or "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise DataError(f"{where}: {CELLS} is {text!r}, and should be a whole number from 1.")
    return int(text)


def _weight(row: Mapping[str, str], where: str) -> float | None:
    text = (row.get(WEIGHT) or "").strip()
    if not text:
        return None
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise DataError(f"{where}: {WEIGHT} is {text!r}, and should be a number from 0.")
    return weight
