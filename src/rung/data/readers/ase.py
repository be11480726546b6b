"""Any other format that ASE reads: the whole file at once, so that no frame can be found again by its place."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import ase.io
from ase import Atoms

from rung.data.readers.reader import Frame, Reader
from rung.errors import DataError


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
        raise DataError(
            f"{path} cannot be read by ASE: {error} is neither an element nor a key that it knows; is it damaged, or "
            "another format?"
        ) from error
    except Exception as error:  # ASE's readers raise whatever the damage makes of them: ValueError, KeyError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read by ASE ({reason}); is it damaged, or another format?") from error
    return list(frames) if isinstance(frames, list) else [frames]


def _frames(path: Path) -> Iterator[Frame]:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    # ASE would take postgres… for a database to call, "-" for the terminal, and what follows an @ for an index
    for number, atoms in enumerate(frames_through_ase(path, path.absolute(), do_not_split_by_at_sign=True)):
        yield Frame(number, atoms)


READER = Reader(name="a format of ASE", suffixes=(), detects=lambda _: False, frames=_frames)
"""Takes what no other reader takes."""
