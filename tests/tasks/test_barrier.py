"""Barriers of tasks: one folder belongs to one pair of ends and one potential, and may gain fidelities and paths."""

from pathlib import Path

import pytest
from ase.io import write

from rung.errors import DataError
from rung.results.barrier_task import read_task_panels
from rung.results.task import TaskProvenance
from rung.storage import content_hash
from rung.tasks.barrier import BarrierTask, find_barriers
from rung.tasks.opened import Opened
from tests.evaluate.paths.wells import DoubleWell, at


def opened(tilt: float, fidelity: str = "high") -> dict[str, Opened]:
    return {fidelity: Opened(DoubleWell(tilt=tilt), fidelity, "well", content_hash(tilt), offered=(fidelity,))}


@pytest.fixture
def task(tmp_path: Path) -> BarrierTask:
    for name, atoms in (("a", at(-0.9, 0.1)), ("b", at(1.1)), ("c", at(0.9))):
        write(tmp_path / f"{name}.xyz", atoms, format="extxyz")
    return BarrierTask(
        initial=tmp_path / "a.xyz", final=tmp_path / "b.xyz", images=5, check_saddle=False, band={"max_steps": 5}
    )


def test_another_potential_and_other_ends_are_refused(task: BarrierTask, tmp_path: Path) -> None:
    out = tmp_path / "out"
    find_barriers(opened(0.1), task, out)
    with pytest.raises(DataError, match="holds a barrier of another potential at high"):
        find_barriers(opened(0.2), task, out)
    with pytest.raises(DataError, match="holds a barrier of another start"):
        find_barriers(opened(0.1), task.model_copy(update={"final": tmp_path / "c.xyz"}), out)
    with pytest.raises(DataError, match="holds a barrier of another setting"):
        find_barriers(opened(0.1), task.model_copy(update={"band": task.band.model_copy(update={"fmax": 0.2})}), out)


def test_more_steps_and_another_fidelity_go_on(task: BarrierTask, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (short,) = find_barriers(opened(0.1), task, out)
    assert "after 5 steps" in short.barriers[0].reason
    longer = task.model_copy(update={"band": task.band.model_copy(update={"max_steps": 500})})
    (panel,) = find_barriers(opened(0.1) | opened(0.2, "low"), longer, out)
    assert panel.barriers[0].value == pytest.approx(DoubleWell(tilt=0.1).truth()[0], abs=2e-3)
    assert panel.barriers[1].value == pytest.approx(DoubleWell(tilt=0.2).truth()[0], abs=2e-3)
    content = TaskProvenance.read(out / "provenance.json")
    assert list(content.potentials) == ["high", "low"]
    assert len(content.calls) == 2
    assert [entry.name for entry in read_task_panels(out / "barrier.json")[0].barriers] == ["high", "low"]


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"dmc_energy": float("inf"), "dmc_energy_stderr": 0.1}, "band.extxyz, frame 3: dmc_energy is infinite"),
        ({"dmc_energy": -1.0, "dmc_energy_stderr": -0.1}, "band.extxyz, frame 3: dmc_energy_stderr is negative"),
        ({"dmc_energy": -1.0, "dmc_energy_stderr": 0.0}, "band.extxyz, frame 3: dmc_energy_stderr is 0"),
        ({"dmc_energy": -1.0}, "band.extxyz, frame 3: every image of a noisy band needs dmc_energy_stderr"),
        ({"dmc_energy_stderr": 0.1}, "band.extxyz, frame 3: every image of a noisy band needs dmc_energy"),
    ],
)
def test_energies_that_cannot_be_are_refused_before_any_band_is_relaxed(
    task: BarrierTask, tmp_path: Path, info: dict[str, float], sentence: str
) -> None:
    images = [at(-0.9 + 0.4 * k) for k in range(5)]
    for image in images:
        image.info |= {"dmc_energy": -1.0, "dmc_energy_stderr": 0.1}
    images[3].info = info
    write(tmp_path / "band.extxyz", images, format="extxyz")
    labelled = task.model_copy(update={"energies": tmp_path / "band.extxyz", "target": "dmc"})
    with pytest.raises(DataError, match=sentence):
        find_barriers(opened(0.1), labelled, tmp_path / "out")
    assert not (tmp_path / "out").exists()
