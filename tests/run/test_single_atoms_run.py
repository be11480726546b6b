"""Single atoms among the frames of a run or a study: left out in one place, whatever the method, and said."""

from dataclasses import replace
from pathlib import Path

import pytest
from ase import Atoms

from rung.config import load_config
from rung.data.labels import Labels, empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import FitError, StorageError
from rung.fit.methods import METHODS
from rung.results.findings import Diagnosis
from rung.results.fit import FitRecord
from rung.run.file_settings import EvaluationSettings
from rung.run.files import evaluate_files
from rung.run.inputs import lift_of, open_base, open_splits
from rung.run.stages import FinishedRun, run_fit
from rung.storage import read_json
from rung.study import compare, load_study_config
from tests.run.small_world import SmallWorld

ENERGIES = {"H": -9.0, "O": -300.0}
"""eV: as arbitrary as where a code counts energies of atoms from."""


def lone(symbol: str, **fidelities: float) -> Structure:
    labels: dict[str, Labels] = {name: replace(empty_labels(1), energy=e) for name, e in fidelities.items()}
    return Structure(Atoms(symbol), f"atom-{symbol}", labels, {"config_type": "IsolatedAtom"})


def add_atoms(world: SmallWorld, split: str = "train") -> None:
    path = world.folder / f"{split}.extxyz"
    atoms = [lone(symbol, high=energy, low=energy) for symbol, energy in ENERGIES.items()]
    write_structures(path, [*read_structures(path), *atoms])


def fitted(world: SmallWorld, **changes: object) -> FinishedRun:
    return run_fit(load_config(world.config(**changes)))


def test_a_run_with_single_atoms_ends_as_one_without_and_says_so(world: SmallWorld, original: SmallWorld) -> None:
    add_atoms(world)
    run = fitted(world)
    assert run.metrics.splits == read_metrics(original).splits
    record = FitRecord.read(run.folder.fit)
    assert (record.n_energies, record.n_left_out) == (10, 2)
    sentence = "train: 2 of 18 frames are single atoms or have no neighbours and are left out of the fit"
    assert any(sentence in warning for warning in run.warnings)
    assert sentence in run.folder.log.read_text()
    assert "are left out of the fit" in run.folder.report.read_text()
    (finding,) = [one for one in Diagnosis.read(run.folder.findings).findings if one.code == "single-atoms"]
    assert finding.structures == ("atom-H", "atom-O")
    assert "a fit leaves them out" in finding.sentence


def read_metrics(world: SmallWorld):
    return run_fit(load_config(world.config())).metrics


def test_a_fit_takes_them_where_it_is_told_to(world: SmallWorld, original: SmallWorld) -> None:
    add_atoms(world)
    run = fitted(world, data={"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}, "single_atoms": "fit"})
    record = FitRecord.read(run.folder.fit)
    assert (record.n_energies, record.n_left_out) == (12, 0)
    spoilt, sound = run.metrics.splits["test"]["high"], read_metrics(original).splits["test"]["high"]
    assert spoilt.energy_rmse > 2.0 * sound.energy_rmse
    assert any("they are fitted" in warning for warning in run.warnings)
    with pytest.raises(StorageError, match=r"data\.single_atoms changed since"):
        fitted(world)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_takes_the_same_frames(world: SmallWorld, name: str) -> None:
    add_atoms(world)
    method = METHODS[name]
    changes = {"base": None} if method.base == "none" else {}
    data = {"train": "train.extxyz", "valid": "train.extxyz"}
    config = load_config(world.config(method={"name": name}, data=data, **changes))
    lift = lift_of(config, open_splits(config), open_base(config))
    assert len(lift.train) == len(lift.valid) == 16
    assert min(len(structure) for structure in lift.train) == 3


def test_where_nothing_is_left_to_fit_nothing_is_written(world: SmallWorld) -> None:
    write_structures(world.folder / "train.extxyz", [lone("H", high=-9.0), lone("O", high=-300.0)])
    with pytest.raises(FitError, match=r"All training frames with high_energy are single atoms .*single_atoms: fit"):
        fitted(world)
    assert not (world.folder / "run").exists()


def test_a_study_draws_labels_among_the_others(world: SmallWorld) -> None:
    changes = {"run": "study", "method": {"name": "offset"}, "labels": [10], "seeds": [0], "force_structures": 0}
    whole = compare(load_study_config(world.config("study.yaml", **changes)))
    add_atoms(world)
    study = compare(load_study_config(world.config("study.yaml", **changes | {"run": "again"})))
    assert {(row.split, row.metric): row.value for row in study.rows if "second" not in row.metric} == pytest.approx(
        {(row.split, row.metric): row.value for row in whole.rows if "second" not in row.metric}, nan_ok=True
    )
    assert any("2 of the training frames, single atoms" in sentence for sentence in study.verdict)
    assert not any("single atoms" in sentence for sentence in whole.verdict)
    assert any("single atoms" in sentence for sentence in read_json(study.folder / "study.json")["verdict"])


def test_evaluate_takes_one_offset_per_element_from_the_others(world: SmallWorld) -> None:
    folder: Path = world.folder

    def base_error() -> float:
        settings = EvaluationSettings(
            model=folder / "base.model",
            files=(folder / "test.extxyz", folder / "more.extxyz"),
            fidelity="high",
            base=folder / "base.model",
            base_fidelity="low",
        )
        base = evaluate_files(settings).base
        assert base is not None
        return base["test"]["high"].energy_rmse

    write_structures(folder / "more.extxyz", read_structures(folder / "train.extxyz")[:6])
    before = base_error()
    add_atoms(world, "more")
    assert base_error() == pytest.approx(before)
