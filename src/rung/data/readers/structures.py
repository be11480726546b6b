"""Frames in files to structures in memory, and back; a file is read whole and right, or refused in one sentence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from rung.data.attributes import attributes_in, columns_of, state_of
from rung.data.held import FOLLOWED, Held, from_dicts, merged
from rung.data.labels import (
    ARRAY_SUFFIXES,
    BARE_KEYS,
    ENERGY,
    INFO_SUFFIXES,
    LOOKS_LIKE_A_LABEL,
    STRUCTURE_ID,
    Array,
    Labels,
    fidelities_in,
    read_labels,
    split_key,
    write_labels,
)
from rung.data.matter import check_matter, check_numbers
from rung.data.other_keys import no_such_label, numbers_in
from rung.data.readers import reader_of
from rung.data.readers.extxyz import CONSTRAINTS, frame_text
from rung.data.readers.reader import Frame
from rung.data.soundness import impossible_label, misspelt_label, unusable_label
from rung.data.structure import Structure
from rung.errors import DataError
from rung.storage import atomic_path

APART = "give each its own, or leave the key out, so that rung names a frame after its geometry."
"""What to do where one ``structure_id`` names two geometries."""

READING = "rung_reading"
"""The key of ``Structure.info`` that holds the :class:`Reading`; it is never written to a file."""


@dataclass(frozen=True)
class Reading:
    """What a file holds of a frame beyond geometry and labels: what the doctor looks at.

    Parameters
    ----------
    source
        The file and the number of the frame in it, from 0: ``train.extxyz#17``.
    bare_keys
        Label keys without a fidelity that the frame carried, also those that ASE moved into a calculator.
    unread_keys
        Keys that look like labels but follow no convention that rung reads.
    numbers
        Of a frame without labels, what else holds numbers as labels do: see :func:`~rung.data.other_keys.numbers_in`.
    fixed_atoms
        Indices of atoms that cannot move at all.
    constraints
        What the file holds, as ASE's constraints: those that rung follows and those that it does not.
    columns
        Masses, initial charges and magnetic moments, by ASE's name: see :mod:`rung.data.attributes`.
    unfinished
        Whether the file ends within the last line of this frame, so that its last number may be cut.
    """

    source: str = ""
    bare_keys: tuple[str, ...] = ()
    unread_keys: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    fixed_atoms: tuple[int, ...] = ()
    unfinished: bool = False
    constraints: tuple[Any, ...] = field(default=(), compare=False)
    columns: Mapping[str, Array] = field(default_factory=dict, compare=False)


def complete_atoms(structure: Structure) -> Atoms:
    """Return the geometry with all that its file says beyond it and that physics needs.

    These are constraints, masses, initial charges and magnetic moments, and ``info`` with the charge and the spin.
    """
    reading = reading_of(structure)
    atoms: Atoms = structure.atoms.copy()
    for name, values in reading.columns.items():
        atoms.set_array(name, np.array(values))
    atoms.info = {
        key: value for key, value in structure.info.items() if key != READING and key not in reading.unread_keys
    }
    fixed = [FixAtoms(list(reading.fixed_atoms))] if reading.fixed_atoms else []
    atoms.set_constraint(list(reading.constraints) or fixed)
    return atoms


def structure_from(
    atoms: Atoms, structure_id: str, info: Mapping[str, Any] | None = None, labels: Mapping[str, Labels] | None = None
) -> Structure:
    """Return a structure of complete atoms: :func:`write_structures` then writes what they hold and what they are."""
    geometry = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    reading = Reading(
        fixed_atoms=_fixed_atoms(atoms, atoms.constraints),
        constraints=tuple(atoms.constraints),
        columns=columns_of(atoms),
    )
    return Structure(geometry, structure_id, labels or {}, {**state_of(atoms), **(info or {}), READING: reading})


def reading_of(structure: Structure) -> Reading:
    """Return what the file holds beyond geometry and labels; nothing for a structure that came from no file."""
    reading = structure.info.get(READING)
    return reading if isinstance(reading, Reading) else Reading()


def place_of(structure: Structure) -> str:
    """Return the file and the frame in it that a structure comes from, for a message; else its name."""
    name, _, number = reading_of(structure).source.rpartition("#")
    return f"{name}, frame {number}" if name else structure.structure_id


def require_matter(structure: Structure) -> Structure:
    """Return the structure; raise where no matter can be like it, so that what a model says of it means nothing.

    Raises
    ------
    DataError
        Names file and frame; see :func:`~rung.data.matter.check_matter`.
    """
    check_matter(structure.atoms, place_of(structure))
    return structure


def require_possible(structure: Structure) -> None:
    """Raise where a label of any fidelity is infinite, holds NaN beside numbers, or has a negative error.

    Raises
    ------
    DataError
        Names file, frame and key.
    """
    for name, labels in structure.labels.items():
        _refuse(structure, impossible_label(labels, name))


def require_usable(structures: Iterable[Structure], fidelities: Sequence[str]) -> None:
    """Raise at the first label of ``fidelities`` that would be left out, or count for nothing, without a word.

    Raises
    ------
    DataError
        Names file, frame and key.
    """
    for structure in structures:
        for name in fidelities:
            if name in structure.labels:
                _refuse(structure, unusable_label(structure.labels[name], name))
            others = [other + ENERGY for other in structure.labels if other != name]
            _refuse(structure, misspelt_label((*reading_of(structure).unread_keys, *others), name))


def _refuse(structure: Structure, fault: str) -> None:
    if fault:
        raise DataError(f"{place_of(structure)}: {fault}. rung doctor lists every frame with such a label.")


def read_structures(
    paths: Path | str | Sequence[Path | str],
    *,
    fidelities: Sequence[str] | None = None,
    keys: Mapping[str, str] | None = None,
) -> tuple[Structure, ...]:
    """Read every frame of one file or of several.

    Labels stand under ``<fidelity>_energy`` and so on (see :mod:`rung.data.labels`), in eV and Å. Forces are taken as
    they stand in the file. Constraints, masses, charges and magnetic moments are recorded in the :class:`Reading` of a
    structure and never applied: :func:`complete_atoms` gives them back.

    Parameters
    ----------
    paths
        One path or several: extended XYZ, also compressed, HDF5 in the layout of ANI-1x (see
        :mod:`rung.data.readers.hdf5`), or any other format that ASE reads. :func:`rung.data.readers.reader_of`
        chooses the reader.
    fidelities
        Fidelities that at least one frame must label, each with numbers that can be compared (see
        :func:`require_usable`); None asks for none. Labels of others are kept as they are.
    keys
        What the files call a fidelity, by its name here, where that differs: ``{"dz": "wb97x_dz"}``.

    Returns
    -------
    tuple of Structure
        In the order of the files. A frame without ``structure_id`` is named after its geometry.

    Raises
    ------
    DataError
        When a file is missing, empty, damaged or holds a frame that cannot be used, when one ``structure_id`` names
        two geometries, or when no frame labels a fidelity that was asked for, or a label of it is no usable number.
    """
    listed = listed_paths(paths)
    structures = tuple(iterate_structures(listed, keys=keys))
    require_one_geometry_each(structures)
    labelled = {name for structure in structures for name in structure.labels}
    for name in fidelities or ():
        if name not in labelled:
            where = ", ".join(str(path) for path in listed)
            raise DataError(f"{where}: {no_such_label(name, labelled)}")
    require_usable(structures, fidelities or ())
    return structures


def iterate_structures(
    paths: Path | str | Sequence[Path | str], *, keys: Mapping[str, str] | None = None
) -> Iterator[Structure]:
    """Yield every frame of one file or of several, of which about a megabyte is in memory at a time.

    Parameters and errors are those of :func:`read_structures`, but that an error comes when its frame does, and that
    nobody looks whether one ``structure_id`` names two geometries. Formats that only ASE reads are read whole.
    """
    for path in listed_paths(paths):
        for _, structure in numbered_frames(path, keys or {}):
            yield structure


def numbered_frames(path: Path, keys: Mapping[str, str]) -> Iterator[tuple[int, Structure]]:
    """Yield each structure of a file with the place of its frame, as its reader counts places."""
    number = -1
    for number, frame in enumerate(reader_of(path).frames(path)):
        yield frame.place, structure_of(frame, path, number, keys)
    if number < 0:
        raise DataError(f"{path} holds no frames.")


def structure_of(frame: Frame, path: Path, number: int, keys: Mapping[str, str]) -> Structure:
    """Return the structure of a frame, with its labels under the names that fidelities have here.

    Parameters
    ----------
    frame
        Of the file ``path``, the frame ``number``, from 0.
    path, number
        What messages and the :class:`Reading` call it.
    keys
        What the file calls a fidelity, by its name here, where that differs.

    Raises
    ------
    DataError
        When the geometry or a label cannot be used; the message names the frame.
    """
    atoms, where = frame.atoms, f"{path}, frame {number}"
    check_numbers(atoms, where)
    results = atoms.calc.results if atoms.calc is not None else {}
    arrays = {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    info = dict(atoms.info)
    bare = sorted({key for key in BARE_KEYS if key in info or key in arrays or key in results})
    labels = _renamed(_labels(info, arrays, len(atoms), where), keys, where)
    read = {key for key in info if _is_label(key, INFO_SUFFIXES)} | {
        key for key in arrays if _is_label(key, ARRAY_SUFFIXES)
    }
    used = read | {*BARE_KEYS, STRUCTURE_ID}
    unread = sorted({key for key in {*info, *arrays, *_nested(info)} - used if _label_like(str(key))} | {*frame.unread})
    constraints = _constraints(atoms, info, where)
    reading = Reading(
        f"{path.name}#{number}",
        tuple(bare),
        tuple(unread),
        () if labels else numbers_in(info, arrays),
        _fixed_atoms(atoms, constraints),
        frame.unfinished,
        constraints,
        attributes_in(arrays, len(atoms), where),
    )
    geometry = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain = {str(key): value for key, value in info.items() if key not in used}
    structure = Structure(geometry, _id_text(info.get(STRUCTURE_ID)), labels, {**plain, READING: reading})
    if structure.structure_id:
        return structure
    return Structure(geometry, f"geometry-{structure.geometry_hash[:16]}", labels, structure.info)


@lru_cache(maxsize=4096)  # the keys of a file are the same in every frame
def _label_like(key: str) -> bool:
    return LOOKS_LIKE_A_LABEL.search(key) is not None


def _nested(info: Mapping[str, Any]) -> list[str]:
    """Return the names in dictionaries within ``info``, where no label is read."""
    return [f"{key}.{name}" for key, value in info.items() if isinstance(value, Mapping) for name in value]


def listed_paths(paths: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return one path or several as a list; raise where there is none."""
    listed = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    if not listed:
        raise DataError("No data file was named.")
    return listed


def write_structures(path: Path | str, structures: Sequence[Structure]) -> None:
    """Write extended XYZ that :func:`read_structures` reads back to the last bit; whole or not at all.

    Raises
    ------
    StorageError
        When the file cannot be written.
    """
    text = "".join(text_of(structure) for structure in structures)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _renamed(labels: dict[str, Labels], keys: Mapping[str, str], where: str) -> dict[str, Labels]:
    """Return labels under the names that fidelities have here instead of the keys that they have in the file."""
    names = {key: name for name, key in keys.items()}
    renamed = {names.get(key, key): value for key, value in labels.items()}
    if len(renamed) < len(labels):
        clash = sorted(name for name, key in keys.items() if name != key and name in labels and key in labels)
        raise DataError(f"{where} has labels of {clash[0]!r} under that name and under {keys[clash[0]]!r}.")
    return renamed


def _id_text(value: Any) -> str:
    """Return a ``structure_id`` as text; empty where there is none."""
    if value is None or value is True:
        return ""
    return " ".join(str(part) for part in np.ravel(value))


def _labels(info: Mapping[str, Any], arrays: Mapping[str, Any], n_atoms: int, where: str) -> dict[str, Labels]:
    in_info = {key: value for key, value in info.items() if _is_label(key, INFO_SUFFIXES)}
    in_arrays = {key: value for key, value in arrays.items() if _is_label(key, ARRAY_SUFFIXES)}
    for key in info:
        if _is_label(key, ARRAY_SUFFIXES):
            raise DataError(f"{where}: {key} stands in the comment line; it belongs in the columns of the atoms.")
    for key, value in {**in_info, **in_arrays}.items():
        if np.asarray(value).dtype.kind == "b":
            raise DataError(f"{where}: {key} is not a number.")
    try:
        return {
            name: read_labels(in_info, in_arrays, name, n_atoms) for name in fidelities_in({**in_info, **in_arrays})
        }
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: {error}.") from error


def _is_label(key: str, suffixes: tuple[str, ...]) -> bool:
    pair = split_key(key) if key not in BARE_KEYS else None
    return pair is not None and pair[1] in suffixes


def _constraints(atoms: Atoms, info: dict[str, Any], where: str) -> tuple[Any, ...]:
    """Return the constraints of a frame; what stands under ``rung_constraints`` is all of them, and leaves ``info``."""
    if CONSTRAINTS not in info:
        return merged(atoms.constraints)
    try:
        return from_dicts(info.pop(CONSTRAINTS), len(atoms))
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: {CONSTRAINTS} cannot be read ({error}).") from error


def _fixed_atoms(atoms: Atoms, constraints: Sequence[Any]) -> tuple[int, ...]:
    """Return the atoms that cannot move at all by what rung follows of ``constraints``."""
    if all(isinstance(one, FixAtoms) for one in constraints):
        return tuple(sorted({int(index) for one in constraints for index in one.index}))
    bound = Atoms(numbers=atoms.numbers, cell=atoms.cell)
    bound.set_constraint([one for one in constraints if isinstance(one, FOLLOWED)])
    return tuple(int(index) for index in np.flatnonzero(~Held.of(bound).movable))


def require_one_geometry_each(structures: Iterable[Structure]) -> None:
    """Raise a :class:`DataError` where one ``structure_id`` names two geometries, with the places of both."""
    first: dict[str, Structure] = {}
    for structure in structures:
        other = first.setdefault(structure.structure_id, structure)
        if other.geometry_hash != structure.geometry_hash:
            here, there = reading_of(structure).source, reading_of(other).source
            raise DataError(
                f"structure_id {structure.structure_id!r} names two geometries, in {there} and {here}; {APART}"
            )


def text_of(structure: Structure) -> str:
    """Return one frame of extended XYZ, as :func:`write_structures` writes it."""
    info: dict[str, Any] = {STRUCTURE_ID: structure.structure_id} if structure.structure_id else {}
    arrays: dict[str, Any] = {}
    for name, labels in structure.labels.items():
        write_labels(labels, info, arrays, name)
    plain = {key: value for key, value in structure.info.items() if key != READING and key not in info}
    return frame_text(complete_atoms(structure), {**plain, **info}, arrays)
