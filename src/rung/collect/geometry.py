"""Whether an output is of a structure: the same atoms in the same order at the same places."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation

from rung.data.labels import Array
from rung.data.neighbours import open_axes

CLOSE = 0.01
"""Å: outputs print positions with few decimals, and frames round them."""


@dataclass(frozen=True)
class Likeness:
    """How an output's geometry lies to a structure's.

    Parameters
    ----------
    distance
        The largest distance of an atom from its place, Å; infinite for other atoms, another order or another cell.
    turned
        Whether the molecule had to be turned, so that forces would point elsewhere.
    """

    distance: float
    turned: bool = False


def likeness(output: Atoms, structure: Atoms) -> Likeness:
    """Return how alike two geometries are; shifts do not count, nor for molecules turns."""
    if not np.array_equal(output.numbers, structure.numbers):
        return Likeness(np.inf)
    shifted = np.asarray(output.positions) - np.asarray(structure.positions)
    if structure.pbc.any():
        return Likeness(_in_cell(shifted, output, structure))
    # a molecule in the box of a periodic code has been wrapped, perhaps
    if output.pbc.all() and output.cell.rank == 3:
        boxed = structure.copy()
        boxed.set_cell(output.cell)
        boxed.set_pbc(True)
        return Likeness(_in_cell(shifted, output, boxed))
    moved = float(np.linalg.norm(shifted - shifted.mean(axis=0), axis=1).max())
    if moved < CLOSE:
        return Likeness(moved)
    aligned = output.copy()
    minimize_rotation_and_translation(structure, aligned)
    return Likeness(float(np.linalg.norm(aligned.positions - structure.positions, axis=1).max()), turned=True)


def _in_cell(shifted: Array, output: Atoms, structure: Atoms) -> float:
    if output.cell.rank < 3 or np.abs(output.cell.array - structure.cell.array)[structure.pbc].max() > CLOSE:
        return float("inf")
    cell = open_axes(structure)  # a slab may have no third vector
    fractions = np.linalg.solve(cell.T, (shifted - shifted[0]).T).T
    fractions -= np.where(structure.pbc, np.round(fractions), 0.0)
    places = fractions @ cell
    return float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
