"""A relaxation from files: what the command says of it, and whose folder it is."""

from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from rung.cli import main
from rung.errors import DataError, StorageError
from rung.evaluate.relaxation import RelaxationSettings
from rung.storage import FolderLock, read_json
from rung.tasks.opened import Opened
from rung.tasks.relaxation import RelaxationTask, relax_file


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
