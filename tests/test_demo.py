"""The demos: their configs are sound, their folders are their own, and the whole job says what it should."""

import json
from pathlib import Path

import pytest

from rung import demo_data
from rung.cli import main
from rung.config import RunConfig
from rung.data.readers.structures import read_structures
from rung.demo import configs, job, run_demo
from rung.errors import ConfigError, StorageError
from rung.study import StudyConfig

TRUE_STATIC, TRUE_RELAXED = 1.454, 1.147
"""Barriers of the hop in eV, along the pbe path and along the target's own, from the testbed's labels."""


@pytest.mark.parametrize("values", [configs.MOS2, configs.PM6_BASE, configs.PM6_LIFT])
def test_the_settings_of_the_demos_are_settings(values: dict[str, object], tmp_path: Path) -> None:
    base = {"file": "base.model", "fidelity": next(iter(configs.MOS2["fidelities"]))}
    if "pm6" in values["fidelities"]:  # type: ignore[operator]
        base["fidelity"] = "pm6"
    common = {**values, "run": "run", "data": {"train": "train.extxyz"}}
    if values is not configs.PM6_BASE:
        common["base"] = base
        StudyConfig.read({**common, **configs.LEARNING_CURVE, "compare": {"energies alone": configs.ENERGIES_ONLY}})
    assert RunConfig.read(common).resolved(tmp_path).threads == 1


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="is not empty and holds no demo"):
        run_demo("mos2", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "demo.json").write_text(json.dumps({"data": "pm6-dft"}))
    with pytest.raises(StorageError, match="holds the demo 'pm6-dft'"):
        run_demo("mos2", other)


def test_an_unknown_demo_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mos2, pm6-dft"):
        run_demo("mos3", tmp_path / "new")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_molecules_are_split_by_formula_and_target_forces_stay_hidden(tmp_path: Path) -> None:
    files = job._pm6_files(demo_data.folder("pm6-dft"), tmp_path)
    splits = {name: read_structures(path) for name, path in files.items()}
    formulas = {name: {one.formula for one in splits[name]} for name in ("base", "valid", "test")}
    assert not formulas["base"] & formulas["test"]
    assert not formulas["base"] & formulas["valid"]
    assert not formulas["valid"] & formulas["test"]
    assert not any("dft" in one.labels for name in ("base", "valid") for one in splits[name])
    assert not any(one.labelled("dft").has_forces for name in ("train", "few") for one in splits[name])
    assert sum(one.labelled("dft").has_energy for one in splits["few"]) == configs.PM6_ENERGIES
    assert all(one.labelled("dft").has_forces for one in splits["test"])
    assert sum(len(splits[name]) for name in ("base", "valid", "test")) == 1408
    written = {name: path.stat().st_mtime_ns for name, path in files.items()}
    again = job._pm6_files(demo_data.folder("pm6-dft"), tmp_path)
    assert {name: path.stat().st_mtime_ns for name, path in again.items()} == written


@pytest.mark.slow
def test_the_whole_job_on_mos2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The errors fall to what the readout can reach, the barrier moves towards the truth."""
    finished = run_demo("mos2", tmp_path / "demo")
    metrics = finished.run.metrics
    assert metrics.base is not None
    errors, base = metrics.splits["test"]["r2scan"], metrics.base["test"]["r2scan"]
    assert errors.energy_rmse < 8.0 < 18.0 < base.energy_rmse
    assert errors.force_rmse < 330.0 < 480.0 < base.force_rmse
    barriers = {(row.path, row.name): row for row in finished.barriers}
    static, relaxed = ([row for row in finished.barriers if word in row.path] for word in ("as they are", "relaxed"))
    assert len(barriers) == 6
    for rows, truth in ((static, TRUE_STATIC), (relaxed, TRUE_RELAXED)):
        values = {row.name: row for row in rows}
        assert values["truth"].value == pytest.approx(truth, abs=1e-3)
        assert abs(values["lifted"].value - truth) < abs(values["base"].value - truth)
        assert 0.0 < values["lifted"].stderr_total < 0.5
    curve = finished.study.summary("test", "force_rmse")["readout"]
    assert set(curve) == {12, 25, 50, 100}
    assert curve[100][0] < curve[12][0]
    page = finished.report.read_text()
    assert "model-made, not ab initio" in page
    made = [tmp_path / "demo" / "model.rung", *(tmp_path / "demo").rglob("metrics.json")]
    written = {path: path.stat().st_mtime_ns for path in made}
    assert main(["demo", "--folder", str(tmp_path / "demo")]) == 0
    assert len(made) > 36 and {path: path.stat().st_mtime_ns for path in made} == written  # nothing is done twice
    said = capsys.readouterr()
    assert "model-made, not ab initio" in " ".join(said.out.split())
