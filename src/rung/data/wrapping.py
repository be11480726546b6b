"""Geometries as a model should see them: near the origin, and with cells that matter can have."""

import numpy as np
from ase import Atoms

from rung.errors import DataError

FAR = 100.0
"""Å: beyond it a position in float32 is known to 4e-6 Å at best, and forces lose their last digits."""

CLOSEST_IMAGE = 0.5
"""Å: no atom is this near to its own image, so a smaller cell is damaged or not in Å."""

SMALLEST_VOLUME = 0.5
"""Å³ an atom: hydrogen at the centre of Jupiter has more, and lists of neighbours grow with its inverse."""


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


def check_cell(atoms: Atoms) -> None:
    """Raise where the cell is smaller than matter can be, before neighbours are listed: there would be millions.

    Raises
    ------
    DataError
        When an atom would lie on its own image, or an atom has too little volume.
    """
    pbc = np.asarray(atoms.pbc, dtype=bool)
    vectors = np.array(atoms.cell.array, dtype=float)[pbc]
    if not len(vectors):
        return
    content = float(np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)))
    shortest = min(float(np.linalg.norm(vectors, axis=1).min()), content ** (1.0 / len(vectors)))
    what = f"The structure {atoms.get_chemical_formula()}"
    if shortest < CLOSEST_IMAGE:
        raise DataError(
            f"{what} has a cell that repeats within {shortest:.2g} Å, so atoms lie on their images; is it in Å?"
        )
    if len(vectors) == 3 and content < SMALLEST_VOLUME * len(atoms):
        raise DataError(f"{what} has {content / len(atoms):.2g} Å³ an atom, which no matter has; is its cell in Å?")
