"""A study on a real Slurm of one node: the same table as here, and a cancelled Slurm job is replaced.

Slurm is started by ``tests/slurm/start-slurm.sh``, installed with apt where it is not there; where neither works the
test fails, because a test that is not run shows nothing.
"""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rung.study import compare, load_study_config
from tests.run.small_world import SmallWorld, build_world

pytestmark = pytest.mark.slow

START = Path(__file__).parents[1] / "slurm" / "start-slurm.sh"
PROFILE = "name: slurm\npartition: debug\nworkers_per_node: 2\nwalltime: '00:20:00'\n"


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout} {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """A running Slurm with an idle node."""
    if shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        _run("apt-get", "install", "-y", "slurm-wlm", "munge")
    mine = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=30, check=False).returncode != 0
    assert "debug" in _run(str(START))
    yield
    if mine:
        _run(str(START), "stop")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """A small world with a profile, and the folder ``here`` of the study done in this process."""
    world = build_world(tmp_path_factory.mktemp("slurm"), n_train=12, n_labelled=12)
    (world.folder / "slurm.yaml").write_text(PROFILE)
    compare(load_study_config(_study(world, "here")))
    return world


def _study(world: SmallWorld, run: str) -> Path:
    return world.config(
        f"{run}.yaml",
        run=run,
        method={"name": "readout", "average": 1},
        compare={"offset": None},
        labels=[4, 8, 12],
        seeds=[0, 1],
        cache=f"{run}-cache",
        force_structures=2,
    )


def _started(world: SmallWorld, run: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rung", "compare", str(_study(world, run)), "--profile", world.folder / "slurm.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _values(folder: Path) -> dict[tuple[str, ...], float]:
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("method", "n_labels", "seed", "fold", "split", "metric")
    return {tuple(row[key] for key in keys): float(row["value"]) for row in rows if "seconds" not in row["metric"]}


def _require_the_same(found: Path, due: Path) -> None:
    one, other = _values(found), _values(due)
    assert one.keys() == other.keys() and len(one) > 50
    assert np.allclose([one[key] for key in other], list(other.values()), rtol=1e-6, atol=1e-6)


def _queued(name: str = "parsl") -> list[str]:
    lines = [line.split(maxsplit=1) for line in _run("squeue", "--noheader", "--format=%i %j %t").splitlines()]
    return [number for number, rest in lines if name in rest]


def test_slurm_gives_the_table_of_one_process(slurm: None, world: SmallWorld) -> None:
    process = _started(world, "there")
    seen = False
    while process.poll() is None:
        seen |= bool(_queued())
        time.sleep(0.5)
    said = process.communicate()
    assert process.returncode == 0, said
    assert seen  # the fits were made in a Slurm job
    _require_the_same(world.folder / "there", world.folder / "here")
    assert not _queued()  # and nothing is left in the queue


def test_a_cancelled_slurm_job_is_replaced(slurm: None, world: SmallWorld) -> None:
    process = _started(world, "cancelled")
    cancelled: set[str] = set()
    while process.poll() is None:
        jobs = _queued()
        if jobs and not cancelled and list((world.folder / "cancelled").glob("fits/*/metrics.json")):
            cancelled.update(jobs)
            _run("scancel", *jobs)
        time.sleep(0.2)
    said = process.communicate()
    assert process.returncode == 0, said
    assert cancelled
    _require_the_same(world.folder / "cancelled", world.folder / "here")
