"""What a reader of one file format has to offer, and a frame as it comes out of a file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms


@dataclass(frozen=True)
class Frame:
    """One frame of a file.

    Parameters
    ----------
    place
        Where the reader finds it again: a byte, or its number, from 0.
    atoms
        The frame as :func:`ase.io.read` would give it: labels stand in ``info`` and ``arrays`` under the keys of
        :mod:`rung.data.labels`, in eV and Å.
    unfinished
        Whether the file ends within the last line of the frame, so that its last number may be cut.
    unread
        What looks like a label in the file, by its name there, and does not stand in ``atoms``.
    """

    place: int
    atoms: Atoms
    unfinished: bool = False
    unread: tuple[str, ...] = ()


Finder = Callable[[int, int | None], Frame]
"""Reads one frame again: takes its place and that of the next frame, None for the last one."""


@dataclass(frozen=True)
class Reader:
    """A file format: how it is recognised, and how its frames are read.

    Parameters
    ----------
    name
        What messages call the format.
    suffixes
        How names of such files end, in lower case.
    detects
        Whether the first 4096 bytes of a file, or all of a shorter one, can only be of this format.
    frames
        Yields every frame of a file; raises :class:`~rung.errors.DataError` where the file is damaged.
    finder
        Prepares to read single frames of a file, which has been read whole before; None where a frame cannot be found
        again by its place, so that files of the format cannot be streamed.
    """

    name: str
    suffixes: tuple[str, ...]
    detects: Callable[[bytes], bool]
    frames: Callable[[Path], Iterator[Frame]]
    finder: Callable[[Path], Finder] | None = None
