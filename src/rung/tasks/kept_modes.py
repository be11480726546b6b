"""Modes that a task has found, kept in its folder: the same structure with the same settings has the same ones."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.evaluate.identity import beyond_geometry, geometry_key
from rung.evaluate.paths.vibrations import Vibrations, VibrationSettings, vibrations
from rung.progress import Progress
from rung.results.arrays import COUNT, REAL, TEXT, ArrayKind, DamagedArraysError, read_arrays
from rung.storage import atomic_path, content_hash, set_aside


def kept_modes(
    atoms: Atoms, calculator: Any, settings: VibrationSettings, file: Path, progress: Progress
) -> Vibrations:
    """Return the modes of ``atoms``, from ``file`` where they are its."""
    key = content_hash(settings.model_dump_json(), geometry_key(atoms), *beyond_geometry(atoms))
    if file.exists() and (kept := _read_modes(file, key)) is not None:
        return kept
    rows = file.with_suffix(".rows.npz")
    modes = vibrations(atoms, calculator, settings, state=rows, progress=progress)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, key=key, quanta=modes.quanta, modes=modes.modes, n_rigid=modes.n_rigid, floor=modes.floor)
    return modes


def _read_modes(file: Path, key: str) -> Vibrations | None:
    """Return the modes that a file holds; None where they are of another key, or damaged: then it is set aside."""
    try:
        stored = read_arrays(file, _MODES)
    except DamagedArraysError as error:
        set_aside(file, error.reason)
        return None
    if str(stored["key"]) != key:
        return None
    return Vibrations(stored["quanta"], stored["modes"], int(stored["n_rigid"]), float(stored["floor"]))


_MODES = {
    "key": TEXT,
    "quanta": ArrayKind("f", ("modes",), finite=True),
    "modes": ArrayKind("f", ("modes", "n", 3), finite=True),
    "n_rigid": COUNT,
    "floor": REAL,
}
