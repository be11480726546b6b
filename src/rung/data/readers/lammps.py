"""Text dumps of LAMMPS: elements are never guessed from types, and image flags, times and boxes are kept.

The format is described at https://docs.lammps.org/dump.html and https://docs.lammps.org/Howto_triclinic.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from rung.data.attributes import IMAGE_FLAGS, UNWRAPPED
from rung.data.elements import hint, is_element
from rung.data.labels import LOOKS_LIKE_A_LABEL, Array
from rung.data.readers.compression import DAMAGE, compressed, inflated, opened
from rung.data.readers.reader import Frame, Reader
from rung.errors import DataError, counted

_TIME_KEYS = {"metal": "time_ps", "real": "time_fs"}
"""Styles of units whose length is Å, and under which key the time of a frame then stands."""

_MASS = 0.02
"""u: a mass that is this near to that of one element is its."""

_PLACES = {"x y z": (False, False), "xu yu zu": (False, True), "xs ys zs": (True, False), "xsu ysu zsu": (True, True)}
"""Columns of positions: whether they are fractions of the box, and whether they run on beyond it."""

N = TypeVar("N", int, float)


@dataclass
class _Lines:
    """The lines of a dump, which know where they are."""

    file: BufferedIOBase
    path: Path
    number: int = 0
    units: str = ""

    def next(self) -> str | None:
        line = self.file.readline()
        self.number += 1
        return line.decode("utf-8").strip() if line else None

    def needed(self) -> str:
        line = self.next()
        if line is None:
            raise DataError(f"{self.path} is cut short at line {self.number}.")
        return line

    def wrong(self, what: str) -> DataError:
        return DataError(f"{self.path}, line {self.number}: {what}.")

    def numbers(self, kind: type[N]) -> list[N]:
        text = self.needed()
        try:
            return [kind(word) for word in text.split()]
        except ValueError as error:
            raise self.wrong(f"numbers should stand here, not {text[:40]!r}") from error


@dataclass(frozen=True)
class _Box:
    cell: Array
    origin: Array
    pbc: tuple[bool, ...]


@dataclass
class _Head:
    """What a frame says before its atoms."""

    info: dict[str, float] = field(default_factory=dict)
    count: int = -1
    box: _Box | None = None
    begun: bool = False

    def take(self, item: Sequence[str], lines: _Lines) -> None:
        """Read one item."""
        self.begun = True
        if item[:1] == ["TIMESTEP"]:
            self.info["step"] = _one(lines, int)
        elif item[:1] == ["TIME"]:
            self.info[_TIME_KEYS.get(lines.units, "time")] = _one(lines, float)
        elif item[:1] == ["UNITS"]:
            lines.units = lines.needed()  # said once, of all frames
            if lines.units not in _TIME_KEYS:
                raise lines.wrong(
                    f"lengths in units of {lines.units} are not Å; convert the dump to metal or real units"
                )
        elif item[:3] == ["NUMBER", "OF", "ATOMS"]:
            self.count = _one(lines, int)
        elif item[:2] == ["BOX", "BOUNDS"]:
            self.box = _box(item[2:], lines)
        else:
            raise lines.wrong(f"ITEM: {' '.join(item)[:40]} is no item of a dump that rung knows")


def dump_frames(path: Path, types: Sequence[str] = ()) -> Iterator[Frame]:
    """Yield each frame of a dump, its atoms in the order of their ids.

    The step stands in ``info`` as ``step``, the time as ``time_ps`` or ``time_fs`` where the dump says its units, else
    as ``time``; image flags are a column.

    Parameters
    ----------
    path
        The file; it may be compressed.
    types
        The element of each type, from type 1; needed where the dump has no column ``element``.

    Raises
    ------
    DataError
        When the file is damaged, its length is not Å, it says no elements, or its atoms cannot be followed.
    """
    try:
        with opened(path) as file:
            lines = _Lines(file, path)
            place = 0
            while (frame := _frame(lines, types)) is not None:
                if place and "id" not in frame[1]:
                    raise DataError(f"{path} has no column id, so its atoms cannot be followed; dump id as well.")
                yield Frame(place, frame[0], unread=_unread(frame[1]))
                place += 1
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _frame(lines: _Lines, types: Sequence[str]) -> tuple[Atoms, tuple[str, ...]] | None:
    """Return the next frame and its columns, or None at the end of the file."""
    head = _Head()
    while (line := lines.next()) is not None:
        if not line:
            continue
        if not line.startswith("ITEM:"):
            raise lines.wrong(f"an ITEM should stand here, not {line[:40]!r}")
        item = line[5:].split()
        if item[:1] == ["ATOMS"]:
            if head.count < 1 or head.box is None:
                raise lines.wrong("the atoms come before their number or their box")
            columns = tuple(item[1:])
            return _atoms(_table(columns, head.count, lines), head.box, head.info, types, lines), columns
        head.take(item, lines)
    if head.begun:
        raise DataError(f"{lines.path} is cut short at line {lines.number}.")
    return None


def _unread(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that look like labels and are none that is read; forces are, with all their components."""
    forces = [column for column in columns if column in ("fx", "fy", "fz")]
    others = [column for column in columns if LOOKS_LIKE_A_LABEL.search(column)]
    return (*others, *(forces if len(forces) < 3 else ()))


def _one(lines: _Lines, kind: type[N]) -> N:
    values = lines.numbers(kind)
    if len(values) != 1:
        raise lines.wrong("one number should stand here")
    return values[0]


def _box(words: Sequence[str], lines: _Lines) -> _Box:
    rows = [lines.numbers(float) for _ in range(3)]
    widths = {len(row) for row in rows}
    pbc = tuple("p" in word for word in words[-3:]) if len(words) >= 3 else (False,) * 3
    if words[:1] == ["abc"] and widths == {4}:
        table = np.array(rows)
        return _Box(table[:, :3], table[:, 3], pbc)
    if widths == {2}:
        low, high = np.array(rows).T
        return _Box(np.diag(high - low), low, pbc)
    if widths != {3}:
        raise lines.wrong("these are no bounds of a box")
    low, high, (xy, xz, yz) = np.array(rows).T
    low = low - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = high - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    lengths = high - low
    return _Box(np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]]), low, pbc)


def _table(columns: Sequence[str], count: int, lines: _Lines) -> dict[str, NDArray[np.str_]]:
    """Return the columns of the atoms as text, in the order of their ids."""
    rows = []
    for _ in range(count):
        row = lines.needed().split()
        if len(row) != len(columns):
            raise lines.wrong(f"{counted(len(columns), 'column is', 'columns are')} announced, {len(row)} found")
        rows.append(row)
    table = np.array(rows).T
    by_name = dict(zip(columns, table, strict=True))
    if "id" in by_name:
        ids = _column(by_name, "id", lines).astype(int)
        if len(set(ids.tolist())) < count:
            raise lines.wrong("two atoms of the frame have one id")
        order = np.argsort(ids)
        by_name = {name: values[order] for name, values in by_name.items()}
    return by_name


def _column(table: Mapping[str, NDArray[np.str_]], name: str, lines: _Lines) -> Array:
    try:
        return table[name].astype(float)
    except ValueError as error:
        raise lines.wrong(f"the column {name} of this frame holds what is no number") from error


def _atoms(
    table: Mapping[str, NDArray[np.str_]], box: _Box, info: dict[str, float], types: Sequence[str], lines: _Lines
) -> Atoms:
    # positions that run on serve every purpose, and wrapped ones not
    named = [names for names in ("xu yu zu", "xsu ysu zsu", "x y z", "xs ys zs") if set(names.split()) <= set(table)]
    if not named:
        raise lines.wrong("the atoms have no positions (x y z, xs ys zs, xu yu zu or xsu ysu zsu)")
    scaled, runs_on = _PLACES[named[0]]
    positions = np.column_stack([_column(table, name, lines) for name in named[0].split()])
    atoms = Atoms(
        _elements(table, types, lines),
        positions=box.origin + positions @ box.cell if scaled else positions,
        cell=box.cell,
        pbc=box.pbc,
        info=dict(info),
    )
    if runs_on:
        atoms.info[UNWRAPPED] = True
    elif {"ix", "iy", "iz"} <= set(table):
        flags = np.column_stack([_column(table, name, lines) for name in ("ix", "iy", "iz")])
        atoms.set_array(IMAGE_FLAGS, flags.astype(int))
    if {"fx", "fy", "fz"} <= set(table):
        # of a level that nobody says: the doctor names such keys
        atoms.set_array("forces", np.column_stack([_column(table, name, lines) for name in ("fx", "fy", "fz")]))
    if "mass" in table:
        atoms.set_masses(_column(table, "mass", lines))
    if "q" in table:
        atoms.set_initial_charges(_column(table, "q", lines))
    return atoms


def _elements(table: Mapping[str, NDArray[np.str_]], types: Sequence[str], lines: _Lines) -> list[str]:
    for symbol in types:
        if not is_element(symbol):
            raise DataError(
                f"{symbol[:20]} of the types is no element; {hint(symbol)}, such as Li P S for three types."
            )
    if "element" in table:
        symbols = table["element"].tolist()
        if wrong := [symbol for symbol in symbols if not is_element(symbol)]:
            raise lines.wrong(f"the element {wrong[0]!r} of this frame is none; {hint(wrong[0])}")
        return symbols
    if types and "type" in table:
        numbers = _column(table, "type", lines).astype(int)
        if numbers.min() < 1 or numbers.max() > len(types):
            raise lines.wrong(
                f"the frame has atoms of type {int(numbers.max())} and {counted(len(types), 'type is', 'types are')} "
                "named; name each"
            )
        return [types[number - 1] for number in numbers]
    if "mass" in table:
        return [_element_of(float(mass), lines) for mass in _column(table, "mass", lines)]
    raise DataError(
        f"{lines.path} says types and no elements, and type 1 is not hydrogen; dump the column element as well "
        "(dump_modify ... element Li P S), or name the element of each type, --types Li P S, where a command takes it."
    )


def _element_of(mass: float, lines: _Lines) -> str:
    near = np.flatnonzero(np.abs(atomic_masses[1:] - mass) < _MASS) + 1
    if len(near) != 1:
        raise lines.wrong(f"no single element has the mass {mass:g} of an atom of this frame; dump the column element")
    return next(symbol for symbol, number in atomic_numbers.items() if number == near[0])


def _detects(head: bytes) -> bool:
    return head.lstrip().startswith(b"ITEM: ")


def _detects_compressed(head: bytes) -> bool:
    return _detects(inflated(head))


READER = Reader("a text dump of LAMMPS", (".lammpstrj", ".dump"), _detects, dump_frames)

COMPRESSED = Reader(
    "a compressed text dump of LAMMPS", compressed((".lammpstrj", ".dump")), _detects_compressed, dump_frames
)
