"""HDF5 files of other programs: opened, or refused in one sentence whatever h5py makes of their damage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.errors import DataError, MissingExtraError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of a file (HDF5 File Format Specification 3.0, section II.A)."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield the open file; nothing but reads of it belongs within the block.

    Raises
    ------
    MissingExtraError
        When h5py is not installed.
    DataError
        When the file cannot be opened, or is damaged where it is read.
    """
    try:
        import h5py  # noqa: PLC0415 - an optional package, imported when a file of its kind is read
    except ImportError as error:
        raise MissingExtraError(
            f"{path} needs the package 'h5py', which is not installed: pip install 'rung[hdf5]'."
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:  # all that h5py raises
        reason = " ".join(str(error).strip("'\"").split()) or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}); is a run still writing it, or is it damaged?") from error
