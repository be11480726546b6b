"""A campaign that spent its budget, which tests only read, and copies of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rung.campaign import load_campaign_config, run_campaign
from tests.campaign.worlds import build, told


@pytest.fixture(scope="session")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a world whose campaign labelled a start set of six, then three, and has no more to spend."""
    folder = build(tmp_path_factory.mktemp("campaign"))
    lines: list[str] = []
    finished = run_campaign(load_campaign_config(told(folder, budget={"labels": 9})), say=lines.append)
    assert finished.result.status == "budget"
    (folder / "said.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def copy(tmp_path: Path, spent: Path) -> Iterator[Path]:
    """The same folder at the same place, for labels know where their files are; it is put back after the test."""
    kept = tmp_path / "kept"
    shutil.copytree(spent, kept)
    yield spent
    shutil.rmtree(spent)
    shutil.copytree(kept, spent)
