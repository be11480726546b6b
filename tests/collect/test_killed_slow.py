"""``rung collect`` killed at any moment: each of its files is whole, and the same call finishes the work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.collect.merging import sidecar_of
from rung.data.readers.structures import read_structures
from rung.results.collected import Collected
from tests.collect.samples import run_of, write_scalar

pytestmark = pytest.mark.slow

STRUCTURES = 150


def words(folder: Path, equilibration: int) -> list[str]:
    return [
        *(sys.executable, "-m", "rung", "collect", str(folder / "tree"), "--structures", str(folder / "base.extxyz")),
        *("--fidelity", "dmc", "--out", str(folder / "labels.extxyz"), "--equilibration", str(equilibration)),
    ]


def killed(command: list[str], after: float) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_call_leaves_whole_files_and_is_done_again(tmp_path: Path) -> None:
    frames = []
    for number in range(STRUCTURES):
        write_scalar(tmp_path / "tree" / f"s{number}" / "c.s001.scalar.dat", run_of(number))
        frames.append(f'1\nProperties=species:S:1:pos:R:3 structure_id=s{number} pbc="F F F"\nH 0 0 {number}\n')
    (tmp_path / "base.extxyz").write_text("".join(frames))
    out = tmp_path / "labels.extxyz"
    started = time.monotonic()
    subprocess.run(words(tmp_path, 0), check=True, capture_output=True)
    whole = time.monotonic() - started
    for step in range(12):
        killed(words(tmp_path, step % 5), whole * (0.4 + 0.06 * step))
        assert len(read_structures(out, fidelities=["dmc"])) == STRUCTURES
        assert len(Collected.read(sidecar_of(out)).labels) == STRUCTURES
    subprocess.run(words(tmp_path, 7), check=True, capture_output=True)
    told = Collected.read(sidecar_of(out))
    energies = {label.structure_id: label.energy for label in told.labels}
    assert {label.runs[0].equilibration for label in told.labels} == {7}
    assert {one.structure_id: one.labelled("dmc").energy for one in read_structures(out)} == energies
