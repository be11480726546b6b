"""A comparison: trials choose on validation, a fit that fails fails alone, and a study may grow."""

import csv
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from rung.cli import main
from rung.cli.compare import _Watch
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels
from rung.errors import ConfigError, DataError, FindingsError, MissingExtraError, StorageError
from rung.fit.lift import Context
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.results.fits import StudyFit, StudyFitNumbers
from rung.run.evaluation import predict
from rung.storage import read_json, write_json
from rung.study import StatusReader, StudyConfig, compare, load_study_config
from rung.study.plan import all_fits, choose, fit_steps
from rung.study.workshop import Workshop
from tests.fit.lifts import lift_of
from tests.run.small_world import SmallWorld, build_world

TERMS = [{"kind": "energies"}, {"kind": "weights"}]
BROKEN = {"name": "tangent", "layers": "no such layer"}
TRIALS = [{}, {"choose": "cross_validation"}]


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallWorld, Path]:
    """A small world with a finished comparison in which one method fails, which tests only read."""
    world = build_world(tmp_path_factory.mktemp("compare"), n_train=10, n_labelled=10)
    path = _study(world)
    assert main(["compare", str(path)]) == 1
    return world, path


def _study(world: SmallWorld, name: str = "compare.yaml", **changes: Any) -> Path:
    return world.config(
        name,
        **{
            "run": "compare",
            "method": {"name": "readout", "terms": TERMS, "average": 1},
            "compare": {"offset": None, "broken": BROKEN},
            "labels": [4, 8],
            "seeds": [0],
            "tune": {"labels": 6, "seeds": [0], "valid_fraction": 0.4, "trials": {"readout": TRIALS}},
            "force_structures": 2,
            "executor": {"name": "here"},
            **changes,
        },
    )


def _own(world: SmallWorld, folder: Path) -> SmallWorld:
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    return SmallWorld(folder, world.low, world.high)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_fit_that_fails_says_why_and_leaves_the_others_alone(compared: tuple[SmallWorld, Path]) -> None:
    config = load_study_config(compared[1])
    assert {row["method"] for row in _rows(config.run)} == {"base", "readout", "offset"}
    failed = read_json(config.run / "study.json")["failures"]
    assert [one["fit"] for one in failed] == ["broken-n4-s0", "broken-n8-s0"]
    assert "no such layer" in failed[0]["sentence"]
    said = read_json(config.run / "fits" / "broken-n4-s0" / "error.json")
    assert "fit_tangent" in said["traceback"]
    assert "2 fits failed" in " ".join(read_json(config.run / "study.json")["verdict"])
    assert (config.run / "report.html").exists()


def test_it_is_said_on_how_many_structures_forces_were_judged(compared: tuple[SmallWorld, Path]) -> None:
    folder = load_study_config(compared[1]).run
    assert read_json(folder / "study.json")["judged"] == [{"split": "test", "n_judged": 2, "n_structures": 6}]
    assert "Forces, meV/Å, on 2 of 6" in (folder / "report.html").read_text()


def test_draws_that_take_every_label_are_one_draw(
    compared: tuple[SmallWorld, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = _own(compared[0], tmp_path)
    path = _study(mine, "whole.yaml", run="whole", compare={"offset": None}, labels=[10], seeds=[0, 1], tune=None)
    assert main(["compare", str(path)]) == 0
    folder = load_study_config(path).run
    content = read_json(folder / "study.json")
    assert [one["n_draws"] for one in content["comparisons"]] == [1] * 4
    assert "With 10 labels the draws of a method are the same, for each takes every label" in str(content["verdict"])
    fits = [StudyFit.read(folder / "fits" / f"readout-n10-s{seed}" / "metrics.json") for seed in (0, 1)]
    assert fits[0] == fits[1]  # to its seconds: it was fitted once
    said = capsys.readouterr().out
    assert "on 2 of 6" in said
    assert "one draw" in said
    for text in (said, (folder / "report.html").read_text().split("<main>")[1].split("<script")[0]):
        assert "± 0" not in text


def test_both_tables_hold_the_same_rows(compared: tuple[SmallWorld, Path]) -> None:
    folder = load_study_config(compared[1]).run
    parquet = pyarrow.parquet.read_table(folder / "study.parquet").to_pylist()
    text = _rows(folder)
    assert len(parquet) == len(text) > 0
    for one, other in zip(parquet, text, strict=True):
        assert {key: str(value) for key, value in one.items()} == other


def test_a_trial_is_scored_on_labels_that_it_did_not_see(compared: tuple[SmallWorld, Path]) -> None:
    world, path = compared
    config = load_study_config(path)
    train = read_structures(config.data.train)
    drawn = draw_labels(train, "high", 6, 0)
    left, judged = Workshop(config)._held_out(drawn, 0.4, 0)
    assert {one.structure_id for one in judged} == {
        one.structure_id
        for one, other in zip(drawn, left, strict=True)
        if one.labelled("high").has_energy and not other.labelled("high").has_energy
    }
    settings = ReadoutSettings.read({"terms": TERMS, "average": 1})
    fitted = fit_readout(lift_of(left, world.low), settings, Context(seed=0))
    said = predict(fitted.potential, judged, "high", forces=False).energy
    errors = [
        1000 * (energy - one.labelled("high").energy) / len(one) for energy, one in zip(said, judged, strict=True)
    ]
    choice = choose(config, "readout")
    assert choice.trials[0].score == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    assert choice.best == int(np.argmin([trial.score for trial in choice.trials]))
    fit = read_json(config.run / "fits" / "readout-n8-s0" / "task.json")
    assert fit["arguments"]["settings"] == choice.settings.model_dump(mode="json")


def test_the_base_is_told_at_its_own_fidelity_too(compared: tuple[SmallWorld, Path]) -> None:
    rows = {(row["method"], row["metric"]): float(row["value"]) for row in _rows(load_study_config(compared[1]).run)}
    assert rows["base", "low_energy_rmse"] == pytest.approx(0.0, abs=1e-3)  # it labelled the frames itself
    assert rows["readout", "low_energy_rmse"] == rows["base", "low_energy_rmse"]


def test_failed_fits_are_tried_again_and_a_study_may_grow(compared: tuple[SmallWorld, Path], tmp_path: Path) -> None:
    mine = _own(compared[0], tmp_path)
    path = _study(mine, compare={"offset": None, "broken": {"name": "offset"}}, labels=[4, 6, 8])
    config = load_study_config(path)
    before = {path: path.stat().st_mtime_ns for path in config.run.glob("fits/*/metrics.json")}
    counts = {one.name: (one.done, one.failed, one.missing) for one in StatusReader(config).read().methods}
    assert counts["broken"] == (0, 0, 3)  # the settings changed, so the old failure says nothing
    assert counts["offset"] == (2, 0, 1)
    study = compare(config)
    assert study.failures == ()
    assert study.n_new == 3 + 3
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert StatusReader(config).read().complete
    assert compare(config).n_new == 0
    with pytest.raises(StorageError, match="force_structures changed"):
        compare(config.model_copy(update={"force_structures": 3}))


def _as_done(config: StudyConfig, forgotten: str | None = None) -> None:
    """Write a result for every fit of ``config``, of an older rung that did not know the setting ``forgotten``."""
    for job in [step.job for step in fit_steps(config) if step.job is not None]:
        request = job.request.as_json()
        if forgotten is not None:
            request["arguments"]["settings"].pop(forgotten, None)
        write_json(job.folder / "task.json", {**request, "host": "here"})
        numbers = StudyFitNumbers(method="any", seconds=1.0, n_energies=0, hyperparameters={})
        StudyFit(splits={}, bands={}, fit=numbers, warnings=()).write(job.result)


def _several(name: str, **settings: Any) -> dict[str, Any]:
    weights = settings.pop("fidelity_weights", {})
    return {"name": name, "training": {"loss": {"fidelity_weights": weights}}, **settings}


@pytest.mark.parametrize("name", ["joint", "onehot"])
def test_a_mapping_of_settings_that_gained_a_key_is_another_fit(name: str, tmp_path: Path) -> None:
    world = SmallWorld(tmp_path, None, None)  # type: ignore[arg-type]

    def done(**settings: Any) -> int:
        config = load_study_config(_study(world, method=_several(name, **settings), compare={}, tune=None))
        return sum(one.done for one in StatusReader(config).read().methods if one.name == name)

    _as_done(load_study_config(_study(world, method=_several(name), compare={}, tune=None)))
    assert done() == 2
    assert done(fidelity_weights={"high": 10.0}) == 0
    first = {"low": {"labels": "all"}}
    assert done(fidelities=first) == 0
    _as_done(load_study_config(_study(world, method=_several(name, fidelities=first), compare={}, tune=None)))
    assert done(fidelities=first) == 2
    assert done(fidelities={**first, "high": {}}) == 0


def test_fits_of_a_rung_that_knew_a_setting_less_stay_done(tmp_path: Path) -> None:
    world = SmallWorld(tmp_path, None, None)  # type: ignore[arg-type]
    config = load_study_config(_study(world, compare={"offset": None}, tune=None))
    _as_done(config, forgotten="widen")
    assert {one.name: one.done for one in StatusReader(config).read().methods}["readout"] == 2
    other = load_study_config(
        _study(
            world,
            compare={"offset": None},
            tune=None,
            method={"name": "readout", "terms": TERMS, "average": 1, "widen": {"units": 8}},
        )
    )
    counts = {one.name: one.done for one in StatusReader(other).read().methods}
    assert counts["readout"] == 0
    assert counts["offset"] == 2


def test_status_touches_nothing(compared: tuple[SmallWorld, Path], capsys: pytest.CaptureFixture[str]) -> None:
    world, path = compared
    files = {file: file.stat().st_mtime_ns for file in world.folder.rglob("*")}
    assert main(["compare", str(path), "--status"]) == 0
    assert {file: file.stat().st_mtime_ns for file in world.folder.rglob("*")} == files
    said = capsys.readouterr().out
    assert "readout, trials" in said and "broken" in said


def test_status_of_a_study_that_never_ran(compared: tuple[SmallWorld, Path], tmp_path: Path) -> None:
    world = SmallWorld(tmp_path, compared[0].low, compared[0].high)
    config = load_study_config(_study(world))
    assert {one.missing for one in StatusReader(config).read().methods} == {1, 2}
    assert list(tmp_path.iterdir()) == [tmp_path / "compare.yaml"]


def test_folds_share_no_geometry_and_hold_every_one_out_once(compared: tuple[SmallWorld, Path]) -> None:
    world, _ = compared
    config = load_study_config(_study(world, "folds.yaml", split={"by": "composition", "folds": 3}, data=_only(world)))
    workshop = Workshop(config)
    held: list[str] = []
    for fold in config.folds():
        sides = workshop.sides(fold)
        out = {one.formula for one in sides.evaluate["heldout"]}
        assert out and not out & {one.formula for one in sides.train}
        held += [one.structure_id for one in sides.evaluate["heldout"]]
    assert sorted(held) == sorted(one.structure_id for one in workshop.splits["train"])
    assert len(list(all_fits(config))) == 3 * 2 * 4  # folds, numbers of labels, methods with the base


def test_what_is_withheld_loses_target_labels_and_stays(compared: tuple[SmallWorld, Path]) -> None:
    world, _ = compared
    config = load_study_config(_study(world, "withheld.yaml", split={"withhold": {"composition": "CO2"}}))
    sides = Workshop(config).sides(0)
    hidden = [one for one in sides.train if one.formula == "CO2"]
    assert hidden and not any(one.labelled("high").has_energy for one in hidden)
    assert all(one.labelled("low").has_energy for one in hidden)
    assert sum(one.labelled("high").has_energy for one in sides.train) == 10 - len(hidden)
    assert {one.formula for one in sides.evaluate["test, withheld"]} == {"CO2"}
    with pytest.raises(DataError, match="10 energies of 'high' were asked for; only 8"):
        Workshop(config.model_copy(update={"labels": (10,)})).check()


def test_a_study_that_evaluates_on_nothing_is_refused(compared: tuple[SmallWorld, Path]) -> None:
    config = load_study_config(_study(compared[0], "blind.yaml", data=_only(compared[0])))
    with pytest.raises(ConfigError, match="nothing to evaluate on"):
        Workshop(config).check()


def test_a_test_that_shares_what_is_never_torn_apart_is_refused(compared: tuple[SmallWorld, Path]) -> None:
    config = load_study_config(_study(compared[0], "shared.yaml", split={"by": "composition"}))
    with pytest.raises(DataError, match=r"split\.by is 'composition', yet 4 of it stand in train and test"):
        Workshop(config).check()


def test_a_turned_copy_of_a_training_structure_in_a_test_set_is_refused(
    compared: tuple[SmallWorld, Path], tmp_path: Path
) -> None:
    world = _own(compared[0], tmp_path)
    train, test = (list(read_structures(world.folder / f"{name}.extxyz")) for name in ("train", "test"))
    atoms = train[3].atoms.copy()
    atoms.rotate(50, "y")
    test.append(replace(test[0], atoms=atoms, structure_id="turned", labels={}))
    write_structures(world.folder / "test.extxyz", test)
    with pytest.raises(FindingsError, match=r"train and test share 1 geometry \(each atom within 0.0002 Å"):
        Workshop(load_study_config(_study(world, "leak.yaml"))).check()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compare": {"ofset": None}}, "ofset"),
        ({"compare": {"base": {"name": "offset"}}}, "differ from base"),
        ({"tune": {"labels": 5, "trials": {"transfr": [{}]}}}, "Did you mean 'transfer'|Unknown method 'transfr'"),
        ({"tune": {"labels": 5, "trials": {"readout": [{"averge": 3}]}}}, "Did you mean 'average'"),
        ({"tune": {"labels": 5, "trials": {"readout": []}}}, "tune.trials.readout"),
        ({"executor": {"name": "slrum"}}, "Did you mean 'slurm'"),
        ({"executor": {"name": "processes", "wokers": 2}}, "Did you mean 'workers'"),
        ({"split": {"folds": 1}}, "split.folds"),
    ],
)
def test_what_is_wrong_in_a_comparison(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_study_config(_study(SmallWorld(tmp_path, None, None), **changes))  # type: ignore[arg-type]


def test_a_profile_and_workers_replace_the_executor(tmp_path: Path) -> None:
    path = _study(SmallWorld(tmp_path, None, None))  # type: ignore[arg-type]
    (tmp_path / "profile.yaml").write_text("name: slurm\npartiton: debug\n")
    with pytest.raises(ConfigError, match="Did you mean 'partition'"):
        _loaded(path, tmp_path / "profile.yaml")
    (tmp_path / "profile.yaml").write_text("name: slurm\npartition: debug\n")
    executor = _loaded(path, tmp_path / "profile.yaml").executor
    assert executor is not None and executor.name == "slurm" and executor.partition == "debug"
    assert main(["compare", str(path), "--workers", "2", "--profile", "profile.yaml"]) == 2


@pytest.mark.parametrize("package", ["pyarrow", "parsl"])
def test_a_missing_extra_is_said_before_any_work(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _study(SmallWorld(tmp_path, None, None), executor={"name": "processes"})  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"rung\[compare\]"):
        compare(load_study_config(path))
    assert list(tmp_path.iterdir()) == [path]


def test_rung_study_needs_no_extra_and_says_which_executor_it_leaves_out(
    compared: tuple[SmallWorld, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = _own(compared[0], tmp_path)
    path = _study(mine, compare={"offset": None}, labels=[4], executor={"name": "processes", "workers": 2})
    folder = load_study_config(path).run
    assert (folder / "study.parquet").exists()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "parsl", None)
    assert main(["study", str(path)]) == 0
    assert "although the config asks for the executor 'processes'" in capsys.readouterr().err
    assert {row["n_labels"] for row in _rows(folder)} == {"4"}
    assert not (folder / "study.parquet").exists()  # it would hold another table
    assert load_study_config(folder / "config.yaml").executor == load_study_config(path).executor


def test_here_a_fit_that_fails_is_tried_once_a_call(compared: tuple[SmallWorld, Path]) -> None:
    calls = []

    def fails(*_: Any, row: str, **__: Any) -> dict[str, Any]:
        calls.append(row)
        raise DataError("no")

    world, _ = compared
    config = load_study_config(_study(world, "again.yaml", run="again", tune=None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workshop, "fit", fails)
        finished = compare(config)
    assert len(finished.failures) == len(calls) == 8


def _loaded(path: Path, profile: Path) -> StudyConfig:
    from rung.study.config import load_executor

    return load_study_config(path, {"executor": load_executor(profile)})


def _only(world: SmallWorld) -> dict[str, Any]:
    return {"train": "train.extxyz"}


def test_a_time_that_nobody_can_tell_is_not_spoken_of(
    compared: tuple[SmallWorld, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = SmallWorld(tmp_path, compared[0].low, compared[0].high)
    path = _study(world)
    assert main(["compare", str(path), "--status"]) == 0
    said = capsys.readouterr().out
    assert "unknown" not in said
    assert "left with" not in said
    with _Watch() as watch:
        watch(StatusReader(load_study_config(path)).read())
    assert capsys.readouterr().err.strip() == "0 of 11 done"
