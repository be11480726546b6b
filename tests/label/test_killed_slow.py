"""``rung label`` killed anywhere goes on to the labels of a call that was not: drivers, workers, a walk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rung.cli import main
from rung.data.readers.structures import read_structures, structure_from, write_structures
from rung.jobs import Processes
from rung.label.labelling import label_structures
from rung.label.walkers import Walkers
from rung.storage import locked
from tests.label.engines.test_pyqmc import H2, QUICK
from tests.label.springs import molecules, springs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def settings(folder: Path, name: str, structures: Any, **content: Any) -> Path:
    write_structures(folder / "next.extxyz", structures)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.dump({"structures": ["next.extxyz"], "out": name, **content}))
    return path


def start(config: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "rung", "label", str(config)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def wait_for(condition: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_walk_that_was_killed_twice_ends_with_the_same_digits(tmp_path: Path) -> None:
    content = {"fidelity": "dmc", "stderr": 0.08, "engine": {"name": "pyqmc", **QUICK}}
    structures = [structure_from(H2, "H2")]
    assert main(["label", str(settings(tmp_path, "whole", structures, **content))]) == 0
    config = settings(tmp_path, "killed", structures, **content)
    for _ in range(2):
        process = start(config)
        wait_for(lambda: list((tmp_path / "killed").glob("structures/H2/pyqmc-*/dmc.npz")))
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed" / "labels.extxyz").exists()
        (state,) = (tmp_path / "killed").glob("structures/H2/pyqmc-*/dmc.npz")
        assert Walkers.read(state) is not None
    assert main(["label", str(config)]) == 0
    one, two = (read_structures(tmp_path / name / "labels.extxyz")[0].labelled("dmc") for name in ("whole", "killed"))
    assert (two.energy, two.energy_stderr) == (one.energy, one.energy_stderr)
    files = [next((tmp_path / name).glob("structures/H2/pyqmc-*/dmc.npz")) for name in ("whole", "killed")]
    walks = [Walkers.read(file) for file in files]
    assert walks[0] is not None
    assert walks[1] is not None
    np.testing.assert_array_equal(walks[0].energies, walks[1].energies)


def test_a_killed_driver_loses_no_label_and_leaves_no_worker(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    many = [structure_from(one.atoms, f"{one.structure_id}-{k}") for k in range(8) for one in molecules()]
    engine = {
        "name": "ase",
        "calculator": "tests.label.springs:Springs",
        "arguments": {"calls": str(calls), "seconds": 0.3},
        "trusted": True,
    }
    config = settings(
        tmp_path, "low", many, fidelity="low", engine=engine, executor={"name": "processes", "workers": 2}
    )
    process = start(config)
    wait_for(lambda: calls.exists() and len(calls.read_text().split()) >= 6)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not locked(tmp_path / "low"))
    done = {path.parents[1].name for path in (tmp_path / "low").glob("structures/*/job/metrics.json")}
    assert len(done) >= 4
    times = {name: (tmp_path / "low/structures" / name / "job/metrics.json").stat().st_mtime_ns for name in done}
    assert main(["label", str(config)]) == 0
    assert len(read_structures(tmp_path / "low" / "labels.extxyz")) == len(many)
    for name, before in times.items():
        assert (tmp_path / "low/structures" / name / "job/metrics.json").stat().st_mtime_ns == before


def test_a_worker_that_dies_is_replaced_and_its_structure_labelled(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.touch()
    made = label_structures(
        molecules(), "low", springs(kill=str(bomb)), tmp_path / "labels", executor=Processes(workers=2)
    )
    assert not bomb.exists()
    assert made.failed == {}
    assert set(made.records) == {"H2O", "CH4", "NH3"}


def test_a_time_limit_ends_a_calculation_and_the_rest_goes_on(tmp_path: Path) -> None:
    engine = springs(seconds=30.0, slow="C")
    made = label_structures(
        molecules(), "low", engine, tmp_path / "labels", executor=Processes(workers=1), time_limit=2.0
    )
    assert set(made.records) == {"H2O", "NH3"}
    assert "time limit of 2 s" in made.failed["CH4"]
