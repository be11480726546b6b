"""What a reader of one kind of output has to offer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rung.collect.output import Output


@dataclass(frozen=True)
class RunName:
    """Which run a file belongs to, as far as its name says.

    Parameters
    ----------
    folder
        The folder of the file.
    prefix
        What the files of one calculation share.
    series
        Which part of the calculation, where its program counts them.
    twist
        Which twist of the boundary, where there are several.
    """

    folder: Path
    prefix: str
    series: int | None = None
    twist: int | None = None


def name_by_file(path: Path) -> RunName:
    """Return the name of a run that has one output, named as the user likes."""
    return RunName(path.parent, path.name)


@dataclass(frozen=True)
class OutputReader:
    """One kind of output: how it is recognised, whatever its name, and how it is read.

    Parameters
    ----------
    kind
        What messages call it.
    suffixes
        How names of such files usually end: a file so named that holds something else is damaged, not foreign.
    recognises
        Whether a file can only be of this kind; takes it and its first 8192 bytes, or all of a shorter one.
    read
        Reads the whole file; raises :class:`~rung.errors.DataError` where it is damaged.
    name
        Which run a file belongs to.
    spare
        Whether the same run is better read from another kind of file beside it, so that it is passed over there.
    """

    kind: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path], Output]
    name: Callable[[Path], RunName] = name_by_file
    spare: bool = False
