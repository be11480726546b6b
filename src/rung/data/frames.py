"""Frames left in their files: a sequence of structures that reads each one when it is asked for.

What stays in memory is about a hundred bytes a frame: where it begins, its name, a hash of its geometry and which
fidelities label it. Everything that takes a sequence of structures takes this one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rung.data.fingerprint import Fingerprint, fingerprint, first_of_each
from rung.data.other_keys import no_such_label
from rung.data.readers import reader_of
from rung.data.readers.reader import Finder
from rung.data.readers.structures import APART, listed_paths, numbered_frames, require_usable, structure_of
from rung.data.splits import HOWEVER, REMEDY
from rung.data.structure import Structure
from rung.errors import DataError
from rung.storage import content_hash, file_hash

Places = NDArray[np.int64]


@dataclass(frozen=True)
class _File:
    """One file: the places of its frames, what reads one of them again, and the stamp that shows a change."""

    path: Path
    places: Places
    finder: Finder
    stamp: tuple[int, int]

    def read(self, number: int, keys: Mapping[str, str]) -> Structure:
        self.check_unchanged()
        end = int(self.places[number + 1]) if number + 1 < len(self.places) else None
        return structure_of(self.finder(int(self.places[number]), end), self.path, number, keys)

    def check_unchanged(self) -> None:
        if _stamp(self.path) != self.stamp:
            raise DataError(f"{self.path} has changed since its frames were counted; run again.")


class StreamedStructures(Sequence[Structure]):
    """Structures that are read when they are asked for; a slice or a selection reads nothing yet."""

    def __init__(self, frames: "_Frames", indices: Places) -> None:
        self._frames, self._indices = frames, indices

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Structure: ...
    @overload
    def __getitem__(self, index: slice) -> "StreamedStructures": ...
    def __getitem__(self, index: int | slice) -> "Structure | StreamedStructures":
        """Read one structure, or select some."""
        if isinstance(index, slice):
            return StreamedStructures(self._frames, self._indices[index])
        return self._frames.read(int(self._indices[index]))

    def __iter__(self) -> Iterator[Structure]:
        """Read one structure after the other."""
        if len(self._indices) == len(self._frames.names) and bool((np.diff(self._indices) == 1).all()):
            yield from self._frames.every()  # in the order of the files, which is faster
        else:
            for index in self._indices:
                yield self._frames.read(int(index))

    @property
    def names(self) -> tuple[str, ...]:
        """The ``structure_id`` of each."""
        return tuple(self._frames.names[index] for index in self._indices)

    @property
    def geometries(self) -> NDArray[np.uint64]:
        """The first 64 bits of each ``geometry_hash``."""
        return self._frames.geometries[self._indices]

    @property
    def marks(self) -> tuple[Fingerprint, ...]:
        """What stays of each geometry however it is turned or ordered."""
        return tuple(self._frames.marks[index] for index in self._indices)

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelities that label any of the structures, sorted."""
        return tuple(name for name in sorted(self._frames.labelled) if len(self.places_labelled_by(name)))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the files hold, what their labels are called, and which frames are selected."""
        return content_hash(self._frames.fingerprint, self._indices)

    def select(self, indices: Sequence[int] | Places) -> "StreamedStructures":
        """Return the structures at ``indices``, in that order."""
        return StreamedStructures(self._frames, self._indices[np.asarray(indices, dtype=np.int64)])

    def places_labelled_by(self, fidelity: str) -> Places:
        """Return the indices of the structures to which ``fidelity`` gives any label."""
        flags = self._frames.labelled.get(fidelity)
        return np.zeros(0, np.int64) if flags is None else np.flatnonzero(flags[self._indices])

    def changed(self, change: Callable[[Structure], Structure], description: str) -> "StreamedStructures":
        """Return the structures as ``change`` makes them each time that they are read; each is read once now.

        Parameters
        ----------
        change
            Changes labels, and neither name nor geometry.
        description
            What it does, in full: equal descriptions stand for equal changes, in fingerprints too.
        """
        frames = replace(self._frames, changes=(*self._frames.changes, (description, change)), labelled={})
        changed = StreamedStructures(frames, self._indices)
        labelled: dict[str, list[int]] = {}
        for index, structure in zip(self._indices.tolist(), changed, strict=True):
            for name, labels in structure.labels.items():
                if labels.says_anything:
                    labelled.setdefault(name, []).append(index)
        return StreamedStructures(replace(frames, labelled=_flags(labelled, len(frames.names))), self._indices)


@dataclass(frozen=True)
class _Frames:
    """What is kept of all frames of all files."""

    files: tuple[_File, ...]
    keys: Mapping[str, str]
    names: Sequence[str]
    geometries: NDArray[np.uint64]
    marks: Sequence[Fingerprint]
    labelled: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    changes: tuple[tuple[str, Callable[[Structure], Structure]], ...] = ()

    @cached_property
    def firsts(self) -> Places:
        """How many frames stand before each file."""
        return np.concatenate([[0], np.cumsum([len(file.places) for file in self.files])]).astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        files = tuple(file_hash(file.path) for file in self.files)
        changes = tuple(description for description, _ in self.changes)
        return content_hash(files, tuple(sorted(self.keys.items())), changes)

    def read(self, index: int) -> Structure:
        place = int(np.searchsorted(self.firsts, index, side="right")) - 1
        return self._changed(self.files[place].read(index - int(self.firsts[place]), self.keys))

    def every(self) -> Iterator[Structure]:
        for file in self.files:
            file.check_unchanged()
            for _, structure in numbered_frames(file.path, self.keys):
                yield self._changed(structure)

    def _changed(self, structure: Structure) -> Structure:
        for _, change in self.changes:
            structure = change(structure)
        return structure


def stream_structures(
    paths: Path | str | Sequence[Path | str],
    *,
    fidelities: Sequence[str] | None = None,
    keys: Mapping[str, str] | None = None,
    check: Callable[[Structure], object] | None = None,
) -> StreamedStructures:
    """Read every frame of one file or of several once, keep none, and return them as a sequence.

    Parameters and errors are those of :func:`~rung.data.readers.structures.read_structures`; files must be extended
    XYZ that is not compressed, or HDF5. In files of other formats a frame cannot be found again by its place. ``check``
    sees each structure as it is read, and raises where it is of no use.
    """
    files: list[_File] = []
    names: list[str] = []
    marks: list[Fingerprint] = []
    geometries: list[NDArray[np.uint64]] = []
    labelled: dict[str, list[int]] = {}
    for path in listed_paths(paths):
        reader = reader_of(path)
        if reader.finder is None:
            raise DataError(f"{path} cannot be streamed; convert it to plain .extxyz, or leave data.stream out.")
        places: list[int] = []
        hashes: list[int] = []
        for place, structure in numbered_frames(path, keys or {}):
            require_usable([structure], fidelities or ())
            if check is not None:
                check(structure)
            for name, labels in structure.labels.items():
                if labels.says_anything:
                    labelled.setdefault(name, []).append(len(names))
            names.append(structure.structure_id)
            hashes.append(int(structure.geometry_hash[:16], 16))
            marks.append(fingerprint(structure))
            places.append(place)
        files.append(_File(path, np.array(places, dtype=np.int64), reader.finder(path), _stamp(path)))
        geometries.append(np.array(hashes, dtype=np.uint64))
    flags = _flags(labelled, len(names))
    frames = _Frames(tuple(files), dict(keys or {}), names, np.concatenate(geometries), marks, flags)
    _check_names(frames)
    for name in fidelities or ():
        if name not in labelled:
            where = ", ".join(str(file.path) for file in files)
            raise DataError(f"{where}: {no_such_label(name, labelled)}")
    return StreamedStructures(frames, np.arange(len(names), dtype=np.int64))


def select(structures: Sequence[Structure], indices: Sequence[int] | Places) -> Sequence[Structure]:
    """Return the structures at ``indices``: a list, or what reads them when they are asked for."""
    if isinstance(structures, StreamedStructures):
        return structures.select(indices)
    return [structures[int(index)] for index in indices]


def places_labelled_by(structures: Sequence[Structure], fidelity: str) -> Places:
    """Return the indices of the structures to which ``fidelity`` gives any label, without reading streamed ones."""
    if isinstance(structures, StreamedStructures):
        return structures.places_labelled_by(fidelity)
    indices = [k for k, structure in enumerate(structures) if structure.labelled(fidelity).says_anything]
    return np.array(indices, dtype=np.int64)


def names_of(structures: Sequence[Structure]) -> Sequence[str]:
    """Return the ``structure_id`` of each structure, without reading those that are streamed."""
    if isinstance(structures, StreamedStructures):
        return structures.names
    return [structure.structure_id for structure in structures]


def _flags(labelled: Mapping[str, Sequence[int]], count: int) -> dict[str, NDArray[np.bool_]]:
    return {name: np.bincount(indices, minlength=count) > 0 for name, indices in labelled.items()}


def check_apart(splits: Mapping[str, Sequence[Structure]]) -> None:
    """Raise where a name or a geometry stands in two splits; streamed structures are not read for it.

    Raises
    ------
    DataError
        Names the first such structure and the two splits.
    """
    names = {split: set(names_of(members)) for split, members in splits.items()}
    geometries = _geometries(splits)
    for one, other in combinations(splits, 2):
        shared = sorted(names[one] & names[other])
        twins = np.flatnonzero(np.isin(geometries[one], geometries[other]))
        if shared or len(twins):
            first = shared[0] if shared else names_of(splits[one])[int(twins[0])]
            turned = "" if shared else f", {HOWEVER}"
            raise DataError(f"The structure {first!r} of {one} stands in {other} too{turned}; {REMEDY}")


def _geometries(splits: Mapping[str, Sequence[Structure]]) -> dict[str, NDArray[np.int64]]:
    """Return for each structure of each split the number of its geometry among all; few streamed ones are read."""
    places = [(members, index) for members in splits.values() for index in range(len(members))]
    marks = [mark for members in splits.values() for mark in _marks(members)]

    def read(index: int) -> Structure:
        members, place = places[index]
        return members[place]

    first = first_of_each(marks, read)
    ends = np.cumsum([len(members) for members in splits.values()])
    return dict(zip(splits, np.split(first, ends[:-1]), strict=True))


def _marks(structures: Sequence[Structure]) -> Sequence[Fingerprint]:
    if isinstance(structures, StreamedStructures):
        return structures.marks
    return [fingerprint(structure) for structure in structures]


def _check_names(frames: _Frames) -> None:
    order = sorted(range(len(frames.names)), key=lambda index: frames.names[index])
    for one, other in pairwise(order):
        if frames.names[one] == frames.names[other] and frames.geometries[one] != frames.geometries[other]:
            name = frames.names[one]
            raise DataError(f"structure_id {name!r} names two geometries, frames {one} and {other}; {APART}")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
