"""What relaxed frames cannot tell: there one level's forces are rests of a relaxation, and its energies hardly change.

Rests have any sign and any size below the relaxation's limit, whatever another level says of the same atoms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.data.structure import Structure

STILL = 0.05
"""eV/Å, r.m.s.: below it a frame is relaxed, and an exact zero may be symmetry."""

FOLLOWS = 0.8
"""Correlation from which on small forces are of another unit: rests of relaxations do not follow another level."""

FRAMES = 8
"""Small forces of fewer frames follow another level by chance."""

CHANGE = 5.0e-3
"""eV/√atom, r.m.s.: energies of frames at one minimum change less, and those of atoms at 100 K twice as much."""


def still(forces: Sequence[Array]) -> NDArray[np.bool_]:
    """Return in which frames the forces are those of a relaxed frame; NaN is no force."""
    return np.array([_rms(one) < STILL for one in forces], dtype=bool)


def at_rest(structure: Structure) -> bool:
    """Return whether a structure is relaxed at any level."""
    return bool(still([labels.forces for labels in structure.labels.values()]).any())


def telling_forces(x: Sequence[Array], y: Sequence[Array]) -> tuple[Array, Array]:
    """Return forces of two levels without the frames that are relaxed at one of them, flattened.

    Forces of a large unit are small numbers too; they stay, for they follow the other level's.

    Parameters
    ----------
    x, y
        Forces of each frame at one level and at the other, eV/Å, shape ``(n, 3)``.
    """
    relaxed = still(x) | still(y)
    small = np.flatnonzero(relaxed).tolist()
    if len(small) >= FRAMES and _follow(_joined(x, small), _joined(y, small)):
        relaxed[:] = False
    kept = np.flatnonzero(~relaxed).tolist()
    return _joined(x, kept), _joined(y, kept)


def least_change(structures: Sequence[Structure]) -> float:
    """Return the r.m.s. change of energies, eV, below which the structures may all be relaxed to one minimum."""
    return CHANGE * float(np.sqrt(np.mean([len(structure) for structure in structures])))


def _follow(x: Array, y: Array) -> bool:
    known = np.isfinite(x) & np.isfinite(y)
    size = float(np.linalg.norm(x[known]) * np.linalg.norm(y[known]))
    return size > 0.0 and float(x[known] @ y[known]) > FOLLOWS * size


def _joined(forces: Sequence[Array], places: Sequence[int]) -> Array:
    return np.concatenate([np.empty(0), *(np.ravel(forces[k]) for k in places)])


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else np.nan
