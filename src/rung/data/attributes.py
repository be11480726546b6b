"""What a structure has beyond its geometry that physics needs: masses, charges, magnetic moments, its state."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.labels import Array
from rung.errors import DataError

MASSES = "masses"
CHARGES = "initial_charges"
MOMENTS = "initial_magmoms"

ARRAYS = (MASSES, CHARGES, MOMENTS, "tags")
"""Columns of a file that a calculator or a task of ASE reads, under ASE's names."""

IMAGE_FLAGS = "image_flags"
"""Column of whole lattice vectors by which an atom was wrapped, three a row; tasks never write it."""

UNWRAPPED = "unwrapped_positions"
"""Key of ``info`` that says that positions run on beyond the cell."""

STATE = ("charge", "spin", "total_charge", "total_spin", "multiplicity", "spin_multiplicity")
"""Keys of ``info`` under which calculators look for the state of the electrons."""

_SAME = 1e-6


def attributes_in(arrays: Mapping[str, Any], n_atoms: int, where: str) -> dict[str, Array]:
    """Return the columns that physics needs from the columns of a frame.

    Parameters
    ----------
    arrays
        Columns by name, as :func:`ase.io.read` gives them; ``mass`` is taken for ``masses``.
    n_atoms
        Rows.
    where
        What messages call the frame.

    Raises
    ------
    DataError
        When a column has another shape, holds no numbers, or a mass is not positive.
    """
    columns = {MASSES: arrays["mass"]} if "mass" in arrays and MASSES not in arrays else {}
    columns.update({name: arrays[name] for name in ARRAYS if name in arrays})
    if flags := _image_flags(arrays, n_atoms, where):
        columns[IMAGE_FLAGS] = flags[0]
    found: dict[str, Array] = {}
    for name, column in columns.items():
        values = np.asarray(column)
        vectors = name in (MOMENTS, IMAGE_FLAGS) and values.shape == (n_atoms, 3)
        if values.dtype.kind not in "iuf" or not (values.shape == (n_atoms,) or vectors):
            raise DataError(f"{where}: the column {name} is not one number for each atom.")
        if not np.isfinite(values).all() or (name == MASSES and not (values > 0).all()):
            raise DataError(f"{where}: the column {name} holds a value that is not possible for an atom.")
        found[name] = values
    return found


def _image_flags(arrays: Mapping[str, Any], n_atoms: int, where: str) -> list[Array]:
    """Return the image flags of a frame as the only entry of a list; empty where it has none."""
    if IMAGE_FLAGS in arrays:
        flags = np.asarray(arrays[IMAGE_FLAGS])
    elif all(name in arrays for name in ("ix", "iy", "iz")):
        flags = np.column_stack([arrays[name] for name in ("ix", "iy", "iz")])
    else:
        return []
    if flags.shape != (n_atoms, 3) or flags.dtype.kind not in "iuf" or (np.rint(flags) != flags).any():
        raise DataError(f"{where}: image flags are three whole numbers for each atom.")
    return [flags]


def state_of(atoms: Atoms) -> dict[str, Any]:
    """Return what ``info`` says of the state of the electrons, by its key."""
    return {key: atoms.info[key] for key in STATE if key in atoms.info}


def columns_of(atoms: Atoms) -> dict[str, Array]:
    """Return the columns that physics needs and that ``atoms`` has beyond the geometry, by ASE's name."""
    return {name: atoms.arrays[name] for name in ARRAYS if name in atoms.arrays}


def unlike(first: Atoms, second: Atoms) -> str:
    """Return in what two structures of the same atoms differ that a path between them cannot change; empty where equal.

    Notes
    -----
    Initial charges and magnetic moments of single atoms are a first guess, which may differ: their sums may not.
    """
    if not np.allclose(first.get_masses(), second.get_masses(), rtol=0, atol=_SAME):
        return "masses"
    for key in STATE:
        if first.info.get(key) != second.info.get(key):
            return key
    if abs(first.get_initial_charges().sum() - second.get_initial_charges().sum()) > _SAME:
        return "the sum of initial charges"
    return ""


def is_usual(key: str, value: Any) -> bool:
    """Return whether what a frame says under ``key`` is that of a neutral singlet, whichever way spins are counted."""
    return bool(np.isscalar(value) and value in ((0,) if "charge" in key else (0, 1)))


def unusual(atoms: Atoms) -> str:
    """Return what of the electrons' state ``atoms`` says beyond a neutral singlet, for people; empty where nothing."""
    for key, value in state_of(atoms).items():
        if not is_usual(key, value):
            return f"{key}={value}"
    for name, words in ((CHARGES, "initial charges"), (MOMENTS, "initial magnetic moments")):
        if name in atoms.arrays and np.abs(atoms.arrays[name]).max() > _SAME:
            return words
    return ""


def key_of(atoms: Atoms) -> tuple[Any, ...]:
    """Return what physics needs beyond the geometry as parts of a hash; empty where ``atoms`` has nothing of it."""
    columns = {name: values for name, values in columns_of(atoms).items() if name != "tags" and values.any()}
    state = state_of(atoms)
    if not columns and not state:
        return ()
    return tuple(sorted((key, str(value)) for key, value in state.items())), tuple(
        (name, np.asarray(values, dtype=float)) for name, values in sorted(columns.items())
    )
