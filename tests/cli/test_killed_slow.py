"""A fit that is killed with SIGKILL at random moments, again and again, ends with what an unbroken one finds."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung import checkpoint
from rung.storage import read_json

from ..run.small_world import SmallWorld, build_world

pytestmark = pytest.mark.slow

KILLS = 20
DRIVER = """
import sys
import rung.run.stages, rung.cli, rung.backends.mace, rung.report.page, plotly.graph_objects
print("ready", flush=True)
sys.exit(rung.cli.main(["fit", sys.argv[1]]))
"""


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


def _numbers(content: Any) -> list[float]:
    if isinstance(content, dict):
        return [one for key, value in sorted(content.items()) if "seconds" not in key for one in _numbers(value)]
    if isinstance(content, list):
        return [one for value in content for one in _numbers(value)]
    return [float(content)] if isinstance(content, (int, float)) else []


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_twenty_times_it_ends_the_same(tmp_path: Path, seed: int) -> None:
    world: SmallWorld = build_world(tmp_path, n_train=40, n_labelled=20)
    whole = world.config("whole.yaml", run="whole/run")
    started = time.monotonic()
    process = _start(whole)
    assert process.wait(timeout=300) == 0
    duration = time.monotonic() - started
    config = world.config("broken.yaml", run="broken/run")
    moments = random.Random(seed)
    killed = 0
    for _ in range(KILLS):
        process = _start(config)
        # short moments are likelier: each resumption has less left to do
        time.sleep(duration * moments.random() ** 2)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=60) == -signal.SIGKILL
        process.communicate()
    assert killed >= KILLS // 4
    process = _start(config)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    found, due = (read_json(tmp_path / name / "run" / "metrics.json") for name in ("broken", "whole"))
    assert np.allclose(_numbers(found), _numbers(due), rtol=1e-12, atol=0.0)
    fitted, unbroken = (checkpoint.load(tmp_path / name / "run" / "model.rung") for name in ("broken", "whole"))
    assert fitted.potential.fingerprint == unbroken.potential.fingerprint
    assert fitted.posterior is not None and unbroken.posterior is not None
    assert np.array_equal(fitted.posterior.covariance, unbroken.posterior.covariance)
