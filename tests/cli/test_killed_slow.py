"""A fit that is killed with SIGKILL at random moments, again and again, ends with what an unbroken one finds."""

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
import pytest

from rung import checkpoint
from rung.storage import read_json
from tests.run.small_world import SmallWorld, build_world

pytestmark = pytest.mark.slow

KILLS = 20
TOLERANCE = 1e-6
DRIVER = """
import sys
import rung.run.stages, rung.cli, rung.backends.mace.files, rung.report.page, plotly.graph_objects
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


def _finish(process: subprocess.Popen[str]) -> int:
    _, said = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode


def _require_the_same(found: Path, due: Path) -> None:
    """Equal but for rounding: what a resumed build still lacks is batched otherwise, and sums run in another order."""
    one, other = (np.array(_numbers(read_json(folder / "metrics.json"))) for folder in (found, due))
    assert np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)
    fitted, unbroken = (checkpoint.load(folder / "model.rung") for folder in (found, due))
    assert fitted.posterior is not None and unbroken.posterior is not None
    assert np.allclose(fitted.posterior.mean, unbroken.posterior.mean, rtol=0.0, atol=TOLERANCE)
    assert np.allclose(fitted.posterior.covariance, unbroken.posterior.covariance, rtol=0.0, atol=TOLERANCE)
    assert not list(found.glob("*.tmp"))


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_twenty_times_it_ends_the_same(tmp_path: Path, seed: int) -> None:
    world: SmallWorld = build_world(tmp_path, n_train=40, n_labelled=20)
    process = _start(world.config("whole.yaml", run="whole/run"))
    started = time.monotonic()
    assert _finish(process) == 0
    duration = time.monotonic() - started
    config = world.config("broken.yaml", run="broken/run")
    moments = random.Random(seed)
    killed = 0
    while killed < KILLS:
        process = _start(config)
        time.sleep(duration * moments.uniform(0.0, 0.6))  # more than one kill before the end is likely, none is sure
        process.kill()
        if _finish(process) == 0:
            _require_the_same(tmp_path / "broken" / "run", tmp_path / "whole" / "run")
            shutil.rmtree(tmp_path / "broken")
        else:
            killed += 1
    assert _finish(_start(config)) == 0
    _require_the_same(tmp_path / "broken" / "run", tmp_path / "whole" / "run")
