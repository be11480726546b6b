"""A free energy says whether the structures of its windows are inside the domain of the fit, and which error holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from rung.report.tasks.free_energy import free_energy_summary
from rung.results.free_energy import FreeEnergyResult
from rung.tasks.free_energy import FreeEnergyTask, find_free_energy
from rung.tasks.opened import Opened
from tests.report.test_page import Page
from tests.tasks.test_domain import hop, known, two_levels


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
