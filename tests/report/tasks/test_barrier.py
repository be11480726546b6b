"""The page of a real barrier, made by the task on potentials whose answers are known, and read as text."""

from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write

from rung.errors import StorageError
from rung.report.tables import digits
from rung.report.tasks.barrier import write_barrier_report
from rung.results.barrier_task import read_task_panels
from rung.storage import read_json, write_json
from rung.tasks.barrier import BarrierTask, find_barriers
from rung.tasks.opened import Opened
from tests.evaluate.paths.wells import DoubleWell, at
from tests.pair_hop import ends, lifted
from tests.report.test_page import Page


def structure(path: Path, atoms: Atoms) -> Path:
    write(path, atoms, format="extxyz")
    return path


@pytest.fixture(scope="module")
def barrier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ``rung barrier``: a hop with its posterior draws, and a fixed path beside."""
    folder = tmp_path_factory.mktemp("barrier")
    first, last = ends()
    path = [first.copy() for _ in range(5)]
    for place, image in enumerate(path):
        image.positions[2, 0] = 1.4 + (last.positions[2, 0] - 1.4) * place / 4
    write(folder / "path.extxyz", path, format="extxyz")
    task = BarrierTask(
        initial=structure(folder / "a.xyz", first),
        final=structure(folder / "b.xyz", last),
        path=folder / "path.extxyz",
        images=5,
        draws=3,
        check_saddle=False,
        band={"fmax": 0.01, "endpoint_fmax": 0.002},
    )
    find_barriers({"high": Opened.of(lifted(), fidelity="high")}, task, folder / "out")
    return folder / "out"


def test_a_relaxed_hop_and_a_fixed_path(barrier: Path) -> None:
    relaxed, fixed = read_task_panels(barrier / "barrier.json")
    (entry,) = relaxed.barriers
    page = Page((barrier / "barrier.html").read_text())
    assert page.headings == ["Barrier", "Relaxed band", "Posterior draws", "Along path.extxyz as it is"]
    numbers = (entry.value, entry.stderr, entry.stderr_total, entry.reverse)
    assert f"high {' '.join(f'{number:.3f}' for number in numbers)}" in page.text
    assert f"high {fixed.barriers[0].value:.3f}" in page.text
    assert "The path is symmetric" in page.text


def test_modes_and_rates_of_a_barrier(tmp_path: Path) -> None:
    task = BarrierTask(
        initial=structure(tmp_path / "a.xyz", at(-0.9, 0.1)),
        final=structure(tmp_path / "b.xyz", at(1.1)),
        temperatures=(300.0, 600.0),
        band={"fmax": 0.01, "endpoint_fmax": 0.002},
    )
    (panel,) = find_barriers({"high": Opened.of(DoubleWell(), fidelity="high")}, task, tmp_path / "out")
    (entry,) = panel.barriers
    page = Page((tmp_path / "out" / "barrier.html").read_text())
    assert page.headings == ["Barrier", "Relaxed band", "Rates"]
    assert f"high {DoubleWell().truth()[0]:.3f} – – " in page.text
    assert "The saddle has exactly one imaginary mode" in page.text
    assert "no recrossing and no tunnelling" in page.text
    for rate in entry.rates:
        assert f"high {rate.temperature:.0f} {digits(rate.prefactor)} {digits(rate.rate)}" in page.text


def test_a_band_that_did_not_converge_is_said_first(tmp_path: Path) -> None:
    task = BarrierTask(
        initial=structure(tmp_path / "a.xyz", at(-0.9, 0.1)),
        final=structure(tmp_path / "b.xyz", at(1.1)),
        band={"max_steps": 3},
    )
    find_barriers({"high": Opened.of(DoubleWell(), fidelity="high")}, task, tmp_path / "out")
    page = Page((tmp_path / "out" / "barrier.html").read_text())
    assert "high: no barrier, the band has forces of" in page.text
    assert "after 3 steps." in page.text


def test_a_damaged_result_is_named(barrier: Path, tmp_path: Path) -> None:
    content = read_json(barrier / "barrier.json")
    del content[0]["barriers"][0]["value"]
    write_json(tmp_path / "barrier.json", content)
    with pytest.raises(StorageError, match=r"barrier\.json is damaged at '0.barriers.0.value'"):
        write_barrier_report(tmp_path)
