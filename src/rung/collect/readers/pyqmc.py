"""PyQMC: HDF5 with a flat dataset for each quantity, a row for each block; Hartree.

``energytotal`` is the energy. DMC alone has ``e_trial`` and ``esigma``, and ``weight``, by which its own estimate
averages blocks (``estimate_energy`` in pyqmc/method/dmc.py); ``weights`` are those of the last walkers, in single
precision, and no average. A file that exists is gone on with in silence, under whatever time step.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rung.collect.hdf5 import SIGNATURE, opened
from rung.collect.output import Series
from rung.collect.readers.reader import OutputReader
from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.units import HARTREE

ENERGY, BLOCK, OLD_BLOCK, WEIGHT, WALKERS = "energytotal", "block", "step", "weight", "nconfig"
STEPS, TIME_STEP, DIFFUSION = "nsteps_per_block", "tstep", ("e_trial", "esigma")

_REAL = 1e-6
"""The largest imaginary part of an energy, as a part of it, that is rounding."""


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is HDF5 with energies of blocks.

    Raises
    ------
    DataError
        When it is HDF5 and cannot be opened.
    MissingExtraError
        When it is HDF5 and h5py is not installed.
    """
    if not head.startswith(SIGNATURE):
        return False
    with opened(path) as file:
        return ENERGY in file and (BLOCK in file or OLD_BLOCK in file)


def read(path: Path) -> Series:
    """Read a file.

    Raises
    ------
    DataError
        When it is damaged, holds two runs or two time steps, or energies that are not finite.
    MissingExtraError
        When h5py is not installed.
    """
    with opened(path) as file:
        names = [name for name in (ENERGY, BLOCK, OLD_BLOCK, WEIGHT, WALKERS, STEPS, TIME_STEP) if name in file]
        table = {name: np.asarray(file[name]) for name in names}
        diffusion = any(name in file for name in DIFFUSION)
    rows, notes = _whole(path, table)
    energies, rounding = _energies(path, rows[ENERGY])
    _require_one_run(path, rows)
    weights = np.ones(len(energies))
    for name in (WEIGHT if diffusion else WALKERS, STEPS):
        weights = weights * rows.get(name, np.ones(len(energies)))
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise DataError(f"{path}: a block has no weight; the walkers are gone, or the file is damaged.")
    return Series(path, "PyQMC", "DMC" if diffusion else "VMC", HARTREE * energies, weights, notes=(*notes, *rounding))


def _whole(path: Path, table: dict[str, Any]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return as many rows as every dataset has, which are written one after the other."""
    table = {name: values for name, values in table.items() if values.ndim == 1}
    if ENERGY not in table:
        raise DataError(f"{path}: {ENERGY} is not one number a block.")
    count = min(len(values) for values in table.values())
    if count == 0:
        raise DataError(f"{path} holds no block yet: the run has not finished its first, or it failed.")
    longest = max(len(values) for values in table.values())
    notes = (
        (f"its last {counted(longest - count, 'block is', 'blocks are')} not whole and left out: the run was killed",)
        if longest > count
        else ()
    )
    return {name: values[:count] for name, values in table.items()}, notes


def _energies(path: Path, values: Array) -> tuple[Array, tuple[str, ...]]:
    """Return energies as real double precision, and what is to be said where they were not."""
    if not np.isfinite(values).all():
        block = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"{path}, block {block}: {ENERGY} is {values[block]}; the run diverged, its mean says nothing.")
    if np.iscomplexobj(values) and np.abs(values.imag.mean()) > _REAL * np.abs(values.real).mean():
        error = values.imag.std() / np.sqrt(len(values))
        if abs(values.imag.mean()) > 5.0 * error:
            raise DataError(f"{path}: the mean of {ENERGY} has an imaginary part of {values.imag.mean():.2g} Hartree.")
    real = np.ascontiguousarray(values.real)
    if real.dtype.itemsize >= np.dtype(float).itemsize:
        return real.astype(float), ()
    step = HARTREE * float(np.spacing(np.abs(real).max()))
    return real.astype(float), (f"energies are in {real.dtype}, each rounded to {step:.1g} eV",)


def _require_one_run(path: Path, rows: dict[str, Array]) -> None:
    blocks = rows[BLOCK if BLOCK in rows else OLD_BLOCK]
    back = np.flatnonzero(np.diff(blocks) <= 0)
    if len(back):
        at = int(back[0]) + 1
        raise DataError(f"{path}: block {blocks[at]} follows block {blocks[at - 1]}, so two runs stand in one file.")
    steps = rows.get(TIME_STEP)
    if steps is not None and np.ptp(steps) > 0:
        at = int(np.flatnonzero(np.diff(steps))[0]) + 1
        raise DataError(
            f"{path}: the time step is {steps[0]:g} before block {blocks[at]} and {steps[at]:g} from there, for PyQMC "
            "went on with a file that was there; run each time step into a file of its own."
        )


READER = OutputReader(kind="PyQMC HDF5", suffixes=(), recognises=recognises, read=read)
