"""The scripts in examples/ run as their README says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rung.storage import read_json

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_vacancy_study_runs_and_says_who_made_the_labels(tmp_path: Path) -> None:
    script = EXAMPLES / "mos2_vacancies" / "study.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The labels are model-made")
    out = tmp_path / "out"
    for page in ("fit/report.html", "hop/barrier.html", "rows/vacancies.html", "rows.html"):
        assert (out / page).stat().st_size > 100_000
    relaxed, along = read_json(out / "hop" / "barrier.json")
    base, lifted = relaxed["barriers"]
    assert base["value"] == pytest.approx(0.886, abs=0.03)
    # the truth of the lifted level is 1.147 eV and the base is 0.26 eV below it
    assert abs(lifted["value"] - 1.147) < 3 * lifted["stderr_total"]
    assert lifted["value"] > base["value"]
    assert along["points"]["name"] == "r2scan energies"
    hops = read_json(out / "rows" / "vacancies.json")["hops"]
    assert [(hop["fidelity"], hop["vacancies"]) for hop in hops] == [
        ("pbe", 1),
        ("pbe", 2),
        ("r2scan", 1),
        ("r2scan", 2),
    ]
    assert not any(hop["converged"] for hop in hops)
    singles = {hop["fidelity"]: hop["barrier"] for hop in hops if hop["vacancies"] == 1}
    # the builder's hop is that of the bundled band, up to the images' places
    assert singles["pbe"] == pytest.approx(base["value"], abs=0.01)
    assert singles["r2scan"] == pytest.approx(lifted["value"], abs=0.01)
    assert "cell not converged" in (out / "results.md").read_text()
