"""Drivers and workers that are killed at random moments, again and again, leave the table of an unbroken study."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rung.cli import TERMINATED
from rung.storage import locked, read_json
from tests.run.small_world import SmallWorld, build_world

pytestmark = pytest.mark.slow

DRIVER_KILLS, WORKER_KILLS = 10, 10
BOUND = 10.0
"""Seconds in which every process of a study ends once the driver, or a process between it and them, was killed."""

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


def _processes(folder: Path, *words: str) -> list[psutil.Process]:
    """Return the processes of rung.jobs for the study in ``folder`` that have these words in their command."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if "rung.jobs" in command and set(words) <= set(command) and str(folder) in " ".join(command):
                found.append(process)
        except psutil.Error:
            continue  # it ended meanwhile
    return found


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended; a zombie has, whoever should have looked after it."""
    alive = []
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except psutil.NoSuchProcess:
            continue
    return alive


def _below(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return the children of processes, and theirs."""
    found = []
    for process in processes:
        try:
            found += process.children(recursive=True)
        except psutil.Error:
            continue
    return _alive(found)


def _workers(folder: Path) -> list[psutil.Process]:
    """Return the processes below the managers of workers that work for the study in ``folder``."""
    return _below(_processes(folder, "manager"))


def _gone(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes to end, as long as the bound says, and return those that have not."""
    until = time.monotonic() + BOUND
    while (left := _alive(processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


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
    assert not _gone(workers) and not _workers(run)
    assert _end(_start(config), 0) == 0
    _require_the_same(run, due)


def _working(process: subprocess.Popen[str], run: Path) -> list[psutil.Process]:
    """Wait until both workers of a study are there and one is at a fit; return all processes of the block."""
    while process.poll() is None:
        block = [*(guards := _processes(run, "block")), *_below(guards)]
        if len(_workers(run)) >= 2 and any(locked(path.parent) for path in run.glob("*/*/.lock")):
            return block
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("victim", ["driver", "manager", "block"])
def test_whoever_is_killed_nobody_is_left_in_ten_seconds(unbroken: tuple[SmallWorld, Path, float], victim: str) -> None:
    world, due, _ = unbroken
    config, run = _study(world, f"{victim}.yaml", f"bounded-{victim}"), world.folder / f"bounded-{victim}"
    process = _start(config)
    block = _working(process, run)
    assert len(block) >= 5, "a guard, a manager, its server of queues and two workers"
    if victim == "driver":
        block += _below([psutil.Process(process.pid)])
        process.kill()
    else:
        for one in _processes(run, victim):
            one.kill()
    left = _gone(block)
    assert not left, [one.cmdline() for one in left]
    code = _end(process, -signal.SIGKILL if victim == "driver" else 0)
    if code:
        assert _end(_start(config), 0) == 0
    _require_the_same(run, due)


def test_killed_workers_are_replaced(unbroken: tuple[SmallWorld, Path, float]) -> None:
    world, due, duration = unbroken
    config, run = _study(world, "workers.yaml", "workers"), world.folder / "workers"
    moments = random.Random(1)
    killed = 0
    while killed < WORKER_KILLS:  # a study that ends before was killed too rarely: it begins anew
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(world.folder / "workers-cache", ignore_errors=True)
        process = _start(config)
        while killed < WORKER_KILLS and not _finished(process, moments.uniform(0.02, 0.1) * duration):
            alive = _workers(run)
            if alive:
                moments.choice(alive).kill()
                killed += 1
        said = process.communicate(timeout=600)[1]
        if process.returncode == 1:  # a fit that lost its worker each time it was tried says so
            assert "Its worker died" in said
        elif process.returncode == 2:  # the kill hit a process of Parsl's own
            assert "worked on nothing" in said
        else:
            assert process.returncode == 0, said
        if process.returncode:
            assert _end(_start(config), 0) == 0
        _require_the_same(run, due)
