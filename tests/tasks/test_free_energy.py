"""A free energy says whether the structures of its windows are inside the domain of the fit, and which error holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from rung.errors import DataError
from rung.report.tasks.free_energy import free_energy_summary
from rung.results.free_energy import FreeEnergyResult
from rung.tasks.free_energy import FreeEnergyTask, find_free_energy
from rung.tasks.opened import Opened
from tests.report.test_page import Page
from tests.tasks.test_domain import hop, known, two_levels


def moving(folder: Path, text: str, *, held: bool = True, **sampling: object) -> FreeEnergyTask:
    """Return the task of a few steps along a variable of three atoms, files in ``folder``."""
    start = hop()[3]
    if not held:
        start.set_constraint()
    write(folder / "start.xyz", start, format="extxyz")
    (folder / "cv.yaml").write_text(f"kind: projected_displacement\natom: 2\norigin: [2.5, 0, 0]\n{text}\n")
    few = {"temperature": 100, "spring": 20, "steps": 20, "timestep": 0.5, **sampling}
    return FreeEnergyTask(
        start=folder / "start.xyz", variable=folder / "cv.yaml", windows=(-0.1, 0.1, 3), sampling=few, draws=0
    )


def test_another_variable_of_the_same_name_is_refused_and_a_moved_one_goes_on(tmp_path: Path) -> None:
    """Windows of two variables would be joined as those of one."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    end = hop()[3]
    end.positions[2, 0] += 1.0
    write(here / "end.xyz", end, format="extxyz")
    task = moving(here, "end: end.xyz\nrelative_to: [0]")
    potential = Opened.of(two_levels(domain=known(hop()[:1])), fidelity="high")
    first = find_free_energy(potential, task, here / "out")
    here.rename(there)
    moved = task.model_copy(update={"start": there / "start.xyz", "variable": there / "cv.yaml"})
    assert find_free_energy(potential, moved, there / "out").samples == first.samples
    end.positions[2] += (0.0, 1.0, 0.0)
    write(there / "end.xyz", end, format="extxyz")
    with pytest.raises(DataError, match="of another collective variable"):
        find_free_energy(potential, moved, there / "out")


def test_a_variable_that_drags_all_atoms_along_is_refused(tmp_path: Path) -> None:
    """A spring on one atom in space pulls a free crystal along until it is slack, and no window is where it should."""
    potential = Opened.of(two_levels(domain=known(hop()[:1])), fidelity="high")
    with pytest.raises(DataError, match="would drag the whole structure; give the atoms that it counts from"):
        find_free_energy(potential, moving(tmp_path, "direction: [1, 0, 0]", held=False), tmp_path / "out")
    outer = moving(tmp_path, "direction: [1, 0, 0]", held=False, remove_drift=False)
    assert len(find_free_energy(potential, outer, tmp_path / "outer").samples) == 3


@pytest.mark.parametrize(("limit", "word"), [(3.0, "outside"), (np.inf, "inside")])
def test_structures_outside_the_domain_are_counted(tmp_path: Path, limit: float, word: str) -> None:
    write(tmp_path / "start.xyz", hop()[3], format="extxyz")
    variable = tmp_path / "cv.yaml"
    variable.write_text("kind: projected_displacement\natom: 2\ndirection: [1, 0, 0]\norigin: [2.5, 0, 0]\n")
    task = FreeEnergyTask(
        start=tmp_path / "start.xyz",
        variable=variable,
        windows=(-0.1, 0.1, 3),
        sampling={"temperature": 100, "spring": 20, "steps": 100, "timestep": 0.5, "remove_drift": False},
        draws=0,
    )
    near = replace(known(hop()[:1]), distance_limit=limit, leverage_limit=limit)
    potential = Opened.of(two_levels(domain=near), fidelity="high")
    domain = find_free_energy(potential, task, tmp_path / "out").domain
    assert domain is not None
    assert domain.domain == word and domain.n_structures > 0
    assert (domain.n_outside == 0) == (word == "inside")
    assert domain.first.startswith("window-0") == (word == "outside")
    said = "posterior draws says nothing" if word == "outside" else "quote the statistical error"
    assert said in domain.verdict.lower().replace("says nothing of the model's error there", "says nothing")
    result = FreeEnergyResult.read(tmp_path / "out" / "free_energy.json")
    assert result.domain is not None and result.domain.verdict == domain.verdict
    assert (domain.verdict in free_energy_summary(result).warnings) == (word == "outside")
    page = Page((tmp_path / "out" / "free_energy.html").read_text())
    assert (domain.verdict in page.text) == (word == "outside")
