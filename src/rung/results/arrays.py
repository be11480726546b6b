"""Files of arrays (``.npz``): each array is what it should be, or one sentence says where the file is damaged."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import StorageError

Arrays = dict[str, NDArray[Any]]


class DamagedArraysError(StorageError):
    """A file of arrays does not hold what it should.

    Parameters
    ----------
    where
        The file.
    reason
        What is wrong with it, without a full stop.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} is damaged ({reason}); delete it and run again.")
        self.reason = reason


@dataclass(frozen=True)
class ArrayKind:
    """What an array of a file is.

    Parameters
    ----------
    letters
        numpy's letters of the types that it may have: ``f`` real, ``i`` whole, ``U`` text, ``b`` truth values.
    shape
        Its shape: a number is that length, a word any length, the same wherever the word stands.
    needed
        Whether the file must have it.
    finite
        Whether each of its numbers must be finite.
    """

    letters: str
    shape: tuple[int | str, ...] = ()
    needed: bool = True
    finite: bool = False


TEXT, COUNT, REAL = ArrayKind("U"), ArrayKind("iu"), ArrayKind("f", finite=True)


def read_arrays(source: Path | bytes, kinds: Mapping[str, ArrayKind], where: str = "") -> Arrays:
    """Return the arrays of a file, those of ``kinds`` after a check; others are returned as they are.

    Parameters
    ----------
    source
        The file, or its content.
    kinds
        What the arrays are, by name.
    where
        What the content is called in the sentence; by default the path.

    Raises
    ------
    DamagedArraysError
        When an array is absent or is something else, or the file is none of arrays.
    StorageError
        When there is no file, or the operating system does not let rung read it.
    """
    where = where or str(source)
    try:
        content = Path(source).read_bytes() if isinstance(source, Path) else source
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if sum(member.file_size for member in members.infolist()) > len(content):
                raise DamagedArraysError(where, "it was packed by another program")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise StorageError(f"There is no file {where}.") from error
    except OSError as error:
        raise StorageError(f"Cannot read {where}: {error.strerror or error}.") from error
    except _UNREADABLE as error:
        raise DamagedArraysError(where, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if reason := wrong_array(arrays, kinds):
        raise DamagedArraysError(where, reason)
    return arrays


def wrong_array(arrays: Mapping[str, NDArray[Any]], kinds: Mapping[str, ArrayKind]) -> str:
    """Return the first array that is not what it should be, and why; empty where there is none."""
    lengths: dict[str, int] = {}
    for name, kind in kinds.items():
        if name not in arrays and not kind.needed:
            continue
        if reason := _wrong(arrays[name], kind, lengths) if name in arrays else "it is not there":
            return f"{name!r}: {reason}"
    return ""


_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    OverflowError,
)
"""What zipfile and numpy raise at damaged bytes, for neither has an error of its own."""


def _wrong(array: Any, kind: ArrayKind, lengths: dict[str, int]) -> str:
    """Return what is wrong with an array; empty where nothing is. ``lengths`` keeps what each word stands for."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kind.letters:
        return "it is of another type"
    if array.ndim != len(kind.shape):
        return f"it has the shape {array.shape}"
    for length, wanted in zip(array.shape, kind.shape, strict=True):
        if length != (lengths.setdefault(wanted, length) if isinstance(wanted, str) else wanted):
            return f"it has the shape {array.shape}, which does not fit the others"
    if kind.finite and not np.isfinite(array).all():
        return "it holds numbers that are not finite"
    return ""
