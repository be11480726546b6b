"""Frames in files to structures in memory, and back; a file is read whole and right, or refused in one sentence."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import key_val_str_to_dict

from rung.data.labels import (
    ARRAY_SUFFIXES,
    BARE_KEYS,
    INFO_SUFFIXES,
    STRUCTURE_ID,
    Labels,
    fidelities_in,
    read_labels,
    split_key,
    write_labels,
)
from rung.data.readers.extxyz import Chunk, check_layout, frame_chunks, frame_text
from rung.data.readers.hdf5 import HDF5_SUFFIXES, Conformers, hdf5_frames, hdf5_range
from rung.data.structure import Structure
from rung.errors import DataError, one_of
from rung.storage import atomic_path

READING = "rung_reading"
"""The key of ``Structure.info`` that holds the :class:`Reading`; it is never written to a file."""

FARTHEST = 1.0e6
"""Å: no atom is this far from the origin; a coordinate beyond it is damage."""

_LOOKS_LIKE_A_LABEL = re.compile(r"energ|forc|stress|virial|gradient", re.IGNORECASE)
_ID = re.compile(rf'(?:^|\s){STRUCTURE_ID}=(?:"([^"\\]*)"|([^\s"]+))')
_PLAIN = {".xyz", ".extxyz"}


@dataclass(frozen=True)
class Reading:
    """What a file said of a frame beyond geometry and labels: what the doctor looks at.

    Parameters
    ----------
    source
        The file and the number of the frame in it, from 0: ``train.extxyz#17``.
    bare_keys
        Label keys without a fidelity that the frame carried, also those that ASE moved into a calculator.
    unread_keys
        Keys that look like labels but follow no convention that rung reads.
    fixed_atoms
        Indices of atoms that a constraint of the file holds.
    unfinished
        Whether the file ends within the last line of this frame, so that its last number may be cut.
    """

    source: str = ""
    bare_keys: tuple[str, ...] = ()
    unread_keys: tuple[str, ...] = ()
    fixed_atoms: tuple[int, ...] = ()
    unfinished: bool = False


def reading_of(structure: Structure) -> Reading:
    """Return what the file said beyond geometry and labels; nothing for a structure that came from no file."""
    found = structure.info.get(READING)
    return found if isinstance(found, Reading) else Reading()


def read_structures(
    paths: Path | str | Sequence[Path | str],
    *,
    fidelities: Sequence[str] | None = None,
    keys: Mapping[str, str] | None = None,
) -> tuple[Structure, ...]:
    """Read every frame of one file or of several.

    Labels stand under ``<fidelity>_energy`` and so on (see :mod:`rung.data.labels`), in eV and Å. Forces are taken as
    they stand in the file; constraints are recorded in the :class:`Reading` of a structure and never applied.

    Parameters
    ----------
    paths
        One path or several: extended XYZ (``.extxyz``, ``.xyz``, also ``.gz``), HDF5 in the layout of ANI-1x (``.h5``,
        ``.hdf5``; see :mod:`rung.data.readers.hdf5`), or any other format that ASE reads.
    fidelities
        Fidelities that at least one frame must label; None asks for none. Labels of others are kept.
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
        two geometries, or when no frame labels a fidelity that was asked for.
    """
    listed = listed_paths(paths)
    structures = tuple(iterate_structures(listed, keys=keys))
    _check_ids(structures)
    known = {name for structure in structures for name in structure.labels}
    for name in fidelities or ():
        if name not in known:
            where = ", ".join(str(path) for path in listed)
            raise DataError(f"{where}: {one_of(name, known, 'fidelity')}")
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
    """Yield each structure of a file with the place where its frame begins: a byte, or else its number."""
    number = -1
    for number, (place, atoms, unfinished) in enumerate(_frames(path)):
        yield place, _structure(atoms, path, number, keys, unfinished=unfinished)
    if number < 0:
        raise DataError(f"{path} holds no frames.")


def parsed_frame(content: bytes, path: Path, number: int, keys: Mapping[str, str]) -> Structure:
    """Return the structure of one frame of extended XYZ that was cut out of a file, which has been read before."""
    _, atoms, unfinished = next(iter(_parsed(path, Chunk((0,), 0, content))))
    return _structure(atoms, path, number, keys, unfinished=unfinished)


def conformer(path: Path, group: Conformers, place: int, number: int, keys: Mapping[str, str]) -> Structure:
    """Return the structure at one place of one group of an HDF5 file, the file's frame ``number``."""
    return _structure(hdf5_range(path, group, place, place + 1)[0], path, number, keys, unfinished=False)


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
    text = "".join(_as_text(structure) for structure in structures)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_plain(path: Path) -> bool:
    """Return whether a file is extended XYZ that is not compressed, by its name."""
    return path.suffix in _PLAIN


def _frames(path: Path) -> Iterator[tuple[int, Atoms, bool]]:
    """Yield where each frame begins, the frame, and whether the file may end within its last number."""
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file of frames.")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if is_plain(plain):
        for chunk in frame_chunks(path):
            yield from _parsed(path, chunk)
    else:
        found = hdf5_frames(path) if plain.suffix in HDF5_SUFFIXES else _ase_frames(path)
        yield from ((number, atoms, False) for number, atoms in enumerate(found))


def _parsed(path: Path, chunk: Chunk) -> Iterator[tuple[int, Atoms, bool]]:
    try:
        text = chunk.content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        place = (chunk.places or (0,))[0] + error.start
        raise DataError(f"{path} is not text (byte {place}); is it damaged, or another format?") from error
    check_layout(text, path, chunk.line)
    if not chunk.places:
        return  # white space at the end
    frames = _through_ase(path, io.StringIO(text), format="extxyz", properties_parser=_comment)
    cut = not text.endswith("\n")
    if len(frames) != len(chunk.places):
        raise DataError(
            f"{path}: ASE reads {len(frames)} frames after line {chunk.line} where {len(chunk.places)} are."
        )
    for place, atoms in zip(chunk.places, frames, strict=True):
        yield place, atoms, cut and place == chunk.places[-1]


def _ase_frames(path: Path) -> list[Atoms]:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    return _through_ase(path, path)


def _through_ase(path: Path, source: Any, **options: Any) -> list[Atoms]:
    try:
        found = ase.io.read(source, index=":", **options)
    except Exception as error:  # ASE's readers raise whatever the damage makes of them: ValueError, KeyError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read by ASE ({reason}); is it damaged, or another format?") from error
    return list(found) if isinstance(found, list) else [found]


def _comment(line: str) -> dict[str, Any]:
    """Parse a comment line as ASE does, but keep ``structure_id`` as it is spelt (007 is not 7)."""
    info: dict[str, Any] = key_val_str_to_dict(line)
    spelt = _ID.search(line)
    if spelt is not None and STRUCTURE_ID in info:
        info[STRUCTURE_ID] = spelt.group(1) if spelt.group(1) is not None else spelt.group(2)
    return info


def _structure(atoms: Atoms, path: Path, number: int, keys: Mapping[str, str], *, unfinished: bool) -> Structure:
    where = f"{path}, frame {number}"
    _check_geometry(atoms, where)
    results = atoms.calc.results if atoms.calc is not None else {}
    arrays = {key: value for key, value in atoms.arrays.items() if key not in ("numbers", "positions")}
    info = dict(atoms.info)
    bare = sorted({key for key in BARE_KEYS if key in info or key in arrays or key in results})
    labels = _renamed(_labels(info, arrays, len(atoms), where), keys, where)
    used = {key for key in (*info, *arrays) if split_key(key) is not None} | {*BARE_KEYS, STRUCTURE_ID}
    unread = sorted(key for key in {*info, *arrays} - used if _LOOKS_LIKE_A_LABEL.search(str(key)))
    reading = Reading(f"{path.name}#{number}", tuple(bare), tuple(unread), _fixed_atoms(atoms), unfinished)
    geometry = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain = {str(key): value for key, value in info.items() if key not in used}
    structure = Structure(geometry, _named(info.get(STRUCTURE_ID)), labels, {**plain, READING: reading})
    if structure.structure_id:
        return structure
    return Structure(geometry, f"geometry-{structure.geometry_hash[:16]}", labels, structure.info)


def _renamed(labels: dict[str, Labels], keys: Mapping[str, str], where: str) -> dict[str, Labels]:
    """Return labels under the names that fidelities have here instead of the keys that they have in the file."""
    names = {key: name for name, key in keys.items()}
    found = {names.get(key, key): known for key, known in labels.items()}
    if len(found) < len(labels):
        clash = sorted(name for name, key in keys.items() if name != key and name in labels and key in labels)
        raise DataError(f"{where} has labels of {clash[0]!r} under that name and under {keys[clash[0]]!r}.")
    return found


def _named(value: Any) -> str:
    """Return a ``structure_id`` as text; empty where there is none."""
    if value is None or value is True:
        return ""
    return " ".join(str(part) for part in np.ravel(value))


def _check_geometry(atoms: Atoms, where: str) -> None:
    if not len(atoms):
        raise DataError(f"{where} has no atoms.")
    if (atoms.numbers < 1).any():
        raise DataError(f"{where} holds an atom that is no element ({atoms.symbols[int(np.argmin(atoms.numbers))]}).")
    cell = atoms.cell.array
    if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
        raise DataError(f"{where} has a position or cell vector that is not a number.")
    if max(np.abs(atoms.positions).max(), np.abs(cell).max()) > FARTHEST:
        raise DataError(f"{where} has a coordinate beyond {FARTHEST:.0e} Å; the file is damaged or not in Å.")
    lengths = np.linalg.norm(cell, axis=1)
    if (lengths[atoms.pbc] < 1e-3).any():
        raise DataError(f"{where} is periodic along an axis without a cell vector.")
    spanned = cell[lengths > 0] / lengths[lengths > 0, None]
    if np.linalg.matrix_rank(spanned, tol=1e-6) < len(spanned):
        raise DataError(f"{where} has cell vectors that lie in one plane or line.")


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


def _fixed_atoms(atoms: Atoms) -> tuple[int, ...]:
    held = (FixAtoms, FixCartesian)
    found = {int(k) for one in atoms.constraints if isinstance(one, held) for k in np.ravel(one.index)}
    return tuple(sorted(found))


def _check_ids(structures: Sequence[Structure]) -> None:
    first: dict[str, Structure] = {}
    for structure in structures:
        other = first.setdefault(structure.structure_id, structure)
        if other.geometry_hash != structure.geometry_hash:
            here, there = reading_of(structure).source, reading_of(other).source
            raise DataError(f"structure_id {structure.structure_id!r} names two geometries, in {there} and {here}.")


def _as_text(structure: Structure) -> str:
    info: dict[str, Any] = {STRUCTURE_ID: structure.structure_id}
    arrays: dict[str, Any] = {}
    for name, labels in structure.labels.items():
        write_labels(labels, info, arrays, name)
    plain = {key: value for key, value in structure.info.items() if key != READING and key not in info}
    return frame_text(structure.atoms, {**plain, **info}, arrays, reading_of(structure).fixed_atoms)
