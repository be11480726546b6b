"""The page of real walks, read as text."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from rung.report.tables import with_error
from rung.tasks.transport import TransportTask, find_transport
from tests.evaluate.transport.walks import FRAME_FS, brownian, walk
from tests.report.test_page import Page


def test_transport(tmp_path: Path) -> None:
    files = []
    for seed, diffusivity in ((0, 2e-4), (1, 2e-4), (2, 4e-4)):
        files.append(tmp_path / f"run{seed}.extxyz")
        write(files[-1], walk(brownian(diffusivity, frames=150, atoms=6, seed=seed), seed=seed))
    task = TransportTask(
        files=files, temperatures=(600, 600, 800), frame_fs=FRAME_FS, diffusion={"species": "Li"}, extrapolate=(300,)
    )
    result = find_transport(task, tmp_path / "out")
    page = Page((tmp_path / "out" / "transport.html").read_text())
    assert page.headings == ["Diffusion and ionic conductivity", "Transport", "Arrhenius", "Displacements", "Runs"]
    assert "Li, 2 temperatures" in page.text
    energy = result.activation["tracer_diffusivity"].activation_energy
    # D doubles from 600 to 800 K
    assert energy.value == pytest.approx(np.log(2) / (1 / 600 - 1 / 800) * 8.617e-5, rel=0.5)
    assert f"Activation energy {with_error(energy.value, energy.stderr_total)} eV" in page.text
    assert "at 300.0 K" in page.text
    assert "One run at 800 K: the spread between runs is not known" in page.text
    assert "run2.extxyz 800" in page.text
