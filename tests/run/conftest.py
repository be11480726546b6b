"""A small world, made once, and a finished run in it."""

import shutil
from pathlib import Path

import pytest

from rung.config import load_config
from rung.run.stages import run_fit

from .small_world import SmallWorld, build_world


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """A small world with a finished readout run, which tests only read."""
    world = build_world(tmp_path_factory.mktemp("world"))
    run_fit(load_config(world.config()))
    return world


@pytest.fixture
def world(tmp_path: Path, original: SmallWorld) -> SmallWorld:
    """A small world of the test's own, without a run."""
    for name in ("base.model", "train.extxyz", "test.extxyz"):
        shutil.copy(original.folder / name, tmp_path / name)
    return SmallWorld(tmp_path, original.low, original.high)


@pytest.fixture
def finished(world: SmallWorld, original: SmallWorld) -> SmallWorld:
    """A small world of the test's own, with a finished run."""
    shutil.copytree(original.folder / "run", world.folder / "run")
    shutil.copytree(original.folder / "rung-cache", world.folder / "rung-cache")
    return world
