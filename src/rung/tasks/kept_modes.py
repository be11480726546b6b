"""Modes that a task has found, kept in its folder: the same structure with the same settings has the same ones."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.identity import beyond_geometry, geometry_key
from rung.evaluate.paths.vibrations import Vibrations, VibrationSettings, probe_of, same_row, vibrations
from rung.progress import Progress
from rung.results.arrays import COUNT, REAL, TEXT, ArrayKind, DamagedArraysError, read_arrays
from rung.storage import atomic_path, content_hash, set_aside


def kept_modes(
    atoms: Atoms, calculator: Any, settings: VibrationSettings, file: Path, progress: Progress
) -> Vibrations:
    """Return the modes of ``atoms``, from ``file`` where they are its.

    Raises
    ------
    DataError
        When the file has those of another potential: the fingerprint of a user's function does not know its code.
    """
    key = content_hash(settings.model_dump_json(), geometry_key(atoms), *beyond_geometry(atoms))
    probe = probe_of(atoms, calculator, settings)
    if file.exists() and (kept := _read_modes(file, key, probe)) is not None:
        return kept
    rows = file.with_suffix(".rows.npz")
    modes = vibrations(atoms, calculator, settings, state=rows, progress=progress)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            key=key,
            quanta=modes.quanta,
            modes=modes.modes,
            n_rigid=modes.n_rigid,
            floor=modes.floor,
            probe=probe,
        )
    return modes


def _read_modes(file: Path, key: str, probe: Array) -> Vibrations | None:
    """Return the modes that a file holds; None where they are of another key, or damaged: then it is set aside."""
    try:
        stored = read_arrays(file, _MODES)
    except DamagedArraysError as error:
        set_aside(file, error.reason)
        return None
    if str(stored["key"]) != key:
        return None
    if "probe" in stored and not same_row(stored["probe"], probe):
        raise DataError(f"{file} holds modes of another potential; choose another folder or remove it.")
    return Vibrations(stored["quanta"], stored["modes"], int(stored["n_rigid"]), float(stored["floor"]))


_MODES = {
    "key": TEXT,
    "quanta": ArrayKind("f", ("modes",), finite=True),
    "modes": ArrayKind("f", ("modes", "n", 3), finite=True),
    "n_rigid": COUNT,
    "floor": REAL,
    "probe": ArrayKind("f", ("k",), needed=False, finite=True),
}
