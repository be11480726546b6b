"""Dynamics of tasks: the folder's owner, and the errors that the leverage is compared with."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from rung.errors import ConfigError, DataError
from rung.report.tasks.md import md_summary
from rung.results.md import MDResult
from rung.tasks.md import MDTask, find_md
from rung.tasks.opened import Opened
from tests.evaluate.free_energy.umbrella_worlds import QuickWell
from tests.pair_hop import ends, lifted
from tests.report.test_page import Page
from tests.tasks.test_domain import hop, known, two_levels


def task(start: Path, **changes: object) -> MDTask:
    dynamics = {"temperature": 300, "steps": 30, "timestep": 0.2, "remove_drift": False, **changes}
    return MDTask(start=start, dynamics=dynamics)


def test_another_potential_or_setting_is_refused_and_more_steps_go_on(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    out, here = tmp_path / "out", Opened.of(QuickWell(), fidelity="model")
    find_md(here, task(tmp_path / "start.xyz"), out)
    with pytest.raises(DataError, match="holds a run of dynamics of another potential at model"):
        find_md(Opened.of(QuickWell(), fidelity="model", source="elsewhere:well"), task(tmp_path / "start.xyz"), out)
    with pytest.raises(DataError, match="holds a run of dynamics of another setting"):
        find_md(here, task(tmp_path / "start.xyz", seed=1), out)
    assert find_md(here, task(tmp_path / "start.xyz", steps=40), out).steps == 40


def test_the_leverage_is_that_over_the_largest_error_of_each_element(tmp_path: Path) -> None:
    start, far = ends()[0], ends()[0]
    far.positions[2, 0] = 2.2
    write(tmp_path / "start.xyz", start, format="extxyz")
    write(tmp_path / "known.xyz", [start, far], format="extxyz")
    potential = Opened.of(lifted(), fidelity="high")
    errors = [potential.error_bars.of_atoms(atoms) for atoms in (start, far)]
    ratio = float((errors[0] / np.maximum(*errors)).max())
    for factor, stops in ((0.999, True), (1.001, False)):
        limit = task(tmp_path / "start.xyz", leverage_limit=factor * ratio, leverage_every=1, steps=1, timestep=1e-6)
        chosen = limit.model_copy(update={"leverage_reference": tmp_path / "known.xyz"})
        result = find_md(potential, chosen, tmp_path / f"{factor}")
        assert ("times that of the reference structures" in result.reason) == stops
    assert len(read(tmp_path / "0.999" / "for_labelling.extxyz")) == 3
    with pytest.raises(DataError, match="of another setting"):
        find_md(potential, limit, tmp_path / "0.999")  # the start alone is another reference
    write(tmp_path / "oxygen.xyz", far[far.symbols == "O"], format="extxyz")
    chosen = limit.model_copy(update={"leverage_reference": tmp_path / "oxygen.xyz"})
    with pytest.raises(DataError, match=r"oxygen.xyz has no C, and .*start.xyz has: nothing says how large an error"):
        find_md(potential, chosen, tmp_path / "oxygen")
    other = Opened.of(QuickWell(), fidelity="model")
    with pytest.raises(ConfigError, match="needs a model with a posterior"):
        find_md(other, task(tmp_path / "start.xyz", leverage_limit=2.0), tmp_path / "other")


def test_frames_outside_the_domain_are_counted_with_the_time_of_the_first(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", hop()[3], format="extxyz")
    short = task(tmp_path / "start.xyz", steps=6, frame_every=2)
    for part, word in ((hop()[:1], "outside"), (hop()[2:5], "inside"), (None, "unknown")):
        domain = None if part is None else known(part)
        potential = Opened.of(two_levels(domain=domain), fidelity="high")
        result = find_md(potential, short, tmp_path / word)
        read_back = MDResult.read(tmp_path / word / "md.json").domain
        assert result.domain is not None and read_back is not None
        assert (read_back.domain, read_back.verdict) == (word, result.domain.verdict)
        shown = Page((tmp_path / word / "md.html").read_text()).text
        assert (read_back.verdict in shown) == (word == "outside")
        assert (read_back.verdict in md_summary(result).warnings) == (word == "outside")
    outside = MDResult.read(tmp_path / "outside" / "md.json").domain
    assert outside is not None
    assert (outside.n_structures, outside.n_outside, outside.first_ps) == (4, 4, 0.0)
    assert "4 of 4 frames, the first at 0 ps" in outside.verdict
    assert find_md(Opened.of(QuickWell(), fidelity="model"), task(lone(tmp_path)), tmp_path / "other").domain is None


def lone(folder: Path) -> Path:
    write(folder / "lone.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    return folder / "lone.xyz"
