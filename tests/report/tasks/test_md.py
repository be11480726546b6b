"""The page of real runs of dynamics, read as text."""

from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from rung.results.md import MDResult
from rung.tasks.md import MDTask, find_md
from rung.tasks.opened import Opened
from tests.report.test_page import Page


def structure(path: Path, atoms: Atoms) -> Path:
    write(path, atoms, format="extxyz")
    return path


def test_md(tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=0)
    start = structure(tmp_path / "start.xyz", crystal)
    find_md(
        Opened.of(EMT(), fidelity="emt"),
        MDTask(start=start, dynamics={"temperature": 300, "steps": 120, "timestep": 2, "frame_every": 10}),
        tmp_path / "out",
    )
    result = MDResult.read(tmp_path / "out" / "md.json")
    page = Page((tmp_path / "out" / "md.html").read_text())
    assert page.headings == ["Molecular dynamics", "Run", "Energy", "Temperature", "Structure"]
    assert "emt, NVT at 300 K" in page.text
    assert "Steps done 120" in page.text
    assert "Stable yes" in page.text
    assert result.statistics is not None
    assert "Nothing is conserved: the Langevin thermostat takes and gives heat." in page.text
    assert "Drift" not in page.text


def test_the_drift_of_the_total_energy_is_that_of_nve_alone(tmp_path: Path) -> None:
    start = structure(tmp_path / "start.xyz", bulk("Cu", cubic=True))
    dynamics = {"temperature": 300, "steps": 120, "timestep": 2, "frame_every": 10, "ensemble": "nve"}
    find_md(Opened.of(EMT(), fidelity="emt"), MDTask(start=start, dynamics=dynamics), tmp_path / "out")
    text = Page((tmp_path / "out" / "md.html").read_text()).text
    assert "Drift of the total energy, meV/atom/ps" in text
    assert "Conserved quantity" not in text


def test_a_run_that_ended_before_its_time_says_so_first(tmp_path: Path) -> None:
    start = structure(tmp_path / "start.xyz", bulk("Cu", cubic=True))
    dynamics = {"temperature": 300, "steps": 20, "limits": {"largest_force": 1e-6}}
    reason = find_md(Opened.of(EMT(), fidelity="emt"), MDTask(start=start, dynamics=dynamics), tmp_path / "out").reason
    assert "a force of" in reason
    text = Page((tmp_path / "out" / "md.html").read_text()).text
    assert f"The run ended {reason}." in text
    assert f"Stable {reason}" in text
