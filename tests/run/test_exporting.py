"""Files for other programs: draws whose spread is the posterior's, and converted files that give rung's energies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from rung import RungCalculator, checkpoint
from rung.backends.cards import card_in
from rung.cli import main
from rung.data.readers.structures import read_structures
from rung.errors import ConfigError, DataError, ModelError, StorageError
from rung.features.errorbars import PosteriorErrors
from rung.model.draws import committee_of
from rung.run.exporting import export_files
from rung.run.file_settings import ExportSettings
from tests.backends.comparison import energies_and_forces, mace_calculator
from tests.run.small_world import SmallWorld


def atoms_of(world: SmallWorld, count: int = 3) -> list[Atoms]:
    return [one.atoms for one in read_structures(world.folder / "test.extxyz")[:count]]


def exported(world: SmallWorld, out: Path, **changes: object) -> tuple[Path, ...]:
    settings = ExportSettings(
        model=world.folder / "run" / "model.rung", out=out / "high.model", fidelity="high", **changes
    )
    return export_files(settings).files


def test_a_committee_is_files_around_the_fit(finished: SmallWorld, tmp_path: Path) -> None:
    """MACE's own calculator is the independent reference: the files' mean is the fit, each is the draw that it says."""
    files = exported(finished, tmp_path / "out", committee=4, seed=3)
    assert [path.name for path in files] == ["high.model", *(f"high-draw{k}.model" for k in range(4))]
    structures = atoms_of(finished, 2)
    fit, *draws = [energies_and_forces(mace_calculator(path, "float64"), structures) for path in files]
    for place in (0, 2):  # energies and forces
        np.testing.assert_allclose(np.mean([one[place] for one in draws], axis=0), fit[place], rtol=0, atol=1e-9)
        assert np.std([one[place] for one in draws], axis=0).max() > 1e-4
    opened = checkpoint.load(finished.folder / "run" / "model.rung")
    known = opened.posterior.with_smooth_error()  # type: ignore[union-attr]
    third = committee_of(opened.potential, "high", known, 4, seed=3)[2]
    energies, _, forces = energies_and_forces(RungCalculator(third, fidelity="high"), structures)
    np.testing.assert_allclose(draws[2][0], energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(draws[2][2], forces, rtol=0, atol=1e-9)
    card = card_in(files[3])
    assert card is not None
    assert card.draw is not None
    assert (card.draw.number, card.draw.of, card.draw.seed) == (2, 4, 3)
    assert "smooth part" in card.draw.holds
    assert card.reference_energies != card_in(files[0]).reference_energies  # type: ignore[union-attr]


@pytest.mark.parametrize("model_error", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_spread_is_that_of_the_posterior(finished: SmallWorld, model_error: bool) -> None:
    """Of n draws a covariance is known within √((Σ_ab² + Σ_aa Σ_bb)/n); five times that is allowed to any entry."""
    opened = checkpoint.load(finished.folder / "run" / "model.rung")
    posterior = opened.posterior
    assert posterior is not None
    known = posterior.with_smooth_error() if model_error else posterior  # type: ignore[union-attr]
    structures = read_structures(finished.folder / "test.extxyz")[:2]
    count = 100
    members = committee_of(opened.potential, "high", known, count, seed=11)
    rows = []
    for member in members:
        energies, _, forces = energies_and_forces(
            RungCalculator(member, fidelity="high"), [one.atoms for one in structures]
        )
        rows.append([*energies, *forces.ravel()])
    spread = np.array(rows) - np.mean(rows, axis=0)
    found = spread.T @ spread / count
    bars = PosteriorErrors(opened.potential, "high", replace(posterior, rough_error=0.0, force_error=0.0))  # type: ignore[type-var]
    wanted = bars.energies(structures).covariance("total" if model_error else "none")
    allowed = 5.0 * np.sqrt((wanted**2 + np.outer(np.diag(wanted), np.diag(wanted))) / count)
    assert np.all(np.abs(found[:2, :2] - wanted) < allowed)
    forces_stderr = np.concatenate([bars.forces_stderr(one, model_error=model_error).ravel() for one in structures])
    ratio = np.sqrt(np.diag(found)[2:])[forces_stderr > 1e-6] / forces_stderr[forces_stderr > 1e-6]
    assert np.abs(ratio - 1.0).max() < 5.0 / np.sqrt(2.0 * count)
    assert abs(np.mean(ratio) - 1.0) < 2.0 / np.sqrt(2.0 * count)


def test_what_a_committee_cannot_be_is_said_before_anything_is_written(finished: SmallWorld, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="two or more"):
        exported(finished, tmp_path / "out", committee=1)
    with pytest.raises(ModelError, match="no posterior of 'low'"):
        export_files(
            ExportSettings(
                model=finished.folder / "run" / "model.rung", out=tmp_path / "out" / "x", fidelity="low", committee=3
            )
        )
    with pytest.raises(ConfigError, match=r"lammps, mliap.* symmetrix"):
        exported(finished, tmp_path / "out", engine="gromacs")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "high-draw2.model").write_text("mine")
    with pytest.raises(StorageError, match="replaces no file"):
        exported(finished, tmp_path / "out", committee=3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["high-draw2.model"]


def test_the_command_says_what_the_spread_holds(
    finished: SmallWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(finished.folder / "run/model.rung"), "--fidelity", "high", "--committee", "2"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "uncertain by 50 %" in said
    assert "rough part" in said
    assert {path.name for path in tmp_path.glob("*.model")} >= {"high.model", "high-draw0.model", "high-draw1.model"}


def test_structures_of_strange_elements_are_refused_before_the_conversion(finished: SmallWorld, tmp_path: Path) -> None:
    write(tmp_path / "gold.xyz", Atoms("Au2", positions=[[0, 0, 0], [0, 0, 2.5]]), format="extxyz")
    with pytest.raises(DataError, match="Structures hold Au, which the model does not know"):
        exported(finished, tmp_path, engine="lammps", structures=tmp_path / "gold.xyz")
    assert not list(tmp_path.glob("high*"))


@pytest.mark.slow
def test_a_user_may_name_structures_to_compare_on(finished: SmallWorld, tmp_path: Path) -> None:
    atoms = molecule("H2O")
    atoms.write(tmp_path / "mine.xyz")
    settings = ExportSettings(
        model=finished.folder / "run" / "model.rung",
        out=tmp_path / "high.pt",
        fidelity="high",
        engine="lammps",
        structures=tmp_path / "mine.xyz",
    )
    done = export_files(settings)
    assert done.n_structures == 1
    assert done.energy < 1e-9
    assert [path.name for path in done.files] == ["high.pt", "high.pt.lammps.in"]
    card = card_in(done.files[0])
    assert card is not None
    assert (card.route, card.fidelity) == ("lammps", "high")
    assert "pair_coeff      * * high.pt H C O" in done.files[1].read_text()
