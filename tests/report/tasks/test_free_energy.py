"""The page of a real free energy on an analytic well, read as text."""

from pathlib import Path

from ase import Atoms
from ase.io import write

from rung.tasks.free_energy import FreeEnergyTask, find_free_energy
from rung.tasks.opened import Opened
from tests.evaluate.free_energy.umbrella_worlds import QuickWell
from tests.report.test_page import Page


def structure(path: Path, atoms: Atoms) -> Path:
    write(path, atoms, format="extxyz")
    return path


def test_free_energy(tmp_path: Path) -> None:
    start = structure(tmp_path / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]))
    variable = tmp_path / "cv.yaml"
    variable.write_text("kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n")
    task = FreeEnergyTask(
        start=start,
        variable=variable,
        windows=(-1.4, 1.4, 9),
        sampling={"temperature": 600, "spring": 3, "steps": 600, "friction": 0.05, "remove_drift": False},
    )
    result = find_free_energy(Opened.of(QuickWell(), fidelity="model"), task, tmp_path / "out")
    page = Page((tmp_path / "out" / "free_energy.html").read_text())
    assert page.headings == ["Free energy along a collective variable", "Barrier", "Profile", "Windows"]
    assert "model at 600 K" in page.text
    assert result.barrier is not None
    assert f"From the other side, eV {result.barrier.reverse:.3f} ± {result.barrier.reverse_stderr:.3f}" in page.text
    assert "it is an upper bound" in page.text
    assert result.warnings[0] in page.text
