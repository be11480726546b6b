"""Relaxation: of positions and cells, beside ASE's own, and what the command says of it."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS

from rung.cli import main
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.storage import read_json


@pytest.mark.parametrize("plane", [False, True])
def test_relaxation_is_ases(plane: bool) -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    start.rattle(0.03, seed=0)
    found = relax(start, _emt(), RelaxationSettings(fmax=0.005, cell=not plane, plane=plane))
    atoms = start.copy()
    atoms.calc = _emt()
    mask = [1, 1, 0, 0, 0, 1] if plane else [1] * 6
    with BFGS(FrechetCellFilter(atoms, mask=mask), logfile=None) as optimizer:
        assert optimizer.run(fmax=0.005, steps=300)
    assert found.converged
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(found.atoms.cell.array, atoms.cell.array, atol=1e-3)
    if plane:
        np.testing.assert_array_equal(found.atoms.cell[2], start.cell[2])
    assert not relax(start, _emt(), RelaxationSettings(steps=1)).converged


def test_the_command_says_when_it_is_not_relaxed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = bulk("Cu", cubic=True)
    start.rattle(0.1, seed=0)
    write(tmp_path / "start.xyz", start, format="extxyz")
    words = ["relax", "ase.calculators.emt:EMT", str(tmp_path / "start.xyz"), "--fidelity", "emt", "--trusted"]
    assert main([*words, "--steps", "1", "--out", str(tmp_path / "a")]) == 1
    assert "Not relaxed" in capsys.readouterr().err
    assert main([*words, "--cell", "--out", str(tmp_path / "b")]) == 0
    relaxed = read(tmp_path / "b" / "relaxed.extxyz")
    assert read_json(tmp_path / "b" / "relax.json")["cell"] == relaxed.cell.array.tolist()
    assert relaxed.get_volume() == pytest.approx(4 * 3.59**3 / 4, rel=0.02)


def _emt() -> object:
    from ase.calculators.emt import EMT

    return EMT()
