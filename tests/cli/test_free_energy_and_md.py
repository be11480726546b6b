"""`rung free-energy` and `rung md`: what they print, write and return."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from rung.calculator import RungCalculator
from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.storage import read_json
from tests.run.small_world import SmallWorld

WELL = "tests.evaluate.free_energy.umbrella_worlds:quick_well"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    write(tmp_path / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    (tmp_path / "cv.yaml").write_text(
        "kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n"
    )
    return tmp_path / "start.xyz"


def free_energy(start: Path, *more: str, model: str = WELL) -> int:
    folder = start.parent
    words = ["free-energy", model, str(start), "--fidelity", "model", "--cv", str(folder / "cv.yaml")]
    words += ["--temperature", "600", "--out", str(folder / "out"), "--free-drift", "--friction", "0.05"]
    return main([*words, *more])


PLACES = ("--windows", "-1.4", "1.4", "9", "--spring", "3")
TOP = ("--transition-state", "-0.01")
WINDOWS = (*PLACES, "--steps", "600")


def test_free_energy_of_any_calculator(start: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert free_energy(start, *WINDOWS, "--trusted") == 0
    said = capsys.readouterr()
    assert "ΔF‡, ℓ0 = 1 Å, eV" in said.out
    assert "transition-state rate, 1/s" in said.out
    assert "fewer than 50 independent samples" in said.err
    found = read_json(start.parent / "out" / "free_energy.json")
    assert found["barrier"]["barrier"] == pytest.approx(0.30, abs=5 * found["barrier"]["barrier_stderr"])
    assert found["model_error"] is None
    assert len(found["profile"]["free_energy"]) == 60
    assert len(read_structures(start.parent / "out" / "frames.extxyz")) == 9 * 30
    page = (start.parent / "out" / "free_energy.html").read_text()
    assert "Activation free energy" in page
    # again: everything is there, and the answer is the same
    before = (start.parent / "out" / "free_energy.json").read_text()
    assert free_energy(start, *WINDOWS, "--trusted") == 0
    assert (start.parent / "out" / "free_energy.json").read_text() == before


def test_code_runs_only_when_it_is_trusted(start: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert free_energy(start, *WINDOWS) == 2
    assert "--trusted" in capsys.readouterr().err
    for model, sentence in (
        ("tests.evaluate.free_energy.umbrella_worlds:no_such", "cannot be imported"),
        ("not_to_be_found:calculator", "PYTHONPATH=. rung"),
        ("tests.evaluate.free_energy.umbrella_worlds:nothing", "no ASE calculator"),
        ("no-such.rung", "no-such.rung"),
    ):
        assert free_energy(start, *WINDOWS, "--trusted", model=model) == 2
        assert sentence in capsys.readouterr().err
    assert not (start.parent / "out").exists()


def test_windows_without_overlap_are_no_barrier(start: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert free_energy(start, "--windows", "-1", "1", "3", "--spring", "40", "--steps", "200", "--trusted") == 1
    said = capsys.readouterr().err
    assert "Windows 0 and 1, at -1 and 0, do not overlap" in said
    assert "What was sampled is kept" in said
    found = read_json(start.parent / "out" / "free_energy.json")
    assert found["barrier"] is None
    assert len(found["samples"][0]["values"]) == 40
    assert (start.parent / "out" / "free_energy.html").exists()


def test_target_energies_reweight_the_barrier(start: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert free_energy(start, *PLACES, *TOP, "--steps", "700", "--trusted", "--settings", str(_often(start))) == 0
    frames = read(start.parent / "out" / "frames.extxyz", ":")
    for frame in frames:
        x = frame.positions[0, 0]
        # a bump of 20 meV at the top alone, on the double well's own energy
        frame.info["dmc_energy"] = _energy(frame) + 0.02 * np.exp(-(x**2) / 0.1)
    labelled = start.parent / "labelled.extxyz"
    write(labelled, frames, format="extxyz")
    more = ("--target-energies", str(labelled), "--target", "dmc", "--settings", str(_often(start)))
    assert free_energy(start, *PLACES, *TOP, "--steps", "700", "--trusted", *more) == 0
    assert "ΔF‡ change to dmc, eV" in capsys.readouterr().out
    found = read_json(start.parent / "out" / "free_energy.json")["reweighted"]
    assert found["reason"] == ""
    assert found["change"] == pytest.approx(0.018, abs=0.005)
    assert free_energy(start, *PLACES, *TOP, "--steps", "700", "--trusted", *more, "--target", "ccsd") == 2


def test_target_energies_that_cannot_be_are_refused_before_any_sample(
    start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = read(start)
    frame.info |= {"structure_id": "window-0-0", "dmc_energy": np.inf}
    write(start.parent / "labelled.extxyz", frame, format="extxyz")
    more = ("--target-energies", str(start.parent / "labelled.extxyz"), "--target", "dmc")
    assert free_energy(start, *PLACES, *TOP, "--steps", "700", "--trusted", *more) == 2
    assert "labelled.extxyz, frame 0: dmc_energy is infinite" in capsys.readouterr().err
    assert not (start.parent / "out").exists()


def _often(start: Path) -> Path:
    path = start.parent / "more.yaml"
    path.write_text("sample_every: 5\nframe_every: 5\nsteering_steps: 50\n")
    return path


def _energy(atoms: Atoms) -> float:
    from tests.evaluate.free_energy.umbrella_worlds import quick_well

    return quick_well().get_potential_energy(atoms)


def test_md_of_any_calculator(start: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = start.parent / "run"
    words = ["md", WELL, str(start), "--fidelity", "model", "--temperature", "300", "--out", str(out), "--trusted"]
    assert main([*words, "--steps", "500", "--free-drift", "--ensemble", "nve"]) == 0
    assert "drift of the total energy" in capsys.readouterr().out
    found = read_json(out / "md.json")
    assert found["stable"]
    assert abs(found["statistics"]["drift"]) < 1.0
    assert (out / "md.html").exists()
    words[words.index(str(out))] = str(start.parent / "held")
    assert main([*words, "--steps", "500", "--ensemble", "nve"]) == 2
    assert "One atom alone" in capsys.readouterr().err
    assert main([*words, "--steps", "500", "--free-drift", "--leverage-limit", "2"]) == 2
    assert "needs a model with a posterior" in capsys.readouterr().err


@pytest.fixture
def molecule(finished: SmallWorld, tmp_path: Path) -> tuple[str, str]:
    """The model of a finished run, and a molecule that it knows."""
    write_structures(tmp_path / "molecule.extxyz", read_structures(finished.folder / "train.extxyz")[:1])
    return str(finished.folder / "run" / "model.rung"), str(tmp_path / "molecule.extxyz")


def test_md_of_a_fitted_model_stops_at_atoms_it_does_not_know(
    finished: SmallWorld, molecule: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["md", *molecule, "--fidelity", "high", "--temperature", "300", "--steps", "5", "--timestep", "0.1"]
    known = ["--leverage-reference", str(finished.folder / "train.extxyz")]
    wide, narrow = (["--leverage-limit", factor, "--out", str(tmp_path / factor)] for factor in ("100", "0.001"))
    shutil.copy(_every_step(tmp_path), tmp_path / "md.yaml")
    assert main([*words, *wide, *known, "--settings", str(tmp_path / "md.yaml")]) == 0
    assert main([*words, *narrow, *known, "--settings", str(tmp_path / "md.yaml")]) == 1
    assert "times that of the reference structures" in capsys.readouterr().err
    found = read_json(tmp_path / "0.001" / "md.json")
    assert (found["stable"], found["steps"], found["for_labelling"]) == (False, 1, "for_labelling.extxyz")
    kept = read(tmp_path / "0.001" / "for_labelling.extxyz")
    assert len(kept) == len(read(molecule[1]))
    assert main([*words[:4], "low", *words[5:], *narrow]) == 2


def _every_step(folder: Path) -> Path:
    path = folder / "every.yaml"
    path.write_text("leverage_every: 1\n")
    return path


def test_an_element_that_the_model_lacks_is_one_sentence(
    molecule: tuple[str, str], start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(start, Atoms("U2", positions=[[0, 0, 0], [0, 0, 2.0]]), format="extxyz")
    out = str(start.parent / "md")
    words = ["md", molecule[0], str(start), "--fidelity", "high", "--temperature", "300", "--steps", "5", "--out", out]
    assert main(words) == 2
    assert "does not know U" in capsys.readouterr().err
    assert free_energy(start, *WINDOWS, model=molecule[0]) == 2
    assert "--fidelity" not in capsys.readouterr().out


def test_changes_of_energies_are_those_of_the_drawn_potentials(finished: SmallWorld) -> None:
    calculator = RungCalculator(finished.folder / "run" / "model.rung", fidelity="high")
    structures = [one.atoms for one in read_structures(finished.folder / "test.extxyz")]
    changes = calculator.energy_changes(structures, 3)
    for drawn, change in zip(calculator.draws(3), changes, strict=True):
        here = [drawn.get_potential_energy(atoms) - calculator.get_potential_energy(atoms) for atoms in structures]
        np.testing.assert_allclose(change, here, rtol=0, atol=1e-8)


def test_an_atoms_error_is_that_of_its_energys_derivatives(finished: SmallWorld) -> None:
    calculator = RungCalculator(finished.folder / "run" / "model.rung", fidelity="high")
    atoms = read_structures(finished.folder / "test.extxyz")[0].atoms
    potential, surface = calculator.potential, calculator.potential.surface("high")
    before = calculator.get_potential_energies(atoms)
    rows = []
    for step in np.eye(len(surface.readout.weights)):
        moved = type(surface)(surface.readout.moved(step), surface.reference)
        there = RungCalculator(potential.with_surface("high", moved), fidelity="high")
        rows.append(there.get_potential_energies(atoms) - before)
    derivatives = np.array(rows).T
    covariance = calculator.posterior.covariance[: derivatives.shape[1], : derivatives.shape[1]]
    wanted = np.sqrt(np.einsum("ip,pq,iq->i", derivatives, covariance, derivatives))
    np.testing.assert_allclose(calculator.get_atom_energies_stderr(atoms), wanted, rtol=1e-6)
