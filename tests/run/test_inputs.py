"""What a config names is what is read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms

from rung.config import load_config
from rung.data.energy_table import EnergyRow, write_energy_table
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, FitError
from rung.fit.methods.offset import OffsetSettings
from rung.results.metrics import Metrics
from rung.run.checking import sound_diagnosis
from rung.run.evaluation import predict
from rung.run.file_settings import EvaluationSettings
from rung.run.files import evaluate_files
from rung.run.inputs import lift_of, open_splits, read_splits, require_used
from rung.run.provenance import require_files
from rung.run.stages import run_fit
from rung.study.config import load_study_config
from tests.run.small_world import SmallWorld


def test_levels_of_a_file_get_the_names_of_the_config(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "ani.h5", "w") as file:
        group = file.create_group("H2")
        group["atomic_numbers"] = np.array([1, 1])
        group["coordinates"] = np.array([[[0.0, 0, 0], [0, 0, 0.74]], [[0, 0, 0], [0, 0, 0.80]]])
        group["wb97x_dz.energy"] = np.array([-1.0, -2.0])
        group["ccsd(t)_cbs.energy"] = np.array([np.nan, -3.0])
    (tmp_path / "test.extxyz").write_text("1\nREF_energy=-4.0\nH 0 0 0\n")
    (tmp_path / "config.yaml").write_text(
        """
        run: run
        fidelities: {dz: {key: wb97x_dz}, cc: {key: ccsd(t)_cbs}, plain: {key: REF}}
        target: cc
        data: {train: ani.h5, evaluate: {test: test.extxyz}}
        method: {name: scratch}
        """
    )
    config = load_config(tmp_path / "config.yaml")
    assert config.keys() == {"dz": "wb97x_dz", "cc": "ccsd(t)_cbs", "plain": "REF"}
    splits = read_splits(config)
    assert [set(structure.labels) for structure in splits["train"]] == [{"dz"}, {"dz", "cc"}]
    assert splits["test"][0].labels["plain"].energy == -4.0


def test_a_copied_label_counts_once_and_is_warned_of(world: SmallWorld) -> None:
    config = load_config(world.config())
    once = lift_of(config, open_splits(config), None)
    copied = [replace(one, structure_id=f"{one.structure_id}-again") for one in once.train[:4]]
    write_structures(world.folder / "train.extxyz", [*once.train, *copied])
    splits = open_splits(config)
    lift = lift_of(config, splits, None)
    assert len(lift.train) == len(once.train) + 4
    assert [one.structure_id for one in lift.labelled] == [one.structure_id for one in once.labelled]
    (warning,) = sound_diagnosis(config, splits, None).of_severity("warning")
    assert "4 frames repeat a geometry and its 'high' energy" in warning.sentence


def _differences(world: SmallWorld, *rows: EnergyRow) -> Path:
    write_energy_table(world.folder / "labels.csv", rows)
    return world.config(data={"train": "train.extxyz", "labels": "labels.csv", "evaluate": {"test": "test.extxyz"}})


def _difference(world: SmallWorld, one: int, other: int) -> EnergyRow:
    """Return the true difference of two training frames that have no energy."""
    frames = read_structures(world.folder / "train.extxyz")
    said = predict(world.high, [frames[one], frames[other]], "high").energy
    return EnergyRow(
        frames[one].structure_id, "high", float(said[0] - said[1]), 0.002, minus=frames[other].structure_id
    )


def test_a_table_reaches_the_fit_and_its_file_belongs_to_the_run(world: SmallWorld) -> None:
    path = _differences(world, _difference(world, 10, 14), EnergyRow("train-011", "high", -1.0, 0.5))
    config = load_config(path)
    assert config.files()["data.labels"] == world.folder / "labels.csv"
    splits = open_splits(config)
    assert splits["train"][11].labels["high"].energy == -1.0
    lift = lift_of(config, splits, None)
    assert [one.structure_id for one in lift.labelled][-3:] == ["train-010", "train-011", "train-014"]
    assert len(lift.table.differences) == 1


def test_differences_are_fitted_and_scored(world: SmallWorld) -> None:
    """The fit sees differences of the training set, and those of a test set have errors and bars of their own."""
    frames = read_structures(world.folder / "test.extxyz")
    said = predict(world.high, [frames[0], frames[4]], "high").energy
    energy = float(said[0] - said[1])
    rows = [_difference(world, 10, 14), EnergyRow("test-000", "high", energy + 0.5, 0.5, minus="test-004")]
    path = _differences(world, *rows)
    config = load_config(path).model_copy(update={"method": OffsetSettings()})
    finished = run_fit(config)
    assert finished.metrics.fit.n_energies == 11
    found = Metrics.read(finished.folder.metrics).differences["test"]
    base = predict(world.low, [frames[0], frames[4]], "low").energy  # equal molecules: reference energies cancel
    expected = 1e3 * abs(base[0] - base[1] - energy - 0.5)
    assert found.n_differences == found.n == 1
    assert found.mae == pytest.approx(expected, rel=1e-4)
    assert found.rmse_base == pytest.approx(expected, rel=1e-4)
    assert 0.0 < found.z2 < (expected / 500) ** 2
    assert "differences" in finished.folder.report.read_text()
    files = (world.folder / "test.extxyz",)
    asked = EvaluationSettings(
        model=finished.folder.model, files=files, fidelity="high", labels=(world.folder / "labels.csv",)
    )
    write_energy_table(world.folder / "labels.csv", rows[1:])
    again = evaluate_files(asked).differences["test"]
    assert again.mae == pytest.approx(found.mae, rel=1e-4)
    assert again.z2 == pytest.approx(found.z2, rel=1e-3)
    write_energy_table(world.folder / "labels.csv", [replace(rows[1], fidelity="low")])
    with pytest.raises(DataError, match="no row of the fidelity 'high'"):
        evaluate_files(asked)


def test_a_table_that_cannot_be_used_is_refused_before_any_work(world: SmallWorld) -> None:
    for row, said in (
        (EnergyRow("nobody", "high", 1.0), "line 2: Unknown structure_id|line 2: no structure is called 'nobody'"),
        (EnergyRow("train-012", "hig", 1.0), "Did you mean 'high'"),
        (EnergyRow("train-000", "high", 1.0), "has an energy of 'high' in its file too"),
        (EnergyRow("train-012", "high", 1.0, minus="test-000"), "joins train and test"),
    ):
        with pytest.raises(DataError, match=said):
            run_fit(load_config(_differences(world, row)))
    assert not (world.folder / "run").exists()


@pytest.mark.parametrize("method", [{"name": "transfer"}, {"name": "joint"}, {"name": "onehot"}, {"name": "delta"}])
def test_methods_that_train_refuse_differences_and_take_energies(world: SmallWorld, method: dict[str, Any]) -> None:
    path = _differences(world, _difference(world, 10, 14))
    config = load_config(path).model_copy(update={"method": load_config(world.config(method=method)).method})
    with pytest.raises(ConfigError, match=r"labels.csv, line 2: the method .* has no use for a difference"):
        run_fit(config)
    write_energy_table(world.folder / "labels.csv", [EnergyRow("train-012", "high", 1.0, 0.1)])
    require_used(config)


def test_a_stream_and_a_study_refuse_a_table(world: SmallWorld) -> None:
    data = {"train": "train.extxyz", "labels": "labels.csv", "evaluate": {"test": "test.extxyz"}}
    with pytest.raises(ConfigError, match=r"remove data\.stream"):
        load_config(world.config(data={**data, "stream": True}))
    with pytest.raises(ConfigError, match="a study draws the energies of structures"):
        load_study_config(world.config(data=data, labels=[5], seeds=[0]))


def test_a_difference_to_a_single_atom_is_refused_before_any_work(world: SmallWorld) -> None:
    frames = read_structures(world.folder / "train.extxyz")
    atom = Structure(Atoms("H"), "atom", {})
    write_structures(world.folder / "train.extxyz", [*frames, atom])
    path = _differences(world, EnergyRow("train-010", "high", -1.0, 0.1, minus="atom"))
    with pytest.raises(FitError, match=r"line 2: atom is a single atom .* data.single_atoms: fit"):
        run_fit(load_config(path))
    assert not (world.folder / "run").exists()


def test_the_folder_of_a_run_as_base_is_answered_with_its_model(world: SmallWorld, tmp_path: Path) -> None:
    config = load_config(world.config())
    assert config.base is not None
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.rung").write_text("")
    moved = config.model_copy(update={"base": config.base.model_copy(update={"file": tmp_path / "base"})})
    with pytest.raises(
        DataError, match=r"base is a folder and no file \(base\.file\); give the model of the run, .*rung"
    ):
        require_files(moved)
