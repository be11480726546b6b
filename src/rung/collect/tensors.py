"""Stress of other files, under three names: stress, pressure of the other sign, and virial, which is of a volume."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.labels import Array, voigt
from rung.errors import DataError

PER_VOLUME = ("stress", "pressure")
"""What is in a unit of its own; a virial is in that of energies."""

TENSORS = (*PER_VOLUME, "virial")

Shaped = Callable[[str, tuple[int, ...]], Array]
"""Returns a label as numbers of a shape."""


def stress_of(
    values: Mapping[str, Any], shaped: Shaped, atoms: Atoms, *, stress: float, energy: float, where: str
) -> Array:
    """Return the stress of a frame with ASE's sign, eV/Å³, shape ``(6,)``; NaN where none of the names is there.

    A pressure is less the stress; a virial is less the stress times the volume of the cell.

    Parameters
    ----------
    values
        What the frame says, by meaning.
    shaped
        Makes numbers of one.
    atoms
        The frame: its cell has the volume.
    stress, energy
        What one unit of the file is, eV/Å³ and eV.
    where
        The file and frame, for errors.

    Raises
    ------
    DataError
        When nine numbers are no symmetric tensor, or a virial has no volume.
    """
    name = next((one for one in TENSORS if one in values), None)
    if name is None:
        return np.full(6, np.nan)
    scale = {"stress": stress, "pressure": -stress, "virial": -energy}[name]
    if name == "virial":
        volume = abs(float(np.linalg.det(atoms.cell.array)))
        if not volume > 0.0:
            raise DataError(
                f"{where}: a virial is less the stress times the volume of the cell, and the frame has none; leave "
                "virial out of --keys."
            )
        scale /= volume
    if np.size(values[name]) != 9:
        return shaped(name, (6,)) * scale
    try:
        return voigt(shaped(name, (3, 3)) * scale, name)
    except ValueError as error:
        raise DataError(f"{where}: {error}.") from error
