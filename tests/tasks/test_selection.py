"""``rung select`` on files: labels with the errors asked for, beside other ways to choose, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung import RungCalculator
from rung.checkpoint import Checkpoint, save
from rung.cli import main
from rung.data.energy_table import EnergyRow, write_energy_table
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.results.selection import SelectionResult
from rung.tasks.opened import Opened
from rung.tasks.selection import SelectionTask, select_labels
from tests.fit.lifts import lift_of
from tests.fit.methods.test_tangent import CONTEXT, frames
from tests.geometries import rattled


@pytest.fixture(scope="module")
def lifted(tiny_potential, molecules) -> Checkpoint:
    fit = fit_readout(lift_of(frames(molecules[:2], 8, 8), tiny_potential), ReadoutSettings(), CONTEXT)
    return Checkpoint(fit.potential, fit.posterior, {"target": "high"})


@pytest.fixture
def files(tmp_path: Path, molecules) -> Path:
    pool = [Structure(rattled(molecules[k % 2].atoms, 50 + k, 0.1), f"one-{k}", {}) for k in range(8)]
    label = replace(empty_labels(len(pool[0])), energy=-1.0)
    write_structures(tmp_path / "pool.extxyz", [replace(pool[0], labels={"high": label}), *pool[1:]])
    write_structures(
        tmp_path / "band.extxyz", [Structure(rattled(molecules[0].atoms, k, 0.2), "", {}) for k in range(3)]
    )
    terms = [replace(one, info={"coefficient": sign}) for one, sign in zip(pool[2:4], (1.0, -1.0), strict=True)]
    write_structures(tmp_path / "sum.extxyz", terms)
    return tmp_path


def test_labels_are_chosen_for_all_that_is_asked(files: Path, lifted: Checkpoint, capsys) -> None:
    save(files / "model.rung", lifted.potential, posterior=lifted.posterior, metadata=dict(lifted.metadata))
    words = ["select", str(files / "model.rung"), str(files / "pool.extxyz"), "--fidelity", "high", "--count", "3"]
    asked = ["--band", str(files / "band.extxyz"), "--sum", str(files / "sum.extxyz"), "--forces", "0.5"]
    assert main([*words, *asked, "--stderr", "0.05", "0.02", "--out", str(files / "out")]) == 0
    shown = capsys.readouterr().out
    result = SelectionResult.read(files / "out" / "select.json")
    assert result.candidates == 7  # one has a label
    assert [one.name for one in result.questions] == [
        "energies",
        "forces",
        "barrier of band.extxyz",
        "sum of sum.extxyz",
    ]
    assert sum(one.cost for one in result.labels) <= 3 + 1e-9
    chosen = read_structures(files / "out" / "selected.extxyz")
    assert [one.structure_id for one in chosen] == [one.structure_id for one in result.labels]
    assert [one.info["high_stderr_wanted"] for one in chosen] == [one.stderr for one in result.labels]
    assert all(not one.labels for one in chosen)
    for course in result.courses:
        assert len(course.cost) == len(course.bars[0])
        for bars in course.bars:
            assert all(np.diff(bars) <= 1e-9)  # a label never makes anything less sure
    ends = {course.way: course.bars for course in result.courses}
    for index, question in enumerate(result.questions):
        assert question.model_error <= ends["chosen"][index][-1] + 1e-9
    assert "Labels to compute" in shown
    assert "are waste" in shown
    assert (files / "out" / "select.html").stat().st_size > 1000


def test_energies_of_a_table_are_not_asked_for_again(files: Path, lifted: Checkpoint) -> None:
    rows = [
        EnergyRow("one-1", "high", -1.0),
        EnergyRow("one-2", "low", -1.0),
        EnergyRow("one-4", "high", 0.1, minus="one-6"),
    ]
    write_energy_table(files / "labels.csv", rows)
    asked = SelectionTask(pool=(files / "pool.extxyz",), labels=(files / "labels.csv",), count=1)
    result = select_labels(Opened.of(RungCalculator(lifted, fidelity="high"), fidelity="high"), asked, files / "out")
    assert result.candidates == 6  # a difference leaves both its structures worth a label


def test_a_folder_belongs_to_one_question(files: Path, lifted: Checkpoint) -> None:
    potential = Opened.of(RungCalculator(lifted, fidelity="high"), fidelity="high")
    task = SelectionTask(pool=(files / "pool.extxyz",), count=2)
    first = select_labels(potential, task, files / "out")
    assert select_labels(potential, task, files / "out").labels == first.labels
    with pytest.raises(DataError, match="another setting"):
        select_labels(potential, SelectionTask(pool=(files / "pool.extxyz",), count=3), files / "out")


def test_what_cannot_be_chosen_from_is_refused(files: Path, lifted: Checkpoint, tiny_potential) -> None:
    potential = Opened.of(RungCalculator(lifted, fidelity="high"), fidelity="high")
    bare = Opened.of(RungCalculator(tiny_potential, fidelity="low"), fidelity="low")
    with pytest.raises(ConfigError, match="no error bars"):
        select_labels(bare, SelectionTask(pool=(files / "pool.extxyz",)), files / "a")
    labelled = [one for one in read_structures(files / "pool.extxyz") if one.labels]
    write_structures(files / "known.extxyz", labelled)
    with pytest.raises(DataError, match="1 structure is in the pool and has high_energy"):
        select_labels(potential, SelectionTask(pool=(files / "known.extxyz",)), files / "b")
    with pytest.raises(DataError, match="band has at least two"):
        select_labels(potential, SelectionTask(pool=(files / "pool.extxyz",), band=files / "known.extxyz"), files / "c")
    with pytest.raises(DataError, match="frame 0: no finite number coefficient"):
        select_labels(potential, SelectionTask(pool=(files / "pool.extxyz",), sum=files / "band.extxyz"), files / "d")
    band = read_structures(files / "band.extxyz")
    energies = [potential.calculator.get_potential_energy(one.atoms) for one in band]
    write_structures(files / "down.extxyz", [band[int(place)] for place in np.argsort(energies)[::-1]])
    down = SelectionTask(pool=(files / "pool.extxyz",), band=files / "down.extxyz")
    with pytest.raises(DataError, match="the first image is the highest, so the path has no barrier"):
        select_labels(potential, down, files / "e")
    twice = [replace(band[0], structure_id="", info={"coefficient": sign}) for sign in (1.0, -1.0)]
    write_structures(files / "nothing.extxyz", twice)
    with pytest.raises(DataError, match=r"The sum of nothing\.extxyz leaves nothing open"):
        select_labels(
            potential, SelectionTask(pool=(files / "pool.extxyz",), sum=files / "nothing.extxyz"), files / "f"
        )
    with pytest.raises(ValueError, match="nothing is asked for"):
        SelectionTask(pool=(files / "pool.extxyz",), energies=0.0)
