"""A relaxation from files: what the command says of it, and whose folder it is."""

from math import isnan
from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from rung.cli import main
from rung.errors import DataError, StorageError
from rung.evaluate.relaxation import RelaxationSettings
from rung.report.tasks.relaxation import relaxation_summary
from rung.results.relaxation import RelaxationResult
from rung.storage import FolderLock, read_json
from rung.tasks.opened import Opened
from rung.tasks.relaxation import RelaxationTask, relax_file
from tests.tasks.test_domain import hop, known, two_levels


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


def test_where_it_ends_has_an_error_bar_and_is_looked_for_in_the_domain(tmp_path: Path) -> None:
    images = hop()
    settings = RelaxationSettings(steps=1)
    for image, near, domain in ((images[0], images[:1], "inside"), (images[3], images[:1], "outside")):
        write(tmp_path / f"{domain}.xyz", image, format="extxyz")
        potential = Opened.of(two_levels(domain=known(near)), fidelity="high", source="model.rung")
        task = RelaxationTask(start=tmp_path / f"{domain}.xyz", relaxation=settings)
        result = relax_file(potential, task, tmp_path / domain)
        assert result.domain is not None and result.domain.domain == domain
        end = read(tmp_path / domain / "relaxed.extxyz")
        assert result.energy_stderr == pytest.approx(potential.error_bars.combination([end], [1.0]).total, rel=1e-6)
        summary = relaxation_summary(RelaxationResult.read(tmp_path / domain / "relax.json"))
        assert result.domain.verdict in (summary.sentences if domain == "inside" else summary.warnings)
        assert f" ± {result.energy_stderr:.3f} eV" in summary.sentences[0]


def test_other_calculators_have_neither(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", bulk("Cu", cubic=True), format="extxyz")
    result = relax_file(
        Opened.of(EMT(), fidelity="emt"), RelaxationTask(start=tmp_path / "start.xyz"), tmp_path / "out"
    )
    assert result.domain is None and isnan(result.energy_stderr)
    assert "±" not in relaxation_summary(result).sentences[0]
