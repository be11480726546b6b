"""A run is a folder: its stages, what they find, and what may never happen to it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from rung import checkpoint
from rung.config import RunConfig, load_config
from rung.data.cells import cell_warning
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import composition_matrix, elements_in
from rung.errors import DataError, FindingsError, ModelError, StorageError
from rung.features.cache import DesignCache
from rung.results.provenance import Provenance
from rung.run import stages
from rung.run.evaluation import predict
from rung.run.folder import RunFolder
from rung.run.planning import plan_fit
from rung.run.stages import run_fit
from rung.storage import TEMPORARY, DamagedFileWarning, jsonable, read_json, write_json
from tests.run.small_world import SmallWorld

ALL = ("features", "fit", "evaluate", "export", "report")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", "log.txt")
    }


def _without_times(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_times(value) for key, value in content.items() if "seconds" not in key}
    return content


def test_a_config_made_in_python_keeps_its_designs_and_is_taken_from_the_working_folder(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cache the fit would make the designs of its features stage a second time, without a word."""
    monkeypatch.chdir(world.folder)
    config = RunConfig.read(yaml.safe_load(world.config(method={"name": "offset"}).read_text()))
    assert config.cache is None
    assert plan_fit(config).state == "new"
    run = run_fit(config)
    assert run.folder.path == world.folder / "run"
    assert list(DesignCache(world.folder / "rung-cache").entries())
    assert run_fit(config).stages == run_fit(load_config(world.folder / "config.yaml")).stages == ()


def test_a_run_leaves_every_file_and_does_nothing_twice(world: SmallWorld) -> None:
    config = load_config(world.config())
    run = run_fit(config)
    assert run.stages == ALL
    assert set(_files(config.run)) == {
        "config.yaml",
        "provenance.json",
        "findings.json",
        "features.json",
        "fit.json",
        "metrics.json",
        "model.rung",
        "high.model",
        "report.html",
        "predictions/test.json",
        "geometries/test.json",
    }
    before = _files(config.run)
    again = run_fit(config)
    assert again.stages == ()
    assert _files(config.run) == before
    assert load_config(config.run / "config.yaml") == config
    assert not list(world.folder.rglob("*.tmp"))


def test_metrics_are_those_of_an_independent_calculation(finished: SmallWorld) -> None:
    world, config = finished, load_config(finished.config())
    metrics = run_fit(config).metrics
    test = read_structures(world.folder / "test.extxyz")
    fitted = checkpoint.load(config.run / "model.rung").potential
    label = np.concatenate([structure.labelled("high").forces for structure in test])
    found = np.concatenate([block for block in predict(fitted, test, "high").forces if block is not None])
    base = np.concatenate([block for block in predict(world.low, test, "low").forces if block is not None])
    assert metrics.base is not None
    errors, before = metrics.splits["test"]["high"], metrics.base["test"]["high"]
    assert errors.force_rmse == pytest.approx(1e3 * np.sqrt(np.mean((found - label) ** 2)), rel=1e-9)
    assert errors.force_departure_rmse == pytest.approx(1e3 * np.sqrt(np.mean((found - base) ** 2)), rel=1e-9)
    assert before.force_rmse == pytest.approx(1e3 * np.sqrt(np.mean((base - label) ** 2)), rel=1e-6)
    assert errors.force_rmse < 0.8 * before.force_rmse
    assert metrics.fit.n_energies == 10
    assert metrics.fit.method == "readout"


def test_the_base_gets_reference_energies_by_least_squares(world: SmallWorld) -> None:
    """All formulas weigh alike here (equal σ, weights fixed), so plain least squares is the independent reference."""
    metrics = run_fit(load_config(world.config(method={"name": "offset"}))).metrics
    train = [one for one in read_structures(world.folder / "train.extxyz") if one.labelled("high").has_energy]
    test = read_structures(world.folder / "test.extxyz")
    elements = elements_in(train)
    gap = np.array([one.labelled("high").energy for one in train]) - predict(world.low, train, "low").energy
    weight = 1.0 / np.sqrt([len(one) for one in train])  # the model's own error grows with √N and rules here
    change = np.linalg.lstsq(composition_matrix(train, elements) * weight[:, None], gap * weight, rcond=None)[0]
    shifted = predict(world.low, test, "low").energy + composition_matrix(test, elements) @ change
    error = (shifted - [one.labelled("high").energy for one in test]) / [len(one) for one in test]
    assert metrics.base is not None
    found = metrics.base["test"]["high"]
    assert found.energy_rmse == pytest.approx(1e3 * np.sqrt(np.mean(error**2)), rel=0.05)
    assert metrics.splits["test"]["high"].energy_rmse == pytest.approx(found.energy_rmse, rel=1e-9)
    assert metrics.splits["test"]["high"].force_departure_rmse < 1e-6


def test_where_target_forces_are_unknown_there_is_a_departure_and_no_error(world: SmallWorld) -> None:
    test = read_structures(world.folder / "test.extxyz")
    for structure in test:
        structure.labels["high"].forces[:] = np.nan  # type: ignore[index]
    write_structures(world.folder / "test.extxyz", test)
    errors = run_fit(load_config(world.config())).metrics.splits["test"]["high"]
    assert np.isnan(errors.force_rmse)
    assert errors.force_departure_rmse > 1.0


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("features", marks=pytest.mark.slow),
        "fit",
        pytest.param("evaluate", marks=pytest.mark.slow),
        pytest.param("export", marks=pytest.mark.slow),
        pytest.param("report", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_broke_in_any_stage_resumes_to_the_same_result(
    world: SmallWorld, original: SmallWorld, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    whole = _without_times(read_json(original.folder / "run" / "metrics.json"))
    config = load_config(world.config())

    def refuse(_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patched = tuple(replace(one, do=refuse) if one.name == broken else one for one in stages.STAGES)
        patch.setattr(stages, "STAGES", patched)
        with pytest.raises(StorageError, match="the disk is full"):
            run_fit(config)
    resumed = run_fit(config)
    assert resumed.stages == ALL[ALL.index(broken) :]
    assert _without_times(jsonable(resumed.metrics.as_json())) == whole


def _damaged(path: Path, how: str) -> bytes:
    """Damage a file, and return what it holds then."""
    content = path.read_bytes()
    middle = len(content) // 2
    left = {
        "cut": content[:middle],
        "other": b"[]",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }[how]
    path.write_bytes(left)
    return left


@pytest.mark.parametrize(
    ("name", "how", "again"),
    [
        ("findings.json", "other", ()),
        pytest.param("features.json", "cut", ("features", "evaluate", "report"), marks=pytest.mark.slow),
        ("model.rung", "flipped", ("fit", "evaluate", "export", "report")),
        pytest.param("fit.json", "flipped", ("fit", "evaluate", "export", "report"), marks=pytest.mark.slow),
        pytest.param("predictions/test.json", "flipped", ("evaluate", "report"), marks=pytest.mark.slow),
        pytest.param("metrics.json", "other", ("evaluate", "report"), marks=pytest.mark.slow),
        ("high.model", "cut", ("export", "report")),
        ("report.html", "flipped", ("report",)),
    ],
)
def test_a_stage_is_done_when_all_its_files_are_the_ones_that_were_written(
    finished: SmallWorld, name: str, how: str, again: tuple[str, ...]
) -> None:
    config = load_config(finished.config())
    whole = _without_times(read_json(config.run / "metrics.json"))
    path = config.run / name
    left = _damaged(path, how)
    with pytest.warns(DamagedFileWarning, match=rf"{name} is damaged .* it is kept as .*\.damaged and made again"):
        assert run_fit(config).stages == again
    assert path.with_name(f"{path.name}.damaged").read_bytes() == left
    assert _without_times(read_json(config.run / "metrics.json")) == whole
    assert run_fit(config).stages == ()
    path.unlink()
    with pytest.warns(DamagedFileWarning, match=rf"{name} is missing; it is made again"):
        assert run_fit(config).stages == again
    assert path.exists()
    assert f"{path.name} is missing" in (config.run / "log.txt").read_text()


def test_what_no_longer_fits_is_made_again_even_after_a_kill(
    finished: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once the model was made again, whatever was made from the old one is there, and whole."""
    config = load_config(finished.config())
    (config.run / "model.rung").unlink()

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            stages, "STAGES", tuple(replace(one, do=killed) if one.name == "evaluate" else one for one in stages.STAGES)
        )
        with pytest.raises(KeyboardInterrupt), pytest.warns(DamagedFileWarning, match=r"model\.rung is missing"):
            run_fit(config)
    assert run_fit(config).stages == ("evaluate", "export", "report")


def test_a_run_of_rung_0_1_is_finished_without_hashes(finished: SmallWorld) -> None:
    config = load_config(finished.config())
    provenance = config.run / "provenance.json"
    write_json(provenance, {name: value for name, value in read_json(provenance).items() if name != "written"})
    assert run_fit(config).stages == ()
    (config.run / "model.rung").unlink()
    with pytest.warns(DamagedFileWarning, match=r"model\.rung is missing"):
        assert run_fit(config).stages == ("fit", "evaluate", "export", "report")


def test_the_user_s_own_files_are_left_alone(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run: .`` beside a config, a model and a temporary file of one's own."""
    monkeypatch.chdir(world.folder)
    path = world.config("config.yaml", run=".")
    (world.folder / "high.model").write_text("mine")
    (world.folder / ".mine.tmp").write_text("mine")
    before = _files(world.folder)
    with pytest.raises(StorageError, match=r"holds files that rung did not make \(.mine.tmp and [0-9]+ more\)"):
        run_fit(load_config(path))
    assert _files(world.folder) == before
    assert not (world.folder / ".lock").exists()


def test_what_a_kill_left_is_swept_and_nothing_else(finished: SmallWorld) -> None:
    config = load_config(finished.config())
    mine = [config.run / ".mine.tmp", config.run / "predictions" / ".draft.20240101.tmp"]
    left = [config.run / f".fit.json.x{TEMPORARY}", config.run / "predictions" / f".test.json.y{TEMPORARY}"]
    for path in (*mine, *left):
        path.write_text("half")
    packed = config.run / "checkpoints" / f".rows.z{TEMPORARY}"
    packed.mkdir(parents=True)
    (packed / "energy.raw").write_text("half")
    run_fit(config)
    assert [path.exists() for path in (*mine, *left, packed)] == [True, True, False, False, False]


def test_the_folder_of_a_task_is_no_run(world: SmallWorld) -> None:
    config = load_config(world.config())
    write_json(config.run / "provenance.json", {"task": "a barrier", "identity": {}, "potentials": {}, "calls": []})
    with pytest.raises(StorageError, match="holds a barrier and no run of rung fit; choose another folder"):
        run_fit(config)


def test_another_config_never_overwrites_a_run(finished: SmallWorld) -> None:
    world, config = finished, load_config(finished.config())
    before = _files(config.run)
    other = load_config(world.config(seed=3, method={"name": "offset"}))
    with pytest.raises(StorageError, match=r"another run: method, seed changed since; .* --new"):
        run_fit(other)
    assert _files(config.run) == before
    fresh = run_fit(other, new=True)
    assert fresh.stages == ALL
    assert fresh.folder.path == world.folder / "run-2"
    assert _files(config.run) == before


def test_other_data_under_the_same_name_are_another_run(finished: SmallWorld) -> None:
    world, config = finished, load_config(finished.config())
    structures = read_structures(world.folder / "train.extxyz")
    write_structures(world.folder / "train.extxyz", structures[:-1])
    with pytest.raises(StorageError, match=r"data\.train changed since"):
        run_fit(config)


def test_the_same_data_elsewhere_are_the_same_run(finished: SmallWorld) -> None:
    world = finished
    shutil.copy(world.folder / "train.extxyz", world.folder / "copy.extxyz")
    moved = load_config(world.config(data={"train": "copy.extxyz", "evaluate": {"test": "test.extxyz"}}, cache="new"))
    assert run_fit(moved).stages == ()


def test_a_second_process_is_kept_out(world: SmallWorld) -> None:
    config = load_config(world.config())
    with RunFolder(config.run).lock(), pytest.raises(StorageError, match="Another process is working in"):
        run_fit(config)
    assert set(_files(config.run)) == set()


def test_findings_refuse_before_anything_is_written(world: SmallWorld) -> None:
    test = read_structures(world.folder / "test.extxyz")
    train = read_structures(world.folder / "train.extxyz")
    write_structures(world.folder / "train.extxyz", [*train, test[0]])
    config = load_config(world.config())
    with pytest.raises(FindingsError, match="nothing was fitted"):
        run_fit(config)
    assert not config.run.exists()
    assert not (world.folder / "rung-cache").exists()


def test_a_folder_with_results_of_something_else_is_left_alone(world: SmallWorld) -> None:
    config = load_config(world.config())
    config.run.mkdir()
    (config.run / "metrics.json").write_text("mine")
    with pytest.raises(StorageError, match=r"holds files that rung did not make \(metrics.json\)"):
        run_fit(config)
    assert (config.run / "metrics.json").read_text() == "mine"


def test_a_missing_file_is_named_with_its_key(world: SmallWorld) -> None:
    config = load_config(world.config(data={"train": "train.extxyz", "evaluate": {"far": "far.extxyz"}}))
    with pytest.raises(DataError, match=r"far\.extxyz \(data\.evaluate\.far\)"):
        run_fit(config)
    assert not config.run.exists()


def test_provenance_says_what_the_run_was_made_of(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelError("no native file can hold this")

    monkeypatch.setattr(stages, "export", refuse)
    config = load_config(world.config(seed=4))
    run_fit(config, notices=["made by a model"])
    said = read_json(config.run / "provenance.json")
    assert said["export"] == {"file": None, "reason": "no native file can hold this"}
    assert said["seed"] == 4
    assert said["notice"] == ["made by a model"]
    assert set(said["files"]) == {"data.train", "data.evaluate.test", "base.file"}
    assert said["packages"]["torch"]
    assert not (config.run / "high.model").exists()
    log = (config.run / "log.txt").read_text()
    for stage in ALL:
        assert f"{stage}: begins" in log


def test_a_run_keeps_what_its_labels_say(finished: SmallWorld) -> None:
    metadata = checkpoint.load(finished.folder / "run" / "model.rung").metadata
    assert metadata["target_labels"] == {"stress": False, "n_cells": 0, "cells": []}
    assert "No high label has a periodic cell" in cell_warning(metadata, "high")


def test_a_base_of_half_precision_is_fitted_in_float32_and_said_everywhere(world: SmallWorld) -> None:
    model = torch.load(world.folder / "base.model", weights_only=False)
    torch.save(model.to(torch.bfloat16), world.folder / "base.model")
    run = run_fit(load_config(world.config(method={"name": "offset"})))
    provenance = Provenance.read(run.folder.provenance)
    assert provenance.base_stored == "bfloat16"
    assert provenance.export is not None and 0.0 < provenance.export.energy_step < 0.1
    sentence = r"base\.model holds numbers in bfloat16; they are taken as float32"
    assert [warning for warning in run.warnings if re.search(sentence, warning)]
    assert re.search(sentence, run.folder.log.read_text())
    assert checkpoint.load(run.folder.model).potential.dtype == torch.float32


def test_an_export_whose_energies_come_in_steps_is_said_everywhere(world: SmallWorld) -> None:
    for split in ("train", "test"):
        path = world.folder / f"{split}.extxyz"
        shifted = [
            replace(one, labels={n: replace(la, energy=la.energy - 4e4 * len(one)) for n, la in one.labels.items()})
            for one in read_structures(path)
        ]
        write_structures(path, shifted)
    run = run_fit(load_config(world.config(method={"name": "offset"}, dtype="float32")))
    export = Provenance.read(run.folder.provenance).export
    assert export is not None
    assert export.energy_step == pytest.approx(15.625)  # CH3OH, 240,000 eV
    assert "come in steps of 16 meV" in export.warning
    assert export.warning in run.warnings
    assert export.warning in run.folder.log.read_text()
    assert "come in steps of 16 meV" in run.folder.report.read_text()
    assert run.metrics.splits["test"]["high"].energy_rmse < 200.0
