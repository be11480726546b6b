"""Barriers of tasks: one folder belongs to one pair of ends and one potential, and may gain fidelities and paths."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from rung.campaign.questions import BarrierQuestion
from rung.errors import ConfigError, DataError
from rung.evaluate.paths.barrier import BandSettings
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


@pytest.fixture
def floor(tmp_path: Path) -> list[Atoms]:
    """Nine images on the floor of the valley, from minimum to minimum, which ``floor.xyz`` holds."""
    left, _, right = DoubleWell(tilt=0.1).stationary()
    images = [at(x, 0.5 * (1 - x**2)) for x in np.linspace(left, right, 9)]
    write(tmp_path / "floor.xyz", images, format="extxyz")
    return images


def test_a_band_that_begins_on_the_floor_of_the_valley_needs_only_its_saddle(
    task: BarrierTask, floor: list[Atoms], tmp_path: Path
) -> None:
    whole = task.model_copy(update={"band": BandSettings(max_steps=500)})
    guessed = whole.model_copy(update={"guess": tmp_path / "floor.xyz"})
    (panel,) = find_barriers(opened(0.1), guessed, tmp_path / "guessed")
    assert panel.barriers[0].images[0].images == len(floor)
    assert panel.barriers[0].value == pytest.approx(DoubleWell(tilt=0.1).truth()[0], abs=2e-3)
    flat = {"band": BandSettings(max_steps=1, climb=False)}
    (at_once,) = find_barriers(opened(0.1), guessed.model_copy(update=flat), tmp_path / "flat")
    (bent,) = find_barriers(opened(0.1), whole.model_copy(update={**flat, "images": len(floor)}), tmp_path / "bent")
    assert 3 * at_once.barriers[0].max_force < bent.barriers[0].max_force
    with pytest.raises(DataError, match="holds a barrier of another start"):
        find_barriers(opened(0.1), whole, tmp_path / "guessed")
    refined = guessed.model_copy(update={"images": "auto"})
    (panel,) = find_barriers(opened(0.1), refined, tmp_path / "refined")
    assert [size.images for size in panel.barriers[0].images] == [9, 17]


def test_a_guess_that_cannot_be_is_refused_before_any_band_is_relaxed(
    task: BarrierTask, floor: list[Atoms], tmp_path: Path
) -> None:
    bands = {"short": floor[:2], "strange": [*floor[:4], molecule("H2")]}
    for name, sentence in (("short", "has at least three images, not 2"), ("strange", "strange.xyz, frame 4")):
        write(tmp_path / f"{name}.xyz", bands[name], format="extxyz")
        with pytest.raises(DataError, match=sentence):
            find_barriers(opened(0.1), task.model_copy(update={"guess": tmp_path / f"{name}.xyz"}), tmp_path / "out")
    alone = BarrierTask(guess=tmp_path / "floor.xyz", path=tmp_path / "floor.xyz")
    with pytest.raises(ConfigError, match="give the initial and the final structure too"):
        find_barriers(opened(0.1), alone, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_draw_which_has_no_spread_is_refused_before_any_band_is_relaxed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'draws': .*one draw has no spread; give 0, or 2 or more"):
        BarrierTask.read({"initial": tmp_path / "a.xyz", "final": tmp_path / "b.xyz", "draws": 1})
    with pytest.raises(ConfigError, match="one draw has no spread"):
        BarrierQuestion.read({"tolerance": 0.1, "initial": "a.xyz", "final": "b.xyz", "draws": 1})
