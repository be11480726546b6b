"""``rung barrier``: the numbers it writes, its exit code, and one sentence for each thing that cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from rung.cli import main
from rung.storage import read_json
from tests.evaluate.paths.wells import DoubleWell, at
from tests.pair_hop import APART, ends, lifted

WELL = "tests.evaluate.paths.wells:tilted"
PAIR = "tests.pair_hop:lifted"
QUICK = ["--trusted", "--fmax", "0.01", "--endpoint-fmax", "0.002"]

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on two structures in the test's folder; return its code and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def command(first: Atoms | None, last: Atoms | None, *words: str, model: str = WELL) -> tuple[int, Any]:
        files = []
        for name, atoms in (("initial.xyz", first), ("final.xyz", last)):
            if atoms is not None:
                write(name, atoms, format="extxyz")
                files.append(name)
        code = main(["barrier", model, *files, "--fidelity", "high", "--out", "out", *QUICK, *words])
        result = tmp_path / "out" / "barrier.json"
        return code, read_json(result) if result.exists() else None

    return command


def test_the_barrier_is_the_analytic_one_with_its_rate(run: Run, tmp_path: Path) -> None:
    code, panels = run(at(-0.9, 0.1), at(1.1), "--rate", "300", "600")
    assert code == 0
    (entry,) = panels[0]["barriers"]
    barrier, reaction = DoubleWell().truth()
    assert entry["value"] == pytest.approx(barrier, abs=1e-4)
    assert entry["reaction"] == pytest.approx(reaction, abs=1e-5)
    assert entry["saddle_modes"]["n_imaginary"] == 1
    assert [rate["temperature"] for rate in entry["rates"]] == [300.0, 600.0]
    ratio = entry["rates"][1]["rate"] / entry["rates"][0]["rate"]
    assert ratio == pytest.approx(np.exp(barrier / 8.617333e-5 * (1 / 300 - 1 / 600)), rel=1e-2)
    assert entry["rates"][0]["factor"] is None
    band = read(tmp_path / "out" / "high" / "band.extxyz", ":")
    assert len(band) == 7
    assert band[3].get_potential_energy() - band[0].get_potential_energy() == pytest.approx(barrier, abs=1e-3)
    page = (tmp_path / "out" / "barrier.html").read_text()
    assert "exactly one imaginary mode" in page
    assert "Vineyard prefactor" in page


def test_swapped_ends_flip_the_reaction_energy_exactly(run: Run, tmp_path: Path) -> None:
    _, there = run(at(-0.9, 0.1), at(1.1), "--no-modes")
    (tmp_path / "out").rename(tmp_path / "there")
    _, back = run(at(1.1), at(-0.9, 0.1), "--no-modes")
    assert back[0]["barriers"][0]["reaction"] == -there[0]["barriers"][0]["reaction"]


def test_three_steps_are_no_barrier(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, panels = run(at(-0.9, 0.1), at(1.1), "--steps", "3")
    assert code == 1
    (entry,) = panels[0]["barriers"]
    assert entry["value"] is None
    assert entry["reverse"] is None
    assert not entry["converged"]
    assert "after 3 steps" in entry["reason"]
    assert "no barrier of high" in capsys.readouterr().err
    assert len(read(tmp_path / "out" / "high" / "band.extxyz", ":")) == 7
    code, panels = run(at(-0.9, 0.1), at(1.1), "--no-modes")
    assert code == 0
    assert panels[0]["barriers"][0]["value"] == pytest.approx(DoubleWell().truth()[0], abs=1e-4)


def test_images_are_chosen(run: Run) -> None:
    code, panels = run(at(-0.9, 0.1), at(1.1), "--images", "auto", "--no-modes")
    assert code == 0
    (entry,) = panels[0]["barriers"]
    assert [one["images"] for one in entry["images"]] == [5, 9]
    assert entry["value"] == pytest.approx(DoubleWell().truth()[0], abs=1e-4)


def test_error_bars_of_first_order_and_of_draws(run: Run) -> None:
    code, panels = run(*ends(), "--draws", "3", "--images", "5", "--no-modes", model=PAIR)
    assert code == 0
    (entry,) = panels[0]["barriers"]
    calculator = lifted()
    band = read("out/high/band.extxyz", ":")
    variance = calculator.energy_difference_variance(band[2], band[0])
    assert entry["stderr_first_order"] == pytest.approx(np.sqrt(variance.weights), rel=1e-4)
    assert entry["stderr_total_first_order"] == pytest.approx(np.sqrt(variance.total), rel=1e-4)
    assert entry["draws"]["n_converged"] == 3
    assert entry["stderr"] == pytest.approx(np.std(entry["draws"]["barriers"], ddof=1))
    own = variance.total - variance.weights
    assert entry["stderr_total"] == pytest.approx(np.sqrt(entry["stderr"] ** 2 + own), rel=1e-4)
    assert "symmetric" in " ".join(entry["notes"])


def test_target_energies_stand_beside_the_potential(run: Run, tmp_path: Path) -> None:
    band = [ends()[0] for _ in range(6)]
    calculator = lifted()
    noise = np.array([0.02, -0.03, 0.05, 0.01, -0.02, 0.03])
    for place, image in enumerate(band):
        image.positions[2, 0] = 1.4 + (APART - 2.8) * place / 5
        image.set_constraint()
        image.info = {"dmc_energy": calculator.get_potential_energy(image) + noise[place], "dmc_energy_stderr": 0.03}
    write(tmp_path / "dmc.extxyz", band, format="extxyz")
    code, panels = run(None, None, "--energies", "dmc.extxyz", "--target", "dmc", model=PAIR)
    assert code == 0
    names = [entry["name"] for entry in panels[0]["barriers"]]
    assert names == ["high", "dmc energies, highest", "dmc energies, smooth curve", "dmc energies on the shape of high"]
    found = dict(zip(names, panels[0]["barriers"], strict=True))
    assert found["dmc energies, highest"]["bias"] > 0
    assert found["dmc energies on the shape of high"]["value"] == pytest.approx(found["high"]["value"], abs=0.04)
    assert len(panels[0]["points"]["energies"]) == 6
    assert "diamond" in (tmp_path / "out" / "barrier.html").read_text()


@pytest.mark.parametrize(
    ("first", "last", "words", "sentence"),
    [
        (at(-0.9), at(-0.9), [], "are the same"),
        (at(-0.9), Atoms("O", positions=[[1.1, 0, 0]]), [], "one formula"),
        (at(-0.9), None, [], "Give the initial and the final structure"),
        (at(-0.9), at(1.1), ["--fidelity", "low"], "holds one fidelity and was asked for high, low"),
        (at(-0.9), at(1.1), ["--images", "2"], "greater than or equal to 3"),
        (at(-0.9), at(1.1), ["--path", "none.xyz"], "none.xyz"),
        (at(-0.9), at(1.1), ["--energies", "initial.xyz"], "--target"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, first: Atoms, last: Atoms | None, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(first, last, "--no-modes", *words)[0] == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rung: ")]
    assert len(said) == 1
    assert sentence in said[0]


def test_like_atoms_in_another_order_are_matched_on_request(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = ends()
    swapped = last[[1, 0, 2]]
    assert run(first, swapped, model=PAIR)[0] == 2
    assert "match_atoms" in capsys.readouterr().err
    assert run(first, swapped, "--match-atoms", "--no-modes", "--draws", "0", "--images", "5", model=PAIR)[0] == 0


def test_a_missing_element_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [Atoms("FC", positions=[[0, 0, 0], [x, 0, 0]]) for x in (1.2, 2.4)]
    assert run(*pair, model=PAIR)[0] == 2
    assert "does not know F" in capsys.readouterr().err


def test_an_untrusted_module_does_not_run(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("initial.xyz", at(-0.9), format="extxyz")
    write("final.xyz", at(1.1), format="extxyz")
    assert main(["barrier", WELL, "initial.xyz", "final.xyz", "--fidelity", "high"]) == 2
    assert "--trusted" in capsys.readouterr().err
