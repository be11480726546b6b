"""Any other format that ASE reads: the whole file at once, so that no frame can be found again by its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import ase.io
from ase import Atoms
from ase.db import connect
from ase.io.cif import parse_cif

from rung.data.elements import hint, isotope
from rung.data.labels import LOOKS_LIKE_A_LABEL
from rung.data.readers.reader import Frame, Reader
from rung.errors import DataError

_LETTERS = re.compile("[A-Za-z]+")
_SQLITE = b"SQLite format 3\x00"


def frames_through_ase(path: Path, source: Path | IO[str], **options: object) -> list[Atoms]:
    """Return all frames that ASE reads from ``source``.

    Parameters
    ----------
    path
        What messages call the file.
    source
        The file, or its text.
    **options
        For :func:`ase.io.read`.

    Raises
    ------
    DataError
        When ASE cannot read it, for whatever reason.
    """
    try:
        frames = ase.io.read(source, index=":", **options)
    except KeyError as error:  # what ASE's tables of elements and readers of keys raise
        name = str(error.args[0]).removeprefix("Could not parse species from label ").rstrip(".") if error.args else ""
        remedy = hint(name) if isotope(name) else "is it damaged, or another format?"
        raise DataError(
            f"{path} cannot be read by ASE: {name[:60]!r} is neither an element nor a key that it knows; {remedy}"
            f"{'' if remedy.endswith('?') else '.'}"
        ) from error
    except Exception as error:  # ASE's readers raise whatever the damage makes of them: ValueError, KeyError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read by ASE ({reason}); is it damaged, or another format?") from error
    return list(frames) if isinstance(frames, list) else [frames]


def _frames(path: Path) -> Iterator[Frame]:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    # ASE would take postgres… for a database to call, "-" for the terminal, and what follows an @ for an index
    frames = frames_through_ase(path, path.absolute(), do_not_split_by_at_sign=True)
    _require_no_isotopes(path)
    for number, (atoms, keys) in enumerate(zip(frames, _keys_of_rows(path, len(frames)), strict=True)):
        atoms.info.update(keys)
        yield Frame(number, atoms)


def _keys_of_rows(path: Path, count: int) -> list[dict[str, object]]:
    """Return the keys of each row of a database of ASE, which was read before: ASE leaves them out of its atoms.

    Raises
    ------
    DataError
        When data beside the keys look like a label: they are of any shape.
    """
    with path.open("rb") as file:
        is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    if not is_sqlite and path.suffix.lower() != ".json":
        return [{} for _ in range(count)]
    found = []
    for row in connect(path.absolute(), type="db" if is_sqlite else "json", use_lock_file=False).select():
        if lost := [key for key in row.data if LOOKS_LIKE_A_LABEL.search(key)]:
            raise DataError(
                f"{path}, row {row.id}: {', '.join(lost)} in the data of a database is not read; write it as a key of "
                "the row, or the frames as extended XYZ with such keys in info."
            )
        found.append(dict(row.key_value_pairs))
    return found


def _require_no_isotopes(path: Path) -> None:
    """Raise where a CIF file, which was read before, holds deuterium: ASE makes plain hydrogen of it."""
    if path.suffix.lower() != ".cif":
        return
    with path.open(encoding="latin-1") as file:
        blocks = list(parse_cif(file))
    for block in blocks:
        symbols = block.get("_atom_site_type_symbol") or block.get("_atom_site_label") or []
        for label in symbols if isinstance(symbols, list) else [symbols]:
            letters = _LETTERS.match(str(label))
            if letters is not None and isotope(letters.group()):
                raise DataError(f"{path}: {label!r} cannot be read as an element; {hint(letters.group())}.")


READER = Reader(name="a format of ASE", suffixes=(), detects=lambda _: False, frames=_frames)
"""Takes what no other reader takes."""
