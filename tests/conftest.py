"""Fixtures of the whole session: the testbed's base, small MACE models built in code, molecules and cells."""

from pathlib import Path

import pytest

import rung
from rung.backends import load_base
from rung.backends.mace import wrap
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential

from .geometries import cell_structures, molecule_structures
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


@pytest.fixture(scope="session")
def molecules() -> list[Structure]:
    """Rattled H2O, CH4 and CO2 without a cell, and a single atom."""
    return molecule_structures()


@pytest.fixture(scope="session")
def cells() -> list[Structure]:
    """A small triclinic crystal of C and O, a slab of it, and a cell of one atom."""
    return cell_structures()
