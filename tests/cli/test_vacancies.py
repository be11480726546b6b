"""``rung vacancies`` on atoms that know nothing of each other: every number is known beforehand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.cli import main
from rung.errors import DataError
from rung.storage import read_json
from rung.tasks import vacancies
from tests.evaluate.paths.wells import Carton

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in the test's folder; return its code and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, Any]:
        given = [
            "vacancies",
            "tests.evaluate.paths.wells:carton",
            "--fidelity",
            "high",
            "--trusted",
            "--out",
            "out",
            "--images",
            "3",
            *words,
        ]
        code = main(given)
        result = tmp_path / "out" / "vacancies.json"
        return code, read_json(result) if result.exists() else None

    return command


@pytest.mark.slow
def test_independent_atoms_hop_at_the_height_of_the_carton(run: Run, tmp_path: Path) -> None:
    code, found = run("--counts", "2", "--ways", "sequential", "--chemical-potential", "high=-5")
    assert code == 0
    (hop,) = found["hops"]
    assert hop["barrier"] == pytest.approx(4 * Carton.height, abs=2e-3)
    assert hop["per_atom"] == hop["barrier"]
    assert hop["converged"]
    assert [cell["size"] for cell in hop["cells"]] == [[4, 3], [5, 4]]
    energies = {energy["name"]: energy["value"] for energy in found["defects"][0]["energies"]}
    assert energies["binding of two vacancies, neighbours"] == pytest.approx(0.0, abs=1e-6)
    assert energies["binding of two vacancies, column"] == pytest.approx(0.0, abs=1e-6)
    assert energies["formation, single"] == pytest.approx(2.0 - 5.0, abs=1e-6)
    assert energies["formation, column"] == pytest.approx(2 * (2.0 - 5.0), abs=1e-6)
    assert "Vacancies in MoS2" in (tmp_path / "out" / "vacancies.html").read_text()[:400]


def test_what_is_finished_is_not_done_again(run: Run, tmp_path: Path) -> None:
    words = ["--counts", "1", "--most-margin", "2"]
    code, before = run(*words)
    assert code == 1
    assert "only one size of cell" in before["hops"][0]["reason"]
    band = tmp_path / "out" / "high" / "concerted" / "1-vacancies" / "3x3" / "hop-0" / "band.traj"
    written = band.stat().st_mtime_ns
    code, after = run("--counts", "1")
    assert code == 0
    assert band.stat().st_mtime_ns == written
    assert after["hops"][0]["cells"][0] == before["hops"][0]["cells"][0]
    assert after["hops"][0]["way"] == "concerted"
    assert after["hops"][0]["barrier"] == pytest.approx(4 * Carton.height, abs=2e-3)


def test_a_band_that_does_not_converge_has_no_number(run: Run) -> None:
    code, found = run("--counts", "1", "--steps", "1")
    assert code == 1
    assert found["hops"][0]["barrier"] is None
    assert "after 1 step" in found["hops"][0]["reason"]


def test_hops_stand_where_a_defect_does_not_relax(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, steps: int, **__: Any) -> None:
        raise DataError(f"Mo16S30 did not relax to 0.02 eV/Å in {steps} steps; allow more steps.")

    monkeypatch.setattr(vacancies, "relaxed", never)
    code, found = run("--counts", "1", "--steps", "40")
    assert code == 1
    assert found["hops"][0]["barrier"] == pytest.approx(4 * Carton.height, abs=2e-3)
    (entry,) = found["defects"]
    assert entry["energies"] == []
    assert "in 40 steps; allow more steps" in entry["refused"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--chemical-potential", "-5"], "fidelity=value"),
        (["--chemical-potential", "low=-5"], "there is: high"),
        (["--metal", "Xq"], "Xq"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words)[0] == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rung: ")]
    assert len(said) == 1
    assert sentence in said[0]


def test_the_carton_has_the_forces_of_its_energy() -> None:
    from rung.evaluate.paths.vacancies import Monolayer

    atoms = Monolayer().build((2, 2))
    atoms.positions += np.random.default_rng(0).normal(scale=0.3, size=atoms.positions.shape)
    calculator = Carton()
    forces = calculator.get_forces(atoms)
    for index, axis in ((0, 0), (1, 1), (2, 2), (5, 0)):
        moved = []
        for way in (1e-4, -1e-4):
            other = atoms.copy()
            other.positions[index, axis] += way
            moved.append(calculator.get_potential_energy(other))
        assert forces[index, axis] == pytest.approx((moved[1] - moved[0]) / 2e-4, abs=1e-6)
