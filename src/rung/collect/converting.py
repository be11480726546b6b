"""``rung convert``: structures and labels of other files, in units that are stated, under rung's keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rung.collect.arrays import Columns, column, read_columns
from rung.collect.convert_settings import ConvertSettings
from rung.collect.readers.ase_codes import misread
from rung.collect.tensors import PER_VOLUME, TENSORS, stress_of
from rung.collect.units import ENERGY, LENGTH, STRESS
from rung.data.labels import STRUCTURE_ID, Array, Labels, empty_labels, split_key
from rung.data.readers import reader_of
from rung.data.readers.hdf5 import HEAVIEST
from rung.data.readers.reader import Frame
from rung.data.readers.structures import structure_of, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, StorageError, counted, one_of
from rung.fidelity import Fidelity
from rung.progress import SILENT, Progress

LABELS = ("energy", "energy_stderr", "forces", "forces_stderr", "gradient", *TENSORS)
GEOMETRY = ("numbers", "positions", "cell")
ARRAYS = (".npz", ".h5", ".hdf5")


@dataclass(frozen=True)
class Scales:
    """What one unit of a file is: of energy in eV, of length in Å, and of stress in eV/Å³."""

    energy: float = 1.0
    length: float = 1.0
    stress: float = 1.0


@dataclass(frozen=True)
class Converted:
    """What is written.

    Parameters
    ----------
    out
        The file.
    structures, energies, forces, stresses
        How many of each.
    left_out
        Labels of the fidelities whose keys were named that no key was named for: in what unit they are nobody said.
    """

    out: Path
    structures: int
    energies: int
    forces: int
    stresses: int
    left_out: tuple[str, ...] = ()


def convert(settings: ConvertSettings, *, progress: Progress = SILENT) -> Converted:
    """Write structures of any files with their labels under rung's keys.

    Parameters
    ----------
    settings
        Which files, what they call things, and in which units.
    progress
        Where long work reports.

    Raises
    ------
    ConfigError
        When the settings do not go together.
    DataError
        When a file or a frame cannot be used; nothing is written then.
    StorageError
        When a file is there already, or cannot be written.
    """
    scales = _checked(settings)
    if settings.out.exists():
        raise StorageError(f"{settings.out} is there already; choose another --out.")
    structures: list[Structure] = []
    left_out: set[str] = set()
    with progress.task("Converting", len(settings.paths)) as task:
        for path in settings.paths:
            structures += _structures(path, settings, scales, left_out)
            task.advance()
    labels = [structure.labelled(settings.fidelity) for structure in structures]
    done = Converted(
        settings.out,
        len(structures),
        sum(one.has_energy for one in labels),
        sum(one.has_forces for one in labels),
        sum(one.has_stress for one in labels),
        tuple(sorted(left_out)),
    )
    if absent := _absent(settings, done):
        raise DataError(
            f"No frame has a label ({', '.join(absent)}), so nothing is written; say what the file calls it by --keys."
            f"{_hint(settings)}"
        )
    write_structures(settings.out, structures)
    return done


def _absent(settings: ConvertSettings, done: Converted) -> list[str]:
    """Return what was asked for and no frame has: one key that is misspelt would go unseen beside the others."""
    found = {
        "energy": done.energies,
        "forces": done.forces,
        "gradient": done.forces,
        **dict.fromkeys(TENSORS, done.stresses),
    }
    if not settings.keys:
        return [] if any(found.values()) else ["a calculator of ASE"]
    nowhere = [name for meaning, name in settings.keys.items() if not found.get(meaning, True)]
    return nowhere or ([] if any(found.values()) else list(settings.keys.values()))


def _hint(settings: ConvertSettings) -> str:
    """Return what files hold in place of the labels that were asked for, as a sentence after another."""
    read = (path for path in settings.paths if not _of_arrays(path, settings))  # arrays are asked for one by one
    there = {key for path in read for frame in reader_of(path).frames(path) for key in _keys_of(frame)}
    for name in settings.keys.values():
        if name not in there:
            return f" {one_of(name, there, 'key')}"
    return f" There is: {', '.join(sorted(there)) or 'none'}."


def _keys_of(frame: Frame) -> Iterator[str]:
    """Yield what a frame has beyond its geometry, also what ASE moved into a calculator."""
    atoms = frame.atoms
    results = atoms.calc.results if atoms.calc is not None else {}
    yield from (str(key) for key in (*atoms.info, *atoms.arrays, *results) if key not in ("numbers", "positions"))


def _of_arrays(path: Path, settings: ConvertSettings) -> bool:
    return path.suffix.lower() in ARRAYS and bool(settings.keys)


def _checked(settings: ConvertSettings) -> Scales:
    Fidelity(settings.fidelity)
    if not settings.paths:
        raise DataError("No file was named.")
    known = (*LABELS, *GEOMETRY, STRUCTURE_ID)
    for meaning in settings.keys:
        if meaning not in known:
            raise ConfigError(one_of(meaning, known, "meaning of a key"))
    if {"forces", "gradient"} <= settings.keys.keys():
        raise ConfigError("--keys names forces and gradient; forces are less the gradient, so name one.")
    tensors = [name for name in TENSORS if name in settings.keys]
    if len(tensors) > 1:
        raise ConfigError(f"--keys names {' and '.join(tensors)}, which are one label; name one.")
    if (settings.stress_unit is None) == bool(set(tensors) & set(PER_VOLUME)):
        raise ConfigError(
            f"--keys with {tensors[0]} needs --stress-unit: no file says its own units."
            if settings.stress_unit is None
            else "--stress-unit is of stress or pressure under --keys, and none is named; a virial is in --energy-unit."
        )
    stated = settings.energy_unit is not None and settings.length_unit is not None
    if settings.keys and not stated:
        raise ConfigError("--keys needs --energy-unit and --length-unit: no file says its own units.")
    if stated and not settings.keys:
        raise ConfigError("Units are of labels under --keys; what ASE's readers give is in eV and Å already.")
    if settings.energy_unit is None or settings.length_unit is None:
        return Scales()
    stress = 1.0 if settings.stress_unit is None else STRESS[settings.stress_unit]
    return Scales(ENERGY[settings.energy_unit], LENGTH[settings.length_unit], stress)


def _structures(path: Path, settings: ConvertSettings, scales: Scales, left_out: set[str]) -> Iterator[Structure]:
    if _of_arrays(path, settings):
        yield from _from_arrays(path, settings, scales)
        return
    for name in GEOMETRY:
        if name in settings.keys:
            raise ConfigError(f"--keys names {name}, and {path} is no file of arrays ({', '.join(ARRAYS)}).")
    if not settings.keys and (why := misread(path)):
        raise DataError(f"{path} {why}; rung collect says what it can take of it.")
    for number, frame in enumerate(reader_of(path).frames(path)):
        where = f"{path}, frame {number}"
        structure = _without(structure_of(frame, path, number, {}), settings.keys)
        left_out |= _beside(frame, settings.keys)
        values = _of_keys(frame, settings.keys, where) if settings.keys else _of_calculator(frame)
        yield _labelled(structure, values, settings.fidelity, scales, where)


def _of_calculator(frame: Frame) -> dict[str, Any]:
    results = frame.atoms.calc.results if frame.atoms.calc is not None else {}
    return {name: results[name] for name in ("energy", "forces", "stress") if results.get(name) is not None}


def _of_keys(frame: Frame, keys: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return what a frame says under the user's keys, which ASE may have moved into a calculator."""
    atoms = frame.atoms
    results = atoms.calc.results if atoms.calc is not None else {}
    found: dict[str, Any] = {}
    for meaning, name in keys.items():
        place = next((one for one in (atoms.info, atoms.arrays, results) if name in one), None)
        if place is not None:
            found[meaning] = place[name]
        elif meaning == STRUCTURE_ID:
            raise DataError(f"{where} has no {name}.")
    return found


def _beside(frame: Frame, keys: Mapping[str, str]) -> set[str]:
    """Return the labels of a frame that have a prefix of ``keys`` and are none of these."""
    taken = _prefixes(keys)
    found = {key: split_key(str(key)) for key in (*frame.atoms.info, *frame.atoms.arrays)}
    return {key for key, pair in found.items() if pair is not None and pair[0] in taken} - set(keys.values())


def _prefixes(keys: Mapping[str, str]) -> set[str]:
    """Return the fidelities that the user's keys look like labels of."""
    return {pair[0] for pair in map(split_key, keys.values()) if pair is not None}


def _without(structure: Structure, keys: Mapping[str, str]) -> Structure:
    """Return a structure without the labels under ``keys``, which are in other units than rung took them for."""
    taken = _prefixes(keys)
    return replace(structure, labels={name: labels for name, labels in structure.labels.items() if name not in taken})


def _labelled(structure: Structure, values: Mapping[str, Any], fidelity: str, scales: Scales, where: str) -> Structure:
    """Return a structure with the labels that ``values`` are."""
    if structure.labelled(fidelity).says_anything:
        raise DataError(f"{where} has labels of {fidelity} already; give another --fidelity.")
    count = len(structure)
    force = scales.energy / scales.length
    forces = _shaped(values, "forces", (count, 3), where) * force
    if "gradient" in values:
        forces = -_shaped(values, "gradient", (count, 3), where) * force
    labels = replace(
        empty_labels(count),
        energy=float(_shaped(values, "energy", (), where)) * scales.energy,
        energy_stderr=float(_shaped(values, "energy_stderr", (), where)) * scales.energy,
        forces=forces,
        forces_stderr=_shaped(values, "forces_stderr", (count, 3), where) * force,
        stress=stress_of(
            values,
            lambda name, shape: _shaped(values, name, shape, where),
            structure.atoms,
            stress=scales.stress,
            energy=scales.energy,
            where=where,
        ),
    )
    name = str(values[STRUCTURE_ID]) if STRUCTURE_ID in values else structure.structure_id
    all_labels: dict[str, Labels] = dict(structure.labels)
    if labels.says_anything:
        all_labels[fidelity] = labels
    return replace(structure, structure_id=name, labels=all_labels)


def _shaped(values: Mapping[str, Any], name: str, shape: tuple[int, ...], where: str) -> Array:
    """Return a label as numbers, NaN where there is none."""
    if name not in values:
        return np.full(shape, np.nan)
    if np.asarray(values[name]).dtype.kind == "b":
        raise DataError(f"{where}: {name} is a word without a value, which ASE reads as true, and no number.")
    try:
        array = np.asarray(values[name], dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {name} is no number.") from error
    if array.size != int(np.prod(shape)):
        raise DataError(f"{where}: {name} has shape {array.shape}, not {shape}.")
    if np.isinf(array).any():
        raise DataError(f"{where}: {name} is infinite.")
    return array.reshape(shape)


def _from_arrays(path: Path, settings: ConvertSettings, scales: Scales) -> Iterator[Structure]:
    """Yield the structures of a file of arrays, the frames along the first axis."""
    table = read_columns(path)
    for needed in ("numbers", "positions"):
        if needed not in settings.keys:
            raise ConfigError(
                f"--keys must name the array of {needed} in {path}; there is: {', '.join(sorted(table))}."
            )
    chosen = {meaning: column(path, table, name) for meaning, name in settings.keys.items()}
    count = _frames(path, chosen, settings.keys)
    for number in range(count):
        where = f"{path}, frame {number}"
        values = {name: array[number] for name, array in chosen.items() if name not in GEOMETRY}
        if isinstance(values.get(STRUCTURE_ID), bytes):
            values[STRUCTURE_ID] = values[STRUCTURE_ID].decode()
        present, atoms = _atoms(chosen, number, scales, where)
        for name in ("forces", "gradient", "forces_stderr"):
            if name in values and np.ndim(values[name]) == 2:
                given, due = np.shape(values[name]), (len(present), 3)
                if given != due:
                    raise DataError(f"{where}: {name} has shape {given}, not {due}, as the positions.")
                values[name] = values[name][present]
        structure = structure_of(Frame(number, atoms), path, number, {})
        yield _labelled(structure, values, settings.fidelity, scales, where)


def _frames(path: Path, chosen: Columns, names: Mapping[str, str]) -> int:
    """Return how many frames there are; refuse arrays that do not have as many."""
    positions = chosen["positions"]
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise DataError(f"{path}: {names['positions']} has shape {positions.shape}, and should be frames × atoms × 3.")
    count, atoms = positions.shape[:2]
    shared: Sequence[tuple[int, ...]] = ((atoms,), (3, 3))
    for meaning, array in chosen.items():
        once = meaning in ("numbers", "cell") and array.shape in shared
        if not once and (array.ndim == 0 or len(array) != count):
            raise DataError(
                f"{path}: {names[meaning]} has shape {array.shape}, and the positions are of {counted(count, 'frame')}."
            )
    return count


def _atoms(chosen: Columns, number: int, scales: Scales, where: str) -> tuple[NDArray[np.bool_], Atoms]:
    """Return which places of a frame hold atoms, for zeros fill small molecules up, and these atoms."""
    numbers = chosen["numbers"]
    numbers = np.asarray(numbers if numbers.ndim == 1 else numbers[number])
    if numbers.dtype.kind not in "iu":
        raise DataError(f"{where}: atomic numbers are of type {numbers.dtype}, and should be whole numbers.")
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= HEAVIEST:
        raise DataError(f"{where}: {numbers.max()} or {numbers.min()} is no atomic number.")
    present = numbers > 0
    positions = scales.length * np.asarray(chosen["positions"][number], dtype=float)
    atoms = Atoms(numbers[present], positions=positions[present])
    if "cell" in chosen:
        cell = chosen["cell"]
        atoms.set_cell(scales.length * np.asarray(cell if cell.ndim == 2 else cell[number], dtype=float))
        atoms.set_pbc(True)
    return present, atoms
