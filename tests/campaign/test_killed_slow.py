"""A campaign that is killed with SIGKILL at any moment ends with the very same answers, and labels nothing twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.results.campaign import CampaignResult
from rung.storage import TEMPORARY
from tests.campaign.worlds import BARRIER, EXACT, build, told

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLS = 8
BUDGET_SPENT = 1
DRIVER = """
import sys
import rung.cli, rung.campaign, rung.cli.campaign, plotly.graph_objects
print("ready", flush=True)
sys.exit(rung.cli.main(sys.argv[1:]))
"""


def start(config: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "plugin")))
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, "campaign", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def computed(folder: Path) -> dict[str, int]:
    """Return when the label of each structure was written, ns."""
    return {
        path.parents[1].name: path.stat().st_mtime_ns
        for path in folder.glob("campaign/rounds/*/labels/structures/*/job/metrics.json")
    }


def test_a_killed_campaign_goes_on(tmp_path: Path) -> None:
    folder = build(tmp_path / "world")
    question = {"reaction": {"kind": "sum", "structures": "sum.extxyz", "tolerance": 1e-6}, "hop": BARRIER}
    config = told(folder, engine=EXACT, questions=question, budget={"labels": 15})
    began = time.monotonic()
    process = start(config)
    _, said = process.communicate(timeout=600)
    assert process.returncode == BUDGET_SPENT, said
    whole, duration = CampaignResult.read(folder / "campaign" / "campaign.json"), time.monotonic() - began
    shutil.rmtree(folder / "campaign")
    seen: dict[str, int] = {}
    killed = 0
    for step in range(KILLS):
        process = start(config)
        time.sleep(duration * (0.05 + 0.45 * step / KILLS))
        process.kill()
        process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
        now = computed(folder)
        assert {name: now[name] for name in seen} == seen  # what was labelled is not labelled again
        seen = now
    assert killed >= KILLS // 2
    process = start(config)
    _, said = process.communicate(timeout=600)
    assert process.returncode == BUDGET_SPENT, said
    result = CampaignResult.read(folder / "campaign" / "campaign.json")
    assert [[each.structure_id for each in one.wanted] for one in result.rounds] == [
        [each.structure_id for each in one.wanted] for one in whole.rounds
    ]
    for one, other in zip(result.rounds, whole.rounds, strict=True):
        assert [each.energy for each in one.made] == pytest.approx([each.energy for each in other.made], abs=1e-9)
        assert [each.bar for each in one.answers] == pytest.approx([each.bar for each in other.answers], rel=1e-5)
    assert {name: computed(folder)[name] for name in seen} == seen
    assert not list(folder.rglob(f".*{TEMPORARY}")), "what a kill left behind is swept"
