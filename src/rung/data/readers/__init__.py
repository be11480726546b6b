"""Readers of file formats, and the one place that chooses among them.

A format is one file here with a :class:`~rung.data.readers.reader.Reader`, and an entry in ``READERS``. Whole reads,
streams and packed rows all ask :func:`reader_of`.
"""

from collections.abc import Sequence
from pathlib import Path

from rung.data.readers import ase, extxyz, hdf5, lammps
from rung.data.readers.reader import Reader
from rung.errors import DataError

READERS: tuple[Reader, ...] = (
    extxyz.READER,
    extxyz.COMPRESSED,
    hdf5.READER,
    lammps.READER,
    lammps.COMPRESSED,
)
"""Formats that rung reads itself; ASE tries what is none of them."""

_HEAD = 4096


def reader_of(path: Path, readers: Sequence[Reader] = READERS) -> Reader:
    """Return the reader of a file, by its first bytes where these are of one format, and else by its suffix.

    Parameters
    ----------
    path
        The file.
    readers
        Formats to choose from. A file of none of them is left to ASE.

    Raises
    ------
    DataError
        When there is no such file, or when it may be of several formats.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file of frames.")
    head = _head(path)
    by_content = [reader for reader in readers if reader.detects(head)]
    by_suffix = [reader for reader in readers if path.name.lower().endswith(reader.suffixes)]
    candidates = [reader for reader in by_content if reader in by_suffix] or by_content or by_suffix or [ase.READER]
    if len(candidates) > 1:
        names = " or ".join(f"{reader.name} ({', '.join(reader.suffixes)})" for reader in candidates)
        raise DataError(f"{path} may be {names}; give it the suffix of its format.")
    return candidates[0]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
