"""HDF5 in the layout of ANI-1x: a group per composition, its conformers along the first axis of every dataset.

A group holds ``atomic_numbers``, shape ``(n,)``, ``coordinates``, shape ``(C, n, 3)`` in Å, and for each level of
theory ``<key>.energy``, shape ``(C,)`` in Hartree, and perhaps ``<key>.forces``, shape ``(C, n, 3)`` in Hartree/Å:
``wb97x_dz``, ``wb97x_tz``, ``ccsd(t)_cbs`` and others. NaN marks an absent label, and molecules are not periodic.
Source of the layout: Smith et al., *Scientific Data* 7, 134 (2020), and https://github.com/aiqm/ANI1x_datasets.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rung.data.labels import ENERGY, FORCES, LOOKS_LIKE_A_LABEL, STRUCTURE_ID, Array
from rung.data.readers.reader import Finder, Frame, Reader
from rung.errors import DataError, MissingExtraError
from rung.units import HARTREE

NUMBERS, COORDINATES = "atomic_numbers", "coordinates"
_ENERGY, _FORCES = ".energy", ".forces"
_AT_ONCE = 256
_SPARE, _MOST_PACKED = 1 << 20, 2000
"""How many bytes a dataset may have for each byte of the file that it takes: gzip packs zeros a thousand times."""

HEAVIEST = 118
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of a file (HDF5 File Format Specification 3.0, section II.A)."""


@dataclass(frozen=True)
class Conformers:
    """One group of a file.

    Parameters
    ----------
    name
        The path of the group in the file, without the first slash.
    count
        How many conformers it holds.
    unread
        Datasets that look like labels and follow no layout that rung reads.
    """

    name: str
    count: int
    unread: tuple[str, ...] = ()


def hdf5_groups(path: Path) -> tuple[Conformers, ...]:
    """Return the groups of a file that hold conformers, in the order of their names.

    Raises
    ------
    MissingExtraError
        When h5py is not installed.
    DataError
        When the file is not HDF5, or a group has no conformers in this layout.
    """
    groups: list[Conformers] = []
    with _opened(path) as file:

        def visit(name: str, item: Any) -> None:
            if not hasattr(item, "keys"):
                return
            if name and COORDINATES in item:
                groups.append(Conformers(name, _count(item, f"{path}, group {name}"), _unread(item)))
            else:
                _require_no_labels(item, f"{path}, group {name or '/'}")

        visit("", file)
        file.visititems(visit)
    if not groups:
        raise DataError(f"{path} has no group with {NUMBERS} and {COORDINATES}: it is not laid out as ANI-1x is.")
    return tuple(sorted(groups, key=lambda group: group.name))


def hdf5_frames(path: Path) -> Iterator[Frame]:
    """Yield the conformers of a file, group by group, a few hundred in memory at a time.

    Labels are converted to eV and eV/Å and stand under ``<key>_energy`` and ``<key>_forces``, as in any other file; the
    ``structure_id`` is the group and the place in it, ``C10H10-17``.

    Raises
    ------
    MissingExtraError
        When h5py is not installed.
    DataError
        When the file is not in this layout, or a dataset does not have the shape that its group asks for.
    """
    place = -1
    for group in hdf5_groups(path):
        for start in range(0, group.count, _AT_ONCE):
            for atoms in _conformers(path, group, start, min(start + _AT_ONCE, group.count)):
                place += 1
                yield Frame(place, atoms, unread=group.unread)


def _conformers(path: Path, group: Conformers, start: int, stop: int) -> list[Atoms]:
    """Return the conformers ``start`` to ``stop`` of one group; labels and errors as in :func:`hdf5_frames`."""
    with _opened(path) as file:
        datasets = file[group.name]
        where = f"{path}, group {group.name}"
        numbers = np.asarray(_dataset(datasets, NUMBERS, where, "iu")[()], dtype=int)
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= HEAVIEST:
            raise DataError(
                f"{where}: {NUMBERS} should be from 1 to {HEAVIEST}, not {numbers.min()} to {numbers.max()}."
            )
        labels = [
            (key, np.asarray(_fitting(datasets, key, group, len(numbers), where)[start:stop], dtype=float) * HARTREE)
            for key in sorted(datasets)
            if _is_label(key)
        ]
        positions = np.asarray(_dataset(datasets, COORDINATES, where, "fiu")[start:stop], dtype=float)
    prefix = group.name.replace("/", "-")
    frames = []
    for k in range(stop - start):
        atoms = Atoms(numbers=numbers, positions=positions[k])
        atoms.info[STRUCTURE_ID] = f"{prefix}-{start + k}"
        for key, values in labels:
            _put(atoms, key, values[k])
        frames.append(atoms)
    return frames


def _put(atoms: Atoms, key: str, value: Array) -> None:
    """Put one label under the key that other files have; nothing where it is absent."""
    if np.isnan(value).all():
        return
    if key.endswith(_ENERGY):
        atoms.info[key.removesuffix(_ENERGY) + ENERGY] = float(value)
    else:
        atoms.arrays[key.removesuffix(_FORCES) + FORCES] = value.copy()


def _count(group: Any, where: str) -> int:
    if NUMBERS not in group:
        raise DataError(f"{where} has {COORDINATES} and no {NUMBERS}.")
    numbers, shape = _dataset(group, NUMBERS, where, "iu").shape, _dataset(group, COORDINATES, where, "fiu").shape
    if len(numbers) != 1 or len(shape) != 3 or shape[1:] != (numbers[0], 3):
        raise DataError(f"{where}: {COORDINATES} of shape {shape} do not belong to {NUMBERS} of shape {numbers}.")
    return int(shape[0])


def _require_no_labels(group: Any, where: str) -> None:
    """Raise where a group without conformers holds labels, or links to groups, none of which would be read."""
    for name in sorted(group):
        if type(group.get(name, getlink=True)).__name__ != "HardLink":
            raise DataError(f"{where}/{name} is a link, which is not followed; put the conformers into this very file.")
        if name in (NUMBERS, COORDINATES) or name.endswith((_ENERGY, _FORCES)):
            raise DataError(f"{where} has {name} and is no group with {NUMBERS} and {COORDINATES}: it would be lost.")


def _unread(group: Any) -> tuple[str, ...]:
    return tuple(name for name in sorted(group) if LOOKS_LIKE_A_LABEL.search(name) and not _is_label(name))


def _is_label(name: str) -> bool:
    return name.endswith((_ENERGY, _FORCES)) and name not in (_ENERGY, _FORCES)


def _fitting(datasets: Any, key: str, group: Conformers, n_atoms: int, where: str) -> Any:
    """Return the dataset of a label, of one entry a conformer."""
    dataset = _dataset(datasets, key, where, "fiu")
    expected = (group.count,) if key.endswith(_ENERGY) else (group.count, n_atoms, 3)
    if dataset.shape != expected:
        raise DataError(f"{where}/{key} has shape {dataset.shape}, not {expected}.")
    return dataset


def _dataset(group: Any, name: str, where: str, letters: str) -> Any:
    """Return a dataset of numbers that stands in this very file.

    Parameters
    ----------
    group
        What it stands in.
    name
        Its name.
    where
        File and group, for the sentence.
    letters
        numpy's letters of the types that its numbers may have.
    """
    link = type(group.get(name, getlink=True)).__name__
    dataset = None if link == "ExternalLink" else group.get(name)
    if dataset is None:
        raise DataError(f"{where}/{name} is a link to what is not in the file.")
    if not hasattr(dataset, "dtype") or dataset.shape is None:
        raise DataError(f"{where}/{name} is a group or has no shape, where a dataset of numbers should stand.")
    if dataset.dtype.kind not in letters:
        what = "whole numbers" if letters == "iu" else "numbers"
        raise DataError(f"{where}/{name} holds {dataset.dtype}, where {what} should stand.")
    if dataset.external or dataset.is_virtual:
        raise DataError(f"{where}/{name} keeps its numbers in another file; put them into this one.")
    if dataset.size * dataset.dtype.itemsize > _SPARE + _MOST_PACKED * dataset.id.get_storage_size():
        raise DataError(f"{where}/{name} announces {dataset.size} numbers, far more than the file holds.")
    return dataset


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py  # noqa: PLC0415 - an optional package, imported when a file of its kind is read
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{path} needs the package 'h5py', which is not installed: pip install 'rung[hdf5]'."
        ) from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} cannot be read as HDF5: {' '.join(str(error).split())}.") from error
    with file:
        try:
            yield file
        except (OSError, RuntimeError) as error:
            raise DataError(f"{path} is damaged: {' '.join(str(error).split())[:200]}.") from error


def _finder(path: Path) -> Finder:
    groups = hdf5_groups(path)
    return partial(_conformer, path, groups, np.cumsum([group.count for group in groups], dtype=np.int64))


def _conformer(path: Path, groups: tuple[Conformers, ...], ends: NDArray[np.int64], place: int, _: int | None) -> Frame:
    """Return the frame number ``place`` of a file; ``ends`` counts the conformers up to the end of each group."""
    index = int(np.searchsorted(ends, place, side="right"))
    group = groups[index]
    start = place - int(ends[index]) + group.count
    return Frame(place, _conformers(path, group, start, start + 1)[0], unread=group.unread)


READER = Reader(
    "HDF5 in the layout of ANI-1x", (".h5", ".hdf5"), lambda head: head.startswith(_SIGNATURE), hdf5_frames, _finder
)
