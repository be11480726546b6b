"""Nothing outside a backend needs MACE: the whole chain runs on the tests' own backend where importing it raises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_chain(folder: Path, *parts: str) -> None:
    """Run parts of the chain in a process of their own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "plugin"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-m", "tests.backends.chain", str(folder), *parts]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_from_a_file_to_a_potential(tmp_path: Path) -> None:
    """A file of the backend, a fit of its readout, its folder and its native file."""
    run_chain(tmp_path, "refused", "closed-form")


def test_a_training(tmp_path: Path) -> None:
    run_chain(tmp_path, "trained")


def test_a_study(tmp_path: Path) -> None:
    run_chain(tmp_path, "study")


@pytest.mark.slow
def test_the_methods_that_move_every_weight(tmp_path: Path) -> None:
    run_chain(tmp_path, "more-methods")
