"""Geometries as a model should see them: near the origin."""

import numpy as np
from ase import Atoms

FAR = 100.0
"""Å: beyond it a position in float32 is known to 4e-6 Å at best, and forces lose their last digits."""


def near_origin(atoms: Atoms) -> Atoms:
    """Return the same matter with its atoms in the cell and its centre at the origin.

    Models subtract positions after they are cast to their type of numbers, so what is far from the origin loses its
    digits. Lattice translations of atoms along periodic directions and a shift of everything change no energy, force
    or stress; both are done in float64. What is within :data:`FAR` of the origin is returned as it is.
    """
    positions = np.asarray(atoms.positions, dtype=float)
    if not len(positions) or np.abs(positions).max() <= FAR:
        return atoms
    cell = np.array(atoms.cell.complete().array, dtype=float)
    scaled = np.linalg.solve(cell.T, positions.T).T
    shifts = np.where(np.asarray(atoms.pbc, dtype=bool), np.floor(scaled), 0.0)
    wrapped = positions - shifts @ cell
    return Atoms(numbers=atoms.numbers, positions=wrapped - wrapped.mean(axis=0), cell=atoms.cell, pbc=atoms.pbc)
