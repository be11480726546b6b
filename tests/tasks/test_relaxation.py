"""Relaxation: of positions and cells, beside ASE's own, and what the command says of it."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS

from rung.cli import main
from rung.errors import ConfigError, DataError, StorageError
from rung.evaluate.relaxation import RelaxationSettings, relax
from rung.storage import FolderLock, read_json
from rung.tasks.opened import Opened
from rung.tasks.relaxation import RelaxationTask, relax_file


@pytest.mark.parametrize("plane", [False, True])
def test_relaxation_is_ases(plane: bool) -> None:
    start = bulk("Cu", cubic=True)
    start.set_cell(start.cell.array @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    start.rattle(0.03, seed=0)
    found = relax(start, EMT(), RelaxationSettings(fmax=0.005, cell=not plane, plane=plane))
    atoms = start.copy()
    atoms.calc = EMT()
    mask = [1, 1, 0, 0, 0, 1] if plane else [1] * 6
    with BFGS(FrechetCellFilter(atoms, mask=mask), logfile=None) as optimizer:
        assert optimizer.run(fmax=0.005, steps=300)
    assert found.converged
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(found.atoms.cell.array, atoms.cell.array, atol=1e-3)
    if plane:
        np.testing.assert_array_equal(found.atoms.cell[2], start.cell[2])
    assert not relax(start, EMT(), RelaxationSettings(steps=1)).converged


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


def test_a_cell_that_cannot_relax_is_one_sentence(tmp_path: Path) -> None:
    class NoStress(EMT):
        implemented_properties = ("energy", "forces")
        calls = 0

        def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)) -> None:
            self.calls += 1
            super().calculate(atoms, properties, system_changes)

    crystal = bulk("Cu", cubic=True)
    for settings in (RelaxationSettings(cell=True), RelaxationSettings(plane=True)):
        for molecule in (
            Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]]),
            Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]], cell=[9, 9, 9]),
        ):
            with pytest.raises(DataError, match="is not periodic, so it has no cell to relax"):
                relax(molecule, EMT(), settings)
        wire = Atoms("Cu", cell=[0, 0, 2.5], pbc=[False, False, True])
        with pytest.raises(DataError, match="no cell to relax"):
            relax(wire, EMT(), settings)
        calculator = NoStress()
        with pytest.raises(ConfigError, match="NoStress gives no stress, so it cannot relax a cell"):
            relax(crystal, calculator, settings)
        assert calculator.calls <= 1, "before any step"
    calculator = NoStress()
    assert relax(crystal, calculator, RelaxationSettings()).converged


def test_a_folder_belongs_to_one_start_and_to_one_process(tmp_path: Path) -> None:
    start = bulk("Cu", cubic=True)
    start.rattle(0.1, seed=0)
    write(tmp_path / "start.xyz", start, format="extxyz")
    start.rattle(0.1, seed=1)
    write(tmp_path / "other.xyz", start, format="extxyz")
    potential, out = Opened.of(EMT(), fidelity="emt"), tmp_path / "out"
    relax_file(potential, RelaxationTask(start=tmp_path / "start.xyz", relaxation=RelaxationSettings(steps=1)), out)
    relax_file(potential, RelaxationTask(start=tmp_path / "start.xyz", relaxation=RelaxationSettings(steps=100)), out)
    with pytest.raises(DataError, match="holds a relaxation of another start"):
        relax_file(potential, RelaxationTask(start=tmp_path / "other.xyz", relaxation=RelaxationSettings()), out)
    with FolderLock(out), pytest.raises(StorageError, match="Another process"):
        relax_file(potential, RelaxationTask(start=tmp_path / "start.xyz", relaxation=RelaxationSettings()), out)
