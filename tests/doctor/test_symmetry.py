"""Forces that symmetry makes zero, told from those that a constraint made zero."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from rung.data.structure import Structure
from rung.doctor.symmetry import balanced_sites


def sites(atoms: Atoms) -> tuple[int, ...]:
    return balanced_sites(Structure(atoms, "a", {}), tuple(range(len(atoms))))


PLANAR = Atoms("NH3", positions=[[0, 0, 0], *([np.cos(k), np.sin(k), 0] for k in 2 * np.pi * np.arange(3) / 3)])
SYMMETRIC = {
    "middle of H3": (Atoms("H3", positions=[[-0.93, 0, 0], [0, 0, 0], [0.93, 0, 0]]), (1,)),
    "H3 about to react": (Atoms("H3", positions=[[-0.95, 0, 0], [0, 0, 0], [0.93, 0, 0]]), ()),
    "bent H3": (Atoms("H3", positions=[[-0.93, 0.1, 0], [0, 0, 0], [0.93, 0.1, 0]]), ()),
    "methane": (molecule("CH4"), (0,)),
    "planar ammonia": (PLANAR, (0,)),
    "ammonia": (molecule("NH3"), ()),
    "rock salt": (bulk("NaCl", "rocksalt", a=5.6, cubic=True), tuple(range(8))),
    "an atom alone": (Atoms("H2He", positions=[[0, 0, 0], [0.8, 0, 0], [20, 0, 0]]), (2,)),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_sites_without_a_direction_are_found(name: str) -> None:
    atoms, expected = SYMMETRIC[name]
    assert sites(atoms) == expected
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    assert sites(turned) == expected


def test_a_rattled_crystal_has_none() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.05, seed=0)
    assert sites(atoms) == ()
