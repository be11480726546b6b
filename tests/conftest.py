"""Fixtures of the whole session: the testbed's base, small MACE models built in code, molecules and cells."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import rung
from rung.backends import load_base
from rung.backends.mace import wrap
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential

from .mace_models import tiny_mace


@pytest.fixture(scope="session")
def testbed_base_path() -> Path:
    """The MACE model that the package brings for its demo."""
    return Path(rung.__file__).parent / "demo_data" / "mos2" / "base.model"


@pytest.fixture(scope="session")
def testbed_base(testbed_base_path: Path) -> ReadoutPotential:
    """The testbed's base as a potential, at ``pbe``, in float32."""
    return load_base(testbed_base_path, fidelity="pbe")


@pytest.fixture(scope="session")
def tiny_potential() -> ReadoutPotential:
    """A seeded MACE of two layers in float64 that knows H, C and O, at ``low``."""
    return wrap(tiny_mace(), "low")


def rattled(atoms: Atoms, seed: int, size: float = 0.05) -> Atoms:
    """Return a copy with normal displacements of ``size`` Å."""
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(0.0, size, size=moved.positions.shape)
    return moved


@pytest.fixture(scope="session")
def molecules() -> list[Structure]:
    """Rattled H2O, CH4 and CO2 without a cell."""
    names = ("H2O", "CH4", "CO2")
    return [Structure(rattled(molecule(name), seed), name, {}) for seed, name in enumerate(names)]


@pytest.fixture(scope="session")
def cells() -> list[Structure]:
    """A small triclinic crystal of C and O, a slab of it, and a cell of one atom."""
    crystal = bulk("CO", "rocksalt", a=4.1)
    crystal.set_cell(crystal.cell.array + [[0.0, 0.1, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.1]], scale_atoms=True)
    slab = bulk("CO", "rocksalt", a=4.1, cubic=True)
    slab.center(vacuum=6.0, axis=2)
    slab.pbc = (True, True, False)
    one = bulk("C", "sc", a=2.2)
    return [
        Structure(rattled(crystal, 3), "crystal", {}),
        Structure(rattled(slab, 4), "slab", {}),
        Structure(one, "one", {}),
    ]
