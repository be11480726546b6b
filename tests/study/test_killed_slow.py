"""Drivers and workers that are killed at random moments, again and again, leave the table of an unbroken study."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rung.cli import TERMINATED
from rung.storage import read_json
from tests.run.small_world import SmallWorld, build_world

pytestmark = pytest.mark.slow

DRIVER_KILLS, WORKER_KILLS = 10, 10
TOLERANCE = 1e-6
DRIVER = """
import sys
import rung.study
import rung.cli.compare, rung.cli.tables, rung.backends.mace.files, rung.report.page, plotly.graph_objects, parsl
print("ready", flush=True)
sys.exit(rung.cli.main(["compare", sys.argv[1]]))
"""
CLOSED = [{"kind": "energies"}, {"kind": "weights"}]
TRAINING = {"epochs": 4, "batch_size": 4, "learning_rate": 0.001, "valid_fraction": 0.25, "checkpoint_seconds": 0}


def _study(world: SmallWorld, name: str, run: str) -> Path:
    return world.config(
        name,
        run=run,
        method={"name": "readout", "terms": CLOSED, "average": 1},
        compare={"offset": None, "transfer": {"training": TRAINING}},
        labels=[6, 12],
        seeds=[0, 1],
        tune={"labels": 10, "trials": {"transfer": [{}, {"training.learning_rate": 0.01}]}},
        cache=f"{run}-cache",
        force_structures=2,
        executor={"name": "processes", "workers": 2},
    )


def _start(config: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _end(process: subprocess.Popen[str], *codes: int) -> int:
    _, said = process.communicate(timeout=600)
    assert process.returncode in codes, said
    return process.returncode


def _values(folder: Path) -> dict[tuple[str, ...], float]:
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("method", "n_labels", "seed", "fold", "split", "metric")
    return {tuple(row[key] for key in keys): float(row["value"]) for row in rows if "seconds" not in row["metric"]}


def _require_the_same(found: Path, due: Path) -> None:
    one, other = _values(found), _values(due)
    assert one.keys() == other.keys() and len(one) > 50
    assert np.allclose([one[key] for key in other], list(other.values()), rtol=TOLERANCE, atol=TOLERANCE)
    tuning = [[trial["score"] for trial in read_json(folder / "study.json")["tuning"]] for folder in (found, due)]
    assert np.allclose(*tuning, rtol=TOLERANCE)
    assert not list(found.rglob(".*.tmp"))
    assert not (found / "workers").exists()


def _workers(folder: Path) -> list[psutil.Process]:
    """Return the worker processes of the study in ``folder``, those of a killed driver too."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if "process_worker_pool" in " ".join(process.cmdline()) and str(folder) in " ".join(process.cmdline()):
                found += [child for child in process.children(recursive=True) if child.status() != "zombie"]
        except psutil.Error:
            continue  # it ended meanwhile
    return found


def _finished(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallWorld, Path, float]:
    """A small world, the folder of a study that nobody disturbed, and how long that took."""
    world = build_world(tmp_path_factory.mktemp("killed"), n_train=16, n_labelled=16)
    started = time.monotonic()
    assert _end(_start(_study(world, "whole.yaml", "whole")), 0) == 0
    return world, world.folder / "whole", time.monotonic() - started


def test_killed_drivers_lose_nothing(unbroken: tuple[SmallWorld, Path, float]) -> None:
    world, due, duration = unbroken
    config, run = _study(world, "drivers.yaml", "drivers"), world.folder / "drivers"
    moments = random.Random(0)
    done: set[Path] = set()
    times: dict[Path, Any] = {}
    killed = 0
    while killed < DRIVER_KILLS:
        process = _start(config)
        _finished(process, moments.uniform(0.0, 0.4) * duration)
        process.kill()
        if _end(process, 0, -signal.SIGKILL) == 0:  # it came to its end: begin anew
            _require_the_same(run, due)
            shutil.rmtree(run)
            done, times = set(), {}
            continue
        killed += 1
        kept = set(run.rglob("metrics.json"))
        assert done <= kept
        assert all(path.stat().st_mtime_ns == when for path, when in times.items())  # nothing is done twice
        done, times = kept, {path: path.stat().st_mtime_ns for path in kept}
    assert _end(_start(config), 0) == 0
    _require_the_same(run, due)


def test_a_driver_that_is_asked_to_end_takes_its_workers_with_it(unbroken: tuple[SmallWorld, Path, float]) -> None:
    world, due, _ = unbroken
    config, run = _study(world, "asked.yaml", "asked"), world.folder / "asked"
    process = _start(config)
    while not (workers := _workers(run)) and process.poll() is None:
        time.sleep(0.05)
    assert workers
    process.terminate()
    assert _end(process, TERMINATED) == TERMINATED
    _, left = psutil.wait_procs(workers, timeout=30)
    assert not left and not _workers(run)
    assert _end(_start(config), 0) == 0
    _require_the_same(run, due)


def test_killed_workers_are_replaced(unbroken: tuple[SmallWorld, Path, float]) -> None:
    world, due, duration = unbroken
    config, run = _study(world, "workers.yaml", "workers"), world.folder / "workers"
    moments = random.Random(1)
    killed = 0
    process = _start(config)
    while not _finished(process, moments.uniform(0.05, 0.3) * duration):
        alive = _workers(run)
        if alive and killed < WORKER_KILLS:
            moments.choice(alive).kill()
            killed += 1
    said = process.communicate()[1]
    assert killed >= 3
    if process.returncode == 1:  # a fit that lost its worker each time it was tried says so, and is done the next time
        assert "Its worker died" in said
        assert _end(_start(config), 0) == 0
    elif process.returncode == 2:  # the kill hit a process of Parsl's own
        assert "worked on nothing" in said
        assert _end(_start(config), 0) == 0
    else:
        assert process.returncode == 0, said
    _require_the_same(run, due)
