"""``rung predict``: what it writes is what the calculator says, with its error bars, and nothing is lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung import RungCalculator
from rung.checkpoint import Checkpoint, save
from rung.cli import main
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, StorageError
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.results.prediction import PredictionResult
from rung.tasks.opened import Opened
from rung.tasks.prediction import PredictionTask, predict_file
from tests.fit.lifts import lift_of
from tests.fit.methods.test_tangent import CONTEXT, frames
from tests.geometries import rattled


@pytest.fixture(scope="module")
def lifted(tiny_potential, molecules) -> Checkpoint:
    """Of waters and methanes alone: nothing says what an atom of carbon dioxide costs."""
    fit = fit_readout(lift_of(frames(molecules[:2], 8, 8), tiny_potential), ReadoutSettings(), CONTEXT)
    return Checkpoint(fit.potential, fit.posterior, {"target": "high"})


@pytest.fixture
def pool(tmp_path: Path, molecules) -> Path:
    structures = [Structure(rattled(molecules[k % 3].atoms, 50 + k, 0.1), f"one-{k}", {}) for k in range(5)]
    periodic = structures[1].atoms.copy()
    periodic.set_cell([9.0, 9.5, 10.0])
    periodic.pbc = True
    label = replace(empty_labels(len(structures[0])), energy=-1.0)
    some = [replace(structures[0], labels={"low": label}, info={"note": "kept"}), Structure(periodic, "cell", {})]
    write_structures(tmp_path / "pool.extxyz", [*some, *structures[2:]])
    return tmp_path / "pool.extxyz"


def opened(lifted: Checkpoint) -> Opened:
    return Opened.of(RungCalculator(lifted, fidelity="high"), fidelity="high")


def test_predictions_are_those_of_the_calculator(pool: Path, lifted: Checkpoint, tmp_path: Path, capsys) -> None:
    save(tmp_path / "model.rung", lifted.potential, posterior=lifted.posterior, metadata=dict(lifted.metadata))
    out = tmp_path / "labelled.extxyz"
    words = ["predict", str(tmp_path / "model.rung"), str(pool), "--fidelity", "high", "--out", str(out)]
    assert main([*words, "--force-stderr"]) == 0
    said = capsys.readouterr()
    before, after = read_structures(pool), read_structures(out)
    assert [one.structure_id for one in after] == [one.structure_id for one in before]
    calculator = RungCalculator(lifted, fidelity="high")
    for structure in after:
        labels = structure.labels["high"]
        atoms = structure.atoms.copy()
        atoms.calc = calculator
        assert labels.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
        assert_allclose(labels.forces, atoms.get_forces(), rtol=1e-9, atol=1e-12)
        assert_allclose(labels.forces_stderr, calculator.get_forces_stderr(atoms), rtol=1e-9)
        assert labels.has_stress == bool(atoms.pbc.all())
        bar = calculator.get_energy_stderr(atoms)
        assert labels.energy_stderr == pytest.approx(bar, rel=1e-9) or not np.isfinite(bar)
        assert structure.info["high_domain"] in ("inside", "outside")
    assert after[0].labels["low"].energy == -1.0
    assert after[0].info["note"] == "kept"
    result = PredictionResult.read(tmp_path / "labelled.predicted.json")
    unknown = [one.structure_id for one in result.structures if not one.identified]
    assert unknown == ["one-2"]  # carbon dioxide
    assert "1 of 5 structures have a composition" in said.err.replace("\n", " ")
    assert "unbounded" in said.out
    assert (tmp_path / "labelled.predicted.html").stat().st_size > 1000
    assert main(words) == 0  # its own file may be written anew


def test_what_is_there_is_never_lost(pool: Path, lifted: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "mine.extxyz"
    out.write_text("mine")
    with pytest.raises(StorageError, match="did not write it"):
        predict_file(opened(lifted), PredictionTask(structures=(pool,), out=out))
    with pytest.raises(StorageError, match="is read"):
        predict_file(opened(lifted), PredictionTask(structures=(pool,), out=pool))
    assert out.read_text() == "mine"
    fresh = tmp_path / "fresh.extxyz"
    predict_file(opened(lifted), PredictionTask(structures=(pool,), out=fresh))
    with pytest.raises(DataError, match="--name high_predicted"):
        predict_file(opened(lifted), PredictionTask(structures=(fresh,), out=tmp_path / "again.extxyz"))
    assert not (tmp_path / "again.extxyz").exists()
    task = PredictionTask(structures=(fresh,), out=tmp_path / "again.extxyz", name="high_predicted")
    predict_file(opened(lifted), task)
    (first, *_) = read_structures(tmp_path / "again.extxyz")
    assert first.labels["high_predicted"].energy == first.labels["high"].energy


def test_a_call_that_dies_before_its_file_is_there_can_be_given_again(
    pool: Path, lifted: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the new file is written first: what stands there still is rung's own."""
    out = tmp_path / "out.extxyz"
    predict_file(opened(lifted), PredictionTask(structures=(pool,), out=out))
    old = out.read_bytes()
    task = PredictionTask(structures=(pool,), out=out, name="other")
    write = PredictionResult.write

    def write_and_die(result: PredictionResult, path: Path) -> None:
        write(result, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PredictionResult, "write", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            predict_file(opened(lifted), task)
    assert out.read_bytes() == old
    predict_file(opened(lifted), task)
    assert read_structures(out)[0].labels["other"].has_energy


def test_any_calculator_predicts(pool: Path, tmp_path: Path, tiny_potential) -> None:
    """Of one without a posterior there are no bars, and none can be asked for."""
    potential = Opened.of(RungCalculator(tiny_potential, fidelity=tiny_potential.fidelities[0]), fidelity="low2")
    with pytest.raises(ConfigError, match="--force-stderr"):
        predict_file(potential, PredictionTask(structures=(pool,), out=tmp_path / "a.extxyz", force_stderr=True))
    result = predict_file(potential, PredictionTask(structures=(pool,), out=tmp_path / "a.extxyz", name="base"))
    assert result.warnings == ("The model has no error bars at this fidelity.",)
    words = ["predict", "ase.calculators.emt:EMT", str(pool), "--fidelity", "emt", "--trusted"]
    assert main([*words, "--out", str(tmp_path / "emt.extxyz")]) == 0
    labels = [one.labels["emt"] for one in read_structures(tmp_path / "emt.extxyz")]
    assert all(one.has_energy and one.has_forces for one in labels)
    assert [one.has_stress for one in labels] == [False, True, False, False, False]
