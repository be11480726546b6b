"""These tests run in the environment of SevenNet (``make test-sevenn``); elsewhere none of them is collected."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from rung.data.structure import Structure
from tests.geometries import cell_structures, molecule_structures
from tests.sevennet_models import write_sevennet

collect_ignore_glob = [] if find_spec("sevenn") else ["test_*.py"]


@pytest.fixture(scope="session")
def structures() -> list[Structure]:
    """Molecules, an atom, a crystal, a slab and a cell of one atom, of H, C and O."""
    return [*molecule_structures(), *cell_structures()]


@pytest.fixture(scope="session")
def one_modality(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint without modalities."""
    return write_sevennet(tmp_path_factory.mktemp("files") / "plain.pth")


@pytest.fixture(scope="session")
def two_modalities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint of the modalities a and b."""
    return write_sevennet(tmp_path_factory.mktemp("files") / "two.pth", modalities=("a", "b"))
