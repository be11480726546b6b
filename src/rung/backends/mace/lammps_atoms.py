"""Atoms as LAMMPS hands them to a model of ``pair_style mliap unified``: ghosts, pairs, and messages between atoms.

The names are those of LAMMPS (``src/ML-IAP/mliap_unified_couple.pyx``), for the model calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from torch import Tensor

from rung.data.labels import Array

Indices = NDArray[np.int64]


@dataclass
class LammpsAtoms:
    """One structure on one process.

    Parameters
    ----------
    nlocal, ntotal
        Atoms of the cell, and with their images within the cutoff.
    owner
        Of each atom and ghost the atom of the cell that it is an image of, shape ``(ntotal,)``.
    elems
        The type of each atom and ghost, from 0 on, shape ``(ntotal,)``.
    pair_i, pair_j, rij
        Pairs of an atom and an atom or ghost, and the vectors from i to j, Å, shape ``(npairs, 3)``.
    eatoms
        What the model says of the energy of each atom, eV.
    """

    nlocal: int
    ntotal: int
    owner: Indices
    elems: Indices
    pair_i: Indices
    pair_j: Indices
    rij: Array
    eatoms: Array
    energy: float = 0.0
    pair_forces: Array = field(default_factory=lambda: np.zeros((0, 3)))

    @classmethod
    def of(cls, atoms: Atoms, cutoff: float, symbols: Sequence[str]) -> "LammpsAtoms":
        """Return the atoms with their ghosts; ``symbols`` are the elements in the model's order."""
        first, second, vectors, images = neighbor_list("ijDS", atoms, cutoff)
        keys = [(int(atom), *map(int, image)) for atom, image in zip(second, images, strict=True)]
        ghosts: dict[tuple[int, ...], int] = {}
        for key in keys:
            if any(key[1:]):
                ghosts.setdefault(key, len(atoms) + len(ghosts))
        owner = np.array([*range(len(atoms)), *(key[0] for key in ghosts)], dtype=np.int64)
        kinds = np.array([symbols.index(symbol) for symbol in atoms.get_chemical_symbols()], dtype=np.int64)
        return cls(
            nlocal=len(atoms),
            ntotal=len(owner),
            owner=owner,
            elems=kinds[owner],
            pair_i=np.asarray(first, dtype=np.int64),
            pair_j=np.array([ghosts.get(key, key[0]) for key in keys], dtype=np.int64),
            rij=np.asarray(vectors),
            eatoms=np.zeros(len(atoms)),
        )

    @property
    def npairs(self) -> int:
        """How many pairs there are; each stands twice."""
        return len(self.pair_i)

    def forward_exchange(self, values: Tensor, out: Tensor, _: int) -> None:
        """Give each ghost what its atom has."""
        out.copy_(values[self.owner])

    def reverse_exchange(self, values: Tensor, out: Tensor, _: int) -> None:
        """Add to each atom what its ghosts have; nothing stays with a ghost."""
        out.zero_()
        for place, atom in enumerate(self.owner.tolist()):
            out[atom] += values[place]

    def update_pair_forces_gpu(self, forces: Tensor) -> None:
        """Take the forces of all pairs, eV/Å, shape ``(npairs, 3)``."""
        self.pair_forces = np.asarray(forces.detach().double().numpy())

    def forces(self) -> Array:
        """Return the forces on the atoms: a pair pulls its two atoms in opposite directions, shape ``(nlocal, 3)``."""
        total = np.zeros((self.nlocal, 3))
        np.add.at(total, self.pair_i, self.pair_forces)
        np.subtract.at(total, self.owner[self.pair_j], self.pair_forces)
        return total
