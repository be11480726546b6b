"""The text of the report that a real study leaves: two folds, a band, a method beside another."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rung.data.readers.structures import write_structures
from rung.jobs import Here
from rung.report.tables import digits
from rung.storage import read_json
from rung.study import compare, load_study_config
from tests.report.html import text_of
from tests.run.small_world import SmallWorld, build_world, frames, labelled

NOTICE = "Labels of a small model."
TERMS = [{"kind": "energies"}, {"kind": "weights"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two methods over two folds, with the barrier of a molecule that is stretched."""
    world = build_world(tmp_path_factory.mktemp("study"), n_train=10, n_test=4, n_labelled=10)
    _write_band(world)
    path = world.config(
        "study.yaml",
        run="curve",
        method={"name": "readout", "terms": TERMS, "average": 1},
        compare={"offset": None},
        labels=[4],
        seeds=[0],
        split={"folds": 2},
        bands={"stretch": "band.extxyz"},
        force_structures=1,
    )
    return compare(load_study_config(path), executor=Here(), notices=[NOTICE]).folder


def _write_band(world: SmallWorld) -> None:
    (water,) = frames("band", 1, 900)
    images = []
    for index, stretch in enumerate((1.0, 1.1, 1.2, 1.1, 1.05)):
        atoms = water.atoms.copy()
        atoms.positions *= stretch
        images.append(type(water)(atoms, f"band-{index}", {}))
    write_structures(world.folder / "band.extxyz", labelled(images, world.low, world.high))


def _values(folder: Path, method: str, split: str, metric: str) -> list[float]:
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        float(row["value"]) for row in rows if (row["method"], row["split"], row["metric"]) == (method, split, metric)
    ]


def test_it_names_the_study_and_says_who_made_the_labels(folder: Path) -> None:
    text = text_of(folder / "report.html")
    assert "curve: high with few energies" in text
    assert "Study of readout, offset; 1 seed" in text
    assert NOTICE in text


def test_every_sentence_of_the_verdict_and_every_warning_stand_there(folder: Path) -> None:
    summary = read_json(folder / "study.json")
    text = text_of(folder / "report.html")
    assert any("readout: energies err by" in sentence for sentence in summary["verdict"])
    assert all(sentence in text for sentence in summary["verdict"])
    assert summary["warnings"]
    for warning in summary["warnings"]:
        assert f"{warning['sentence']} ({len(warning['fits'])} fits)" in text


@pytest.mark.parametrize("method", ["base", "readout", "offset"])
@pytest.mark.parametrize("split", ["test", "heldout"])
def test_means_over_the_folds_are_those_of_the_table(folder: Path, method: str, split: str) -> None:
    values = _values(folder, method, split, "energy_rmse")
    assert len(values) == 2
    mean, spread = digits(np.mean(values)), digits(np.std(values, ddof=1), 2)
    assert f"{method} {mean} ± {spread}" in text_of(folder / "report.html")


@pytest.mark.parametrize(("level", "sigmas"), [(68, 0.99446), (95, 1.95996)])
def test_each_fold_is_judged_by_its_own_bar(folder: Path, level: int, sigmas: float) -> None:
    truth = read_json(folder / "study.json")["truths"]["barrier"]
    barriers = _values(folder, "readout", "stretch", "barrier")
    bars = _values(folder, "readout", "stretch", "barrier_stderr_total")
    assert len(barriers) == len(bars) == 2
    assert bars[0] != bars[1]
    held = [abs(barrier - truth) <= sigmas * bar for barrier, bar in zip(barriers, bars, strict=True)]
    share = f"readout stretch barrier {level} % {100 * np.mean(held):.0f} %"
    assert share in text_of(folder / "report.html")


def test_settings_and_costs_stand_there(folder: Path) -> None:
    settings = read_json(folder / "study.json")["settings"]
    text = text_of(folder / "report.html")
    assert settings["folds"] == 2
    for name, value in settings.items():
        assert f"{name} {value}" in text
    seconds = np.mean(_values(folder, "readout", "fit", "seconds"))
    assert f"readout 4 {digits(seconds)}" in text
