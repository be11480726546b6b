"""A study: every fit is a run of its own method on its own draw, and a stopped study resumes to the same table."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels, energies_only
from rung.errors import DataError, StorageError
from rung.fit.lift import Context
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.jobs import Here, job
from rung.run.evaluation import predict
from rung.storage import DamagedFileWarning, read_json, write_json
from rung.study import StudyConfig, compare, load_study_config
from tests.evaluate.sums import split_errors
from tests.fit.lifts import lift_of
from tests.run.small_world import SmallWorld, build_world, frames, labelled

LABELS, SEEDS = (4, 8), (0, 1)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallWorld, StudyConfig]:
    """A small world with a finished study, which tests only read."""
    world = _world(build_world(tmp_path_factory.mktemp("study"), n_train=12, n_labelled=12))
    config = load_study_config(_study(world))
    compare(config, notices=["made by a model"])
    return world, config


def _world(world: SmallWorld) -> SmallWorld:
    """Add a band: water that is stretched, labelled by both potentials."""
    (water,) = frames("band", 1, 900)
    images = []
    for k, stretch in enumerate((1.0, 1.1, 1.2, 1.1, 1.05)):
        atoms = water.atoms.copy()
        atoms.positions *= stretch
        images.append(type(water)(atoms, f"band-{k}", {}))
    write_structures(world.folder / "band.extxyz", labelled(images, world.low, world.high))
    return world


def _study(world: SmallWorld, **changes: Any) -> Path:
    return world.config(
        "study.yaml",
        run="curve",
        labels=list(LABELS),
        seeds=list(SEEDS),
        compare={"e0": {"name": "offset"}},
        bands={"stretch": "band.extxyz"},
        force_structures=3,
        **changes,
    )


def _copy(world: SmallWorld, folder: Path) -> SmallWorld:
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    return SmallWorld(folder, world.low, world.high)


def _values(folder: Path) -> dict[tuple[str, ...], float]:
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("method", "n_labels", "seed", "split", "metric")
    return {tuple(row[key] for key in keys): float(row["value"]) for row in rows if "seconds" not in row["metric"]}


def test_a_fit_whose_result_is_missing_or_changed_is_said_and_done_again(
    finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path
) -> None:
    world = _copy(finished_study[0], tmp_path)
    config = load_study_config(_study(world))
    due = _values(config.run)
    missing, changed = (config.run / "fits" / name / "metrics.json" for name in ("e0-n4-s0", "readout-n8-s1"))
    missing.unlink()
    content = changed.read_text()
    changed.write_text(content.replace("1", "2", 1))
    with pytest.warns(DamagedFileWarning) as said:
        study = compare(config)
    sentences = " ".join(str(one.message) for one in said)
    assert f"{missing}: it is missing, so the fit is done again." in sentences
    assert f"{changed}: it is not what was written there, so the fit is done again." in sentences
    assert study.n_new == 2
    assert _values(config.run) == pytest.approx(due)


def test_the_table_is_tidy_and_complete(finished_study: tuple[SmallWorld, StudyConfig]) -> None:
    _, config = finished_study
    values = _values(config.run)
    assert {key[0] for key in values} == {"base", "readout", "e0"}
    assert {(key[1], key[2]) for key in values} == {(str(n), str(seed)) for n in LABELS for seed in SEEDS}
    assert {key[3] for key in values} == {"test", "stretch", "fit"}  # in fit, how far each start is from the base
    about = json.loads((config.run / "study.json").read_text())
    assert about["notice"] == ["made by a model"]
    assert (config.run / "report.html").exists()
    band = read_structures(config.bands["stretch"])
    energies = [image.labelled("high").energy for image in band]
    assert about["truths"]["barrier"] == pytest.approx(max(energies) - energies[0])


def test_a_row_equals_a_fit_made_by_hand(finished_study: tuple[SmallWorld, StudyConfig]) -> None:
    world, config = finished_study
    train, test = read_structures(config.data.train), read_structures(config.data.evaluate["test"])
    result = fit_readout(lift_of(draw_labels(train, "high", 8, 1), world.low), ReadoutSettings(), Context(seed=1))
    said = predict(result.potential, test, "high")  # through the whole model, not from designs
    chosen = [0, 2, 5]  # three of six, evenly spaced
    labels = [one.labelled("high") for one in test]
    forces = [labels[k].forces if k in chosen else np.full((len(test[k]), 3), np.nan) for k in range(len(test))]
    errors = split_errors(
        said.energy,
        [label.energy for label in labels],
        [len(one) for one in test],
        [one.formula for one in test],
        forces=[block for block in said.forces if block is not None],
        forces_label=forces,
    )
    values = _values(config.run)
    assert values["readout", "8", "1", "test", "energy_rmse"] == pytest.approx(errors.energy_rmse, rel=1e-6)
    assert values["readout", "8", "1", "test", "force_rmse"] == pytest.approx(errors.force_rmse, rel=1e-6)
    band = read_structures(config.bands["stretch"])
    energies = predict(result.potential, band, "high").energy
    assert values["readout", "8", "1", "stretch", "barrier"] == pytest.approx(energies.max() - energies[0], rel=1e-6)
    base = predict(world.low, band, "low").energy
    assert values["base", "8", "1", "stretch", "barrier"] == pytest.approx(base.max() - base[0], rel=1e-5)
    assert ("base", "8", "1", "stretch", "barrier_stderr") not in values


def test_a_study_that_broke_resumes_to_the_same_table(
    finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, config = finished_study
    mine = _copy(world, tmp_path)
    shutil.rmtree(mine.folder / "curve")
    again = load_study_config(_study(mine))
    left: Iterator[int] = iter(range(5))
    real = write_json

    def failing(path: Path, content: Any) -> None:
        if Path(path).name == "metrics.json" and Path(path).parents[1].name == "fits" and next(left, None) is None:
            raise StorageError("the disk is full")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(job, "write_json", failing)
        with pytest.raises(StorageError, match="the disk is full"):
            compare(again)
    assert len(list((again.run / "fits").glob("*/metrics.json"))) == 5
    finished = compare(again)
    assert finished.n_new == len(LABELS) * len(SEEDS) * 3 - 5
    found, whole = _values(again.run), _values(config.run)
    assert found.keys() == whole.keys()
    assert np.allclose([found[key] for key in whole], list(whole.values()), rtol=1e-12, atol=0.0)


def test_a_finished_study_does_nothing_and_another_is_refused(
    finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path
) -> None:
    mine = _copy(finished_study[0], tmp_path)
    assert compare(load_study_config(_study(mine))).n_new == 0
    with pytest.raises(StorageError, match="force_structures changed since"):
        compare(load_study_config(_study(mine)).model_copy(update={"force_structures": 4}))


def test_too_few_labels_are_said_before_anything_is_written(
    finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path
) -> None:
    mine = _copy(finished_study[0], tmp_path)
    shutil.rmtree(mine.folder / "curve")
    config = load_study_config(_study(mine)).model_copy(update={"labels": (50,)})
    with pytest.raises(DataError, match="50 energies of 'high' were asked for; only 12"):
        compare(config)
    assert not config.run.exists()


def test_noise_is_drawn_from_exact_energies(finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path) -> None:
    mine = _copy(finished_study[0], tmp_path)
    shutil.rmtree(mine.folder / "curve")
    train = labelled(frames("train", 12, 100), mine.low, mine.high)
    exact = {one.structure_id: one.labelled("high").energy for one in train}
    (mine.folder / "exact.json").write_text(json.dumps(exact))
    write_structures(mine.folder / "train.extxyz", energies_only(train, "high"))
    noise = {"exact": "exact.json", "energy_stderr": [0.5, 0.5]}
    noisy = load_study_config(_study(mine, noise=noise)).model_copy(update={"labels": (8,), "seeds": (0,)})
    compare(noisy)
    fits = read_json(noisy.run / "fits" / "e0-n8-s0" / "metrics.json")
    quiet = _values(finished_study[1].run)["e0", "8", "0", "test", "energy_rmse"]
    assert fits["splits"]["test"]["high"]["energy_rmse"] > 5 * quiet  # 0.5 eV a molecule, far above 2 meV


def test_a_summary_is_mean_and_spread_over_seeds(finished_study: tuple[SmallWorld, StudyConfig]) -> None:
    _, config = finished_study
    finished = compare(config)
    values = _values(config.run)
    two = [values["readout", "8", str(seed), "test", "energy_rmse"] for seed in SEEDS]
    mean, spread = finished.summary("test", "energy_rmse")["readout"][8]
    assert mean == pytest.approx(np.mean(two))
    assert spread == pytest.approx(np.std(two, ddof=1))


def test_the_command_prints_the_curve(
    finished_study: tuple[SmallWorld, StudyConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    world, config = finished_study
    assert main(["study", str(_study(world))]) == 0
    said = capsys.readouterr()
    assert "test: mean ± spread over seeds" in said.out
    assert "stretch: mean ± spread over seeds" in said.out
    assert "0 fits were done now" in said.err
    assert main(["report", str(config.run)]) == 0


def test_a_method_that_moves_the_backbone_is_studied_too(
    finished_study: tuple[SmallWorld, StudyConfig], tmp_path: Path
) -> None:
    mine = _copy(finished_study[0], tmp_path)
    shutil.rmtree(mine.folder / "curve")
    training = {"epochs": 1, "batch_size": 4, "valid_fraction": 0.25}
    path = _study(mine, method={"name": "transfer", "training": training})
    config = load_study_config(path).model_copy(update={"labels": (8,), "seeds": (0,), "compare": {}})
    finished = compare(config, executor=Here())
    errors = {row.metric: row.value for row in finished.rows if row.method == "transfer"}
    assert np.isfinite([errors["energy_rmse"], errors["force_rmse"], errors["force_departure_rmse"]]).all()
    assert errors["force_departure_rmse"] > 0.0
    assert "coverage_energy_68" not in errors
    assert "barrier_stderr" not in errors
