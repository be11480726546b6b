"""Sites on which no force can act: where an atom is surrounded alike on all sides."""

import numpy as np

from rung.data.batch import neighbours
from rung.data.structure import Structure

_REACH = 6.0
"""Å: as far as surroundings are compared."""

_SHELLS = np.linspace(0.5, _REACH, 12)
_WIDTH = 0.5
"""Å: neighbours are weighed by Gaussians about these distances, so that none falls between two shells."""

_EVEN = 1e-2
"""Of the neighbours of a shell: their directions add up to less where they cancel."""


def balanced_sites(structure: Structure, atoms: tuple[int, ...]) -> tuple[int, ...]:
    """Return those of ``atoms`` whose neighbours cancel: the force on them is zero by symmetry.

    Notes
    -----
    A force is a vector that turns with the surroundings. Where a site has no direction of its own (the middle of a
    symmetric saddle, the centre of a tetrahedron, a lattice site), the directions to the neighbours of each element add
    up to zero at every distance; elsewhere they do so by accident alone.
    """
    if not atoms:
        return ()
    numbers, positions = structure.atoms.numbers, structure.atoms.positions
    (one, other), translation = neighbours(structure.atoms, _REACH)
    vectors = positions[other] - positions[one] + translation @ structure.atoms.cell.array
    found = []
    for index in atoms:
        mine = one == index
        lengths = np.linalg.norm(vectors[mine], axis=1)
        directions = vectors[mine] / lengths[:, None]
        inside = np.cos(0.5 * np.pi * lengths / _REACH) ** 2  # smooth at the reach: nobody is cut off on one side
        weights = np.exp(-0.5 * ((lengths[:, None] - _SHELLS) / _WIDTH) ** 2) * inside[:, None]
        even = True
        for number in np.unique(numbers[other[mine]]):
            kind = numbers[other[mine]] == number
            sums = weights[kind].T @ directions[kind]
            even = even and bool(
                (np.linalg.norm(sums, axis=1) <= _EVEN * np.maximum(weights[kind].sum(axis=0), 1e-3)).all()
            )
        if even:
            found.append(index)
    return tuple(found)
