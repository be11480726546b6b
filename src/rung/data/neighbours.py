"""Lists of neighbours, also where atoms are far apart: emptiness between them costs nothing."""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from rung.data.labels import Array
from rung.errors import DataError

Indices = NDArray[np.int64]

_MOST_BINS = 2.0**30
"""Boxes of one cutoff into which a cell is divided; the library counts them in 32 bits."""

_FEW = 50
"""Atoms without images whose distances are quicker computed at once than listed."""

ONE_PLACE = 1.0e-6
"""Å: between nuclei that are nearer a model finds no direction, and gives no numbers."""


def open_axes(atoms: Atoms) -> Array:
    """Return the cell with directions of 1 Å, orthogonal to all others, where it is not periodic, shape ``(3, 3)``."""
    pbc = np.asarray(atoms.pbc, dtype=bool)
    axes = np.array(atoms.cell.array, dtype=float)
    if not pbc.any():
        return np.eye(3)
    if not pbc.all():
        axes[~pbc] = np.linalg.svd(axes[pbc])[2][pbc.sum() :]
    return axes


def sorted_neighbours(atoms: Atoms, cutoff: float) -> tuple[Indices, Indices]:
    """Return edges ``(2, M)`` and their lattice translations ``(M, 3)`` within ``cutoff`` Å, in a fixed order.

    Directions that are not periodic never contribute images, whatever their cell vectors are.

    Raises
    ------
    DataError
        When two atoms are at one place, or the cell is so large beside the cutoff that it cannot be divided.
    """
    sender, receiver, translation, length = _listed("ijSd", atoms, cutoff)
    if len(length) and length.min() < ONE_PLACE:
        pair = sorted((int(sender[length.argmin()]), int(receiver[length.argmin()])))
        raise DataError(
            f"The structure {atoms.get_chemical_formula()} has atoms {pair[0]} and {pair[1]} at one place, where no "
            "force has a direction; take one of them out, or move it."
        )
    order = np.lexsort((*translation.T[::-1], receiver, sender))
    return np.stack([sender, receiver])[:, order].astype(np.int64), translation[order].astype(np.int64)


def neighbour_lengths(atoms: Atoms, cutoff: float) -> tuple[Indices, Array]:
    """Return edges ``(2, M)`` and their lengths, Å, shape ``(M,)``: each once or twice, in no order.

    Errors are those of the sorted ones, but that two atoms may be at one place.
    """
    if len(atoms) <= _FEW and not atoms.pbc.any():
        length = pdist(atoms.positions)
        near = length < cutoff
        return _pairs_of(len(atoms))[:, near], length[near]
    sender, receiver, length = _listed("ijd", atoms, cutoff)
    return np.stack([sender, receiver]), length


@lru_cache(maxsize=64)
def _pairs_of(count: int) -> Indices:
    return np.stack(np.triu_indices(count, 1))


def neighbour_vectors(atoms: Atoms, cutoff: float) -> tuple[Indices, Indices, Array]:
    """Return senders, ascending, and receivers ``(M,)``, and the vectors from one to the other, Å, ``(M, 3)``."""
    sender, receiver, vectors = _listed("ijD", atoms, cutoff)
    order = np.argsort(sender, kind="stable")
    return sender[order].astype(np.int64), receiver[order].astype(np.int64), vectors[order]


def _listed(quantities: str, atoms: Atoms, cutoff: float) -> tuple[NDArray[Any], ...]:
    positions = np.asarray(atoms.positions, dtype=float)
    pbc = np.asarray(atoms.pbc, dtype=bool)
    cell = open_axes(atoms)
    # matscipy bins atoms by the cell, so a direction without images needs a cell that holds every atom;
    # the translations are zero there, so the vectors of the edges do not know of it.
    for axis in np.flatnonzero(~pbc):
        along = _without_gaps(positions @ cell[axis], cutoff)
        extent = np.ptp(along) if len(along) else 0.0
        middle = 0.5 * (along.max() + along.min()) if len(along) else 0.0
        size = extent + 2.0 * cutoff + 1.0
        positions = positions + np.outer(along - middle + 0.5 * size - positions @ cell[axis], cell[axis])
        cell[axis] *= size
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    if np.maximum(heights / cutoff, 1.0).prod() > _MOST_BINS:
        edges = " × ".join(f"{height:.4g}" for height in heights)
        raise DataError(
            f"The structure {atoms.get_chemical_formula()} has a cell of {edges} Å, too large and empty to list "
            f"neighbours within {cutoff:g} Å; take a smaller cell, or none."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Ratio of simulation cell size to cutoff", category=RuntimeWarning)
        listed: tuple[NDArray[Any], ...] = neighbour_list(
            quantities, positions=positions, cell=cell, pbc=pbc, cutoff=float(cutoff)
        )
    return listed


def _without_gaps(along: Array, cutoff: float) -> Array:
    """Return coordinates with gaps that no neighbours bridge cut down to one that they cannot bridge either."""
    order = np.argsort(along)
    gaps = np.diff(along[order])
    spare = np.maximum(gaps - (cutoff + 1.0), 0.0)
    if not spare.any():
        return along
    shift = np.empty(len(along))
    shift[order] = np.concatenate([[0.0], np.cumsum(spare)])
    return np.asarray(along - shift)
