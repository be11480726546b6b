"""Dynamics and umbrella windows that are killed with SIGKILL at random moments end with the very same files."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLS = 8
DRIVER = """
import sys
import rung.cli, rung.tasks.md, rung.tasks.free_energy, plotly.graph_objects, pymbar
print("ready", flush=True)
sys.exit(rung.cli.main(sys.argv[1:]))
"""


def start(words: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finished(process: subprocess.Popen[str]) -> bool:
    _, said = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode == 0


def broken(words: list[str], duration: float, seed: int) -> int:
    """Run to the end with kills on the way; return how many there were."""
    moments = random.Random(seed)
    for killed in range(KILLS):
        process = start(words)
        time.sleep(duration * moments.uniform(0.0, 0.5))
        process.kill()
        if finished(process):
            return killed
    assert finished(start(words))
    return KILLS


def timed(words: list[str]) -> float:
    process = start(words)
    began = time.monotonic()
    assert finished(process)
    return time.monotonic() - began


def test_md(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=0)
    write(tmp_path / "start.xyz", atoms, format="extxyz")
    words = [
        "md",
        "tests.evaluate.free_energy.umbrella_worlds:forgetful_emt",
        str(tmp_path / "start.xyz"),
        "--fidelity",
        "emt",
        "--trusted",
    ]
    words += ["--temperature", "800", "--steps", "600", "--timestep", "4", "--save-every", "50", "--frame-every", "5"]
    duration = timed([*words, "--out", str(tmp_path / "whole")])
    killed = broken([*words, "--out", str(tmp_path / "broken")], duration, seed=1)
    assert killed >= 1
    for name in ("trajectory.extxyz", "samples.csv", "md.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "broken").glob(".*.tmp")), "what a kill left behind is swept"


def test_free_energy(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    (tmp_path / "cv.yaml").write_text(
        "kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n"
    )
    words = [
        "free-energy",
        "tests.evaluate.free_energy.umbrella_worlds:quick_well",
        str(tmp_path / "start.xyz"),
        "--trusted",
    ]
    words += ["--fidelity", "model", "--cv", str(tmp_path / "cv.yaml"), "--temperature", "600", "--steps", "1500"]
    words += ["--windows", "-1.4", "1.4", "9", "--spring", "3", "--friction", "0.1", "--free-drift"]
    duration = timed([*words, "--out", str(tmp_path / "whole")])
    killed = broken([*words, "--out", str(tmp_path / "broken")], duration, seed=2)
    assert killed >= 1
    for name in ("free_energy.json", "frames.extxyz"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for index in range(9):
        one, other = (np.load(tmp_path / run / f"window-{index:03d}.npz") for run in ("whole", "broken"))
        assert all(np.array_equal(one[name], other[name]) for name in one.files)
