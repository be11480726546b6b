"""Small structures of H, C and O: molecules, cells, a slab, and a cell of one atom."""

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from rung.data.structure import Structure


def rattled(atoms: Atoms, seed: int, size: float = 0.05) -> Atoms:
    """Return a copy with normal displacements of ``size`` Å."""
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(0.0, size, size=moved.positions.shape)
    return moved


def molecule_structures() -> list[Structure]:
    """Return rattled H2O, CH4 and CO2 without a cell, and a single atom."""
    names = ("H2O", "CH4", "CO2")
    found = [Structure(rattled(molecule(name), seed), name, {}) for seed, name in enumerate(names)]
    return [*found, Structure(Atoms("O", positions=[[0.1, 0.2, 0.3]]), "O", {})]


def cell_structures() -> list[Structure]:
    """Return a small triclinic crystal of C and O, a slab of it, and a cell of one atom."""
    crystal = bulk("CO", "rocksalt", a=4.1)
    skew = crystal.cell.array + np.array([[0.0, 0.1, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.1]])
    crystal.set_cell(skew, scale_atoms=True)
    slab = bulk("CO", "rocksalt", a=4.1, cubic=True)
    slab.center(vacuum=6.0, axis=2)
    slab.pbc = (True, True, False)
    return [
        Structure(rattled(crystal, 3), "crystal", {}),
        Structure(rattled(slab, 4), "slab", {}),
        Structure(bulk("C", "sc", a=2.2), "one", {}),
    ]
