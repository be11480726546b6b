"""Named columns of a file, whatever its format: text, JSON, npz or HDF5."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rung.collect.hdf5 import opened
from rung.data.text_table import read_text_table
from rung.errors import DataError, one_of

_DAMAGE = (ValueError, BadZipFile, zlib.error, RuntimeError, KeyError, EOFError, MemoryError)
"""What the readers of these formats raise at damage; RuntimeError has those that a zip's flags and versions cause."""

Columns = Mapping[str, NDArray[Any]]


def read_columns(path: Path, needed: Sequence[str] = (), numbers: Sequence[str] = ()) -> Columns:
    """Return the columns of a file by name.

    Parameters
    ----------
    path
        Text with a line of names, which :func:`rung.data.text_table.read_text_table` reads; JSON that is an object, of
        lists or of single values, or a list of objects; npz; or HDF5 whose datasets stand at the top. Which it is, its
        suffix says.
    needed
        Columns that text must have.
    numbers
        Columns of text that hold numbers, which may have decimal commas.

    Raises
    ------
    DataError
        When it cannot be read, or is of no such format.
    MissingExtraError
        When it is HDF5 and h5py is not installed.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: {one_of(suffix, SUFFIXES, 'suffix of a table')}")
    try:
        columns = _text(path, needed, numbers) if suffix in TEXTS else _FORMATS[suffix](path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or ' '.join(str(error).split())}.") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is damaged, or no {suffix.removeprefix('.')} ({reason}).") from error
    if not columns:
        raise DataError(f"{path} holds no columns.")
    return columns


def column(path: Path, columns: Columns, name: str) -> NDArray[Any]:
    """Return a column; raise a :class:`DataError` that lists what there is where it is not one of them."""
    if name not in columns:
        raise DataError(f"{path}: {one_of(name, columns, 'column')}")
    return columns[name]


def _text(path: Path, needed: Sequence[str], numbers: Sequence[str]) -> Columns:
    table = read_text_table(path, needed, numbers)
    for name in needed:
        if table.names.count(name) > 1:
            raise DataError(f"{path} has two columns {name}.")
    return {name: _objects([row.entries[name] for row in table.rows]) for name in table.names}


def _json(path: Path) -> Columns:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = dict.fromkeys(name for row in content for name in row)
        return {name: _objects([row.get(name) for row in content]) for name in names}
    if not isinstance(content, dict):
        raise DataError(f"{path} holds neither an object nor a list of objects.")
    lengths = {len(value) for value in content.values() if isinstance(value, list)}
    if lengths and all(isinstance(value, list) for value in content.values()) and len(lengths) == 1:
        return {name: _objects(value) for name, value in content.items()}
    return {name: _objects([value]) for name, value in content.items()}


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _npz(path: Path) -> Columns:
    with path.open("rb") as stream:  # numpy does not close what it cannot read
        file = np.load(stream, allow_pickle=False)
        if not hasattr(file, "files"):
            raise ValueError("it holds one array without a name")
        return {name: file[name] for name in file.files}


def _hdf5(path: Path) -> Columns:
    with opened(path) as file:
        # h5py gives names that are no text as bytes
        return {_decoded(name): np.asarray(item) for name, item in file.items() if hasattr(item, "shape")}


def _decoded(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


_FORMATS = {".json": _json, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}
TEXTS = (".csv", ".tsv", ".txt", ".dat")
SUFFIXES = (*TEXTS, *_FORMATS)
