"""Fixtures of the whole session: the testbed's base, small MACE models, molecules, cells, a finished run."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rung
from rung.backends import load_base
from rung.config import load_config
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential
from rung.run.stages import run_fit
from tests.geometries import cell_structures, molecule_structures

if TYPE_CHECKING:
    from tests.run.small_world import SmallWorld


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
    from rung.backends.mace import wrap
    from tests.mace_models import tiny_mace

    return wrap(tiny_mace(), "low")


@pytest.fixture(scope="session")
def molecules() -> list[Structure]:
    """Rattled H2O, CH4 and CO2 without a cell, and a single atom."""
    return molecule_structures()


@pytest.fixture(scope="session")
def cells() -> list[Structure]:
    """A small triclinic crystal of C and O, a slab of it, and a cell of one atom."""
    return cell_structures()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> "SmallWorld":
    """A small world with a finished readout run, which tests only read."""
    from tests.run.small_world import build_world

    world = build_world(tmp_path_factory.mktemp("world"))
    run_fit(load_config(world.config()))
    return world


@pytest.fixture
def world(tmp_path: Path, original: "SmallWorld") -> "SmallWorld":
    """A small world of the test's own, without a run."""
    for name in ("base.model", "train.extxyz", "test.extxyz"):
        shutil.copy(original.folder / name, tmp_path / name)
    from tests.run.small_world import SmallWorld

    return SmallWorld(tmp_path, original.low, original.high)


@pytest.fixture
def finished(world: "SmallWorld", original: "SmallWorld") -> "SmallWorld":
    """A small world of the test's own, with a finished run."""
    shutil.copytree(original.folder / "run", world.folder / "run")
    shutil.copytree(original.folder / "rung-cache", world.folder / "rung-cache")
    return world
