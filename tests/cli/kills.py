"""Commands that are killed with SIGKILL at random moments, so many times, and are given again until they end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys
import rung.cli, rung.tasks.barrier, rung.tasks.vacancies, rung.tasks.md, rung.tasks.free_energy
import rung.tasks.transport_runs, rung.tasks.relaxation, rung.tasks.vibrations, plotly.graph_objects, pymbar
print("ready", flush=True)
sys.exit(rung.cli.main(sys.argv[1:]))
"""


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    """Start a command in a process of its own, and return when its imports are done."""
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
    """Wait for the end, and return whether it came before the kill."""
    _, said = process.communicate(timeout=600)
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode == 0


def timed(words: Sequence[str]) -> float:
    """Run a command to its end, and return how long it took."""
    process = start(words)
    began = time.monotonic()
    assert finished(process)
    return time.monotonic() - began


def broken(
    words: Sequence[str], out: Path, duration: float, *, kills: int, seed: int, same: Callable[[], None]
) -> None:
    """Kill a command ``kills`` times, and compare whenever it came to its end; then its folder ``out`` begins anew."""
    moments = random.Random(seed)
    killed = 0
    while killed < kills:
        process = start(words)
        time.sleep(duration * moments.uniform(0.0, 0.4))
        process.kill()
        if not finished(process):
            killed += 1
            continue
        same()
        shutil.rmtree(out)
    assert finished(start(words))
    same()
    assert not list(out.rglob(".*.tmp")), "what a kill left behind is swept"
