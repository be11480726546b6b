"""The layout of extended XYZ: what must hold before ASE may read a file, and text that reads back to the last bit.

The format is described in ASE's manual of ``ase.io.extxyz`` and at https://github.com/libAtoms/extxyz.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import key_val_str_to_dict
from numpy.typing import NDArray

from rung.data.attributes import columns_of, state_of
from rung.data.held import FOLLOWED, Held, as_dicts
from rung.data.labels import STRUCTURE_ID
from rung.data.readers.ase import frames_through_ase
from rung.data.readers.comment_keys import key_twice, plain_pairs
from rung.data.readers.compression import DAMAGE, compressed, inflated, opened
from rung.data.readers.promises import check_comment, check_kept, check_rows
from rung.data.readers.reader import Finder, Frame, Reader
from rung.errors import DataError, counted

CONSTRAINTS = "rung_constraints"
"""The key of ``info`` that holds constraints which ``move_mask`` cannot say, as ASE's dictionaries."""

_PROPERTIES = re.compile(r'(?:^|\s)Properties="?([^\s"]+)')
_ATOM = re.compile(r"\s*[A-Z][a-z]?(?:\s+[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?){3}(?:\s|$)")
_ID = re.compile(rf'(?:^|\s){STRUCTURE_ID}=(?:"([^"\\]*)"|([^\s"]+))')
_RESERVED = {"Lattice", "Properties", "pbc", "uid"}
_CHUNK = 1 << 20
_LONGEST_COUNT = 9


@dataclass(frozen=True)
class Chunk:
    """Some whole frames of a file.

    Parameters
    ----------
    places
        The byte at which each frame begins.
    line
        Lines of the file before the first.
    content
        The text of the frames.
    frame
        Frames of the file before the first.
    """

    places: tuple[int, ...]
    line: int
    content: bytes
    frame: int = 0


def frame_chunks(path: Path) -> Iterator[Chunk]:
    """Yield a file in pieces of about a megabyte that end where a frame does.

    A line that should be a number of atoms and is none stays in its piece, for :func:`check_layout` to refuse.

    Parameters
    ----------
    path
        The file; it may be compressed.

    Raises
    ------
    DataError
        When the file cannot be read or holds nothing but white space.
    """
    places: list[int] = []
    lines: list[bytes] = []
    size, line, frame, seen = 0, 0, 0, False
    try:
        with opened(path) as file:
            for place, block in _blocks(file):
                if size > _CHUNK and places:
                    yield Chunk(tuple(places), line, b"".join(lines), frame)
                    frame += len(places)
                    places, lines, size, line = [], [], 0, line + len(lines)
                seen = seen or any(text.strip() for text in block)
                if place is not None:
                    places.append(place)
                lines += block
                size += sum(len(text) for text in block)
    except DAMAGE as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if not seen:
        raise DataError(f"{path} is empty.")
    if lines:
        yield Chunk(tuple(places), line, b"".join(lines), frame)


def _blocks(file: BufferedIOBase) -> Iterator[tuple[int | None, list[bytes]]]:
    """Yield the lines of each frame with the byte at which it begins, or what is no frame with None."""
    place, header = 0, file.readline()
    while header:
        count = _text(header)
        if count.isascii() and count.isdigit() and len(count) <= _LONGEST_COUNT:
            block = [header, *islice(file, int(count) + 1)]
            following = file.readline()
            while _text(following).startswith("VEC"):
                block.append(following)
                following = file.readline()
            yield place, block
        else:
            block = [header, *file.readlines(_CHUNK)]
            following = file.readline()
            yield None, block
        place += sum(len(text) for text in block)
        header = following


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()


def check_layout(text: str, path: Path, line: int = 0, frame: int = 0) -> list[int]:
    """Raise unless every frame of ``text`` has its count, its comment and its full rows, and nothing lies between.

    ASE stops at a blank line without a word and drops the columns that a row has too many: labels would be lost or
    shifted in silence. ``line`` and ``frame`` are the numbers of lines and of frames of the file before ``text``.

    Returns
    -------
    list of int
        The line of ``text`` at which each frame begins, from 0.

    Raises
    ------
    DataError
        Names the line.
    """
    lines = text.split("\n")
    stop = len(lines)
    while stop and not lines[stop - 1].strip():
        stop -= 1
    place = 0
    places: list[int] = []
    while place < stop:
        places.append(place)
        place = _check_frame(lines, place, stop, path, line, frame + len(places) - 1)
    return places


def _check_frame(lines: Sequence[str], place: int, stop: int, path: Path, before: int, frame: int) -> int:
    """Check the frame that starts at line ``place`` and return the line after it."""
    header = lines[place].strip()
    if header.startswith("\ufeff"):
        raise DataError(f"{path} begins with a byte order mark, as editors on Windows write it; save it without one.")
    if not (header.isascii() and header.isdigit()):
        instead = f"{header[:30]!r}" if header else "a blank line"
        missing = f"; has frame {frame - 1} lost a line" if frame else ""
        where = f"{path}, line {before + place + 1}"
        raise DataError(f"{where}: a number of atoms should stand here, not {instead}{missing}.")
    end = place + 2 + int(header)
    if int(header) == 0:
        raise DataError(f"{path}, line {before + place + 1}: the frame has no atoms.")
    if end > stop:
        raise DataError(
            f"{path} is cut short: the frame at line {before + place + 1} announces {counted(int(header), 'atom')}."
        )
    twice = key_twice(lines[place + 1])
    if twice is not None:
        where = f"{path}, line {before + place + 2}"
        raise DataError(f"{where}: the key {twice!r} stands twice in the comment; leave one, for only the last counts.")
    check_comment(lines[place + 1], f"{path}, frame {frame}, line {before + place + 2}")
    declared = _PROPERTIES.search(lines[place + 1])
    if declared is not None:
        width = _width(declared.group(1), path, before + place + 2)
        for k in range(place + 2, end):
            if len(lines[k].split()) != width:
                where = f"{path}, frame {frame}, line {before + k + 1}"
                raise DataError(
                    f"{where}: {counted(width, 'column is', 'columns are')} announced, {len(lines[k].split())} found."
                )
    while end < stop and lines[end].lstrip().startswith("VEC"):
        end += 1
    return end


def _width(properties: str, path: Path, line: int) -> int:
    counts = properties.split(":")[2::3]
    if not counts or not all(count.isascii() and count.isdigit() for count in counts):
        raise DataError(f"{path}, line {line}: Properties={properties[:60]} is not NAME:TYPE:COLUMNS repeated.")
    return sum(int(count) for count in counts)


def frame_text(atoms: Atoms, info: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """Return one frame as extended XYZ, every number with the digits that give it back exactly.

    Parameters
    ----------
    atoms
        The geometry, with what physics needs beyond it (see :mod:`rung.data.attributes`) and its constraints: they
        stand as ``move_mask``, and where that cannot say it all, also under ``rung_constraints``.
    info
        What goes into the comment line; values that are no text, number, truth value or list of them are left out.
    arrays
        Further real columns, each of shape ``(n,)`` or ``(n, k)``.
    """
    columns = {**columns_of(atoms), **arrays}
    written = {**state_of(atoms), **info}
    mask = None
    if atoms.constraints:
        mask = _move_mask(atoms)
        if not all(isinstance(one, (FixAtoms, FixCartesian)) for one in atoms.constraints):
            written[CONSTRAINTS] = as_dicts(atoms.constraints)
    parts = [f'Lattice="{_numbers(np.ravel(atoms.cell.array))}"'] if atoms.cell.any() else []
    blocks = {name: np.asarray(values).reshape(len(atoms), -1) for name, values in columns.items()}
    properties = "species:S:1:pos:R:3" + "".join(
        f":{name}:{'I' if block.dtype.kind in 'iu' else 'R'}:{block.shape[1]}" for name, block in blocks.items()
    )
    rows = [f"{symbol} {_numbers(row)}" for symbol, row in zip(atoms.symbols, atoms.positions, strict=True)]
    for block in blocks.values():
        texts = (" ".join(str(int(v)) for v in row) if block.dtype.kind in "iu" else _numbers(row) for row in block)
        rows = [f"{row} {text}" for row, text in zip(rows, texts, strict=True)]
    if mask is not None:
        mask = mask.reshape(len(atoms), -1)
        properties += f":move_mask:L:{mask.shape[1]}"
        rows = [
            f"{row} {' '.join('T' if free else 'F' for free in line)}" for row, line in zip(rows, mask, strict=True)
        ]
    parts.append(f"Properties={properties}")
    parts += [f"{_escaped(key)}={value}" for key, value in _written(written).items()]
    parts.append('pbc="{}"'.format(" ".join("T" if periodic else "F" for periodic in atoms.pbc)))
    return "\n".join([str(len(atoms)), " ".join(parts), *rows]) + "\n"


def _move_mask(atoms: Atoms) -> NDArray[np.bool_] | None:
    """Return the mask of what is held along axes; None where nothing is. Other programs read no more than that."""
    plain = atoms.copy()
    plain.set_constraint([one for one in atoms.constraints if isinstance(one, FOLLOWED)])
    held = Held.of(plain)
    if held.nothing:
        return None
    mask = held.move_mask()
    return held.movable if mask is None else mask


def _numbers(values: Any) -> str:
    return " ".join(repr(float(value)) for value in values)


def _written(info: Mapping[str, Any]) -> dict[str, str]:
    texts = {str(key): _value(value) for key, value in info.items() if str(key) and str(key) not in _RESERVED}
    return {key: text for key, text in texts.items() if text is not None}


def _value(value: Any) -> str | None:
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    if isinstance(value, (int, float, np.integer, np.floating)):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.+-]*", value) and not _reads_as_other(value):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "if" and len(value) > 1:
        return f'"{_numbers(value) if value.dtype.kind == "f" else " ".join(str(int(v)) for v in value)}"'
    try:
        return _escaped("_JSON " + json.dumps(value.tolist() if isinstance(value, np.ndarray) else value))
    except (TypeError, ValueError):
        return None  # what JSON has no form for cannot stand in a comment line


def _reads_as_other(text: str) -> bool:
    """Whether ASE would read this bare word as a truth value or a number."""
    if text in {"T", "F", "true", "false", "True", "False", "TRUE", "FALSE"}:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escaped(text: str) -> str:
    if re.fullmatch(r"[\w.+-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _detects(head: bytes) -> bool:
    """Whether a count of atoms comes first, then a comment that declares columns or the row of an atom."""
    lines = head.decode("utf-8", "replace").split("\n", 3)
    count = lines[0].strip()
    if not (count.isascii() and count.isdigit() and len(lines) > 1):
        return False
    return bool(_PROPERTIES.search(lines[1]) or (len(lines) > 2 and _ATOM.match(lines[2])))


def _detects_compressed(head: bytes) -> bool:
    return _detects(inflated(head))


def _frames(path: Path) -> Iterator[Frame]:
    for chunk in frame_chunks(path):
        yield from _parsed(path, chunk)


def _parsed(path: Path, chunk: Chunk) -> Iterator[Frame]:
    try:
        text = chunk.content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        byte = (chunk.places or (0,))[0] + error.start
        raise DataError(f"{path} is not text (byte {byte}); is it damaged, or another format?") from error
    places = check_layout(text, path, chunk.line, chunk.frame)
    if not chunk.places:
        return  # white space at the end
    lines = text.split("\n")
    try:
        frames = frames_through_ase(path, io.StringIO(text), format="extxyz", properties_parser=_comment)
    except DataError:
        _name_the_row(lines, places, path, chunk)
        raise
    cut = not text.endswith("\n")
    if len(frames) != len(chunk.places):
        raise DataError(
            f"{path}: ASE reads {counted(len(frames), 'frame')} after line {chunk.line}, not {len(chunk.places)}."
        )
    for k, (place, atoms) in enumerate(zip(chunk.places, frames, strict=True)):
        comment = lines[places[k] + 1]
        check_kept(comment, _columns(comment), atoms, _where(places[k] + 2, k, path, chunk))
        yield Frame(place, atoms, cut and place == chunk.places[-1])


def _name_the_row(lines: Sequence[str], places: Sequence[int], path: Path, chunk: Chunk) -> None:
    """Raise at the first row that ASE cannot have read."""
    for k, place in enumerate(places):
        declared = _PROPERTIES.search(lines[place + 1])
        rows = lines[place + 2 : place + 2 + int(lines[place])]
        properties = declared.group(1) if declared is not None else ""
        check_rows(rows, properties, f"{path}, frame {chunk.frame + k}", chunk.line + place + 3)


def _columns(comment: str) -> list[str]:
    declared = _PROPERTIES.search(comment)
    return declared.group(1).split(":")[::3] if declared is not None else []


def _where(line: int, frame: int, path: Path, chunk: Chunk) -> str:
    return f"{path}, frame {chunk.frame + frame}, line {chunk.line + line}"


def _comment(line: str) -> dict[str, Any]:
    """Parse a comment line as ASE does, but keep ``structure_id`` as it is spelt (007 is not 7)."""
    pairs = plain_pairs(line)
    info: dict[str, Any] = key_val_str_to_dict(line) if pairs is None else pairs
    spelling = _ID.search(line)
    if spelling is not None and STRUCTURE_ID in info:
        info[STRUCTURE_ID] = spelling.group(1) if spelling.group(1) is not None else spelling.group(2)
    return info


def _finder(path: Path) -> Finder:
    return partial(_frame_at, path)


def _frame_at(path: Path, place: int, end: int | None) -> Frame:
    with path.open("rb") as file:
        file.seek(place)
        content = file.read(-1 if end is None else end - place)
    return next(_parsed(path, Chunk((place,), 0, content)))


READER = Reader("extended XYZ", (".xyz", ".extxyz"), _detects, _frames, _finder)

COMPRESSED = Reader("compressed extended XYZ", compressed((".xyz", ".extxyz")), _detects_compressed, _frames)
