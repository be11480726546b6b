"""Several runs on one page: what they share stands together, and what keeps them apart is said."""

import shutil
from pathlib import Path

import pytest

from rung.cli import main
from rung.errors import ConfigError, StorageError
from rung.report import write_beside_report
from rung.report.beside.runs import names_of
from rung.results.predictions import Predictions
from rung.storage import read_json, write_json
from tests.report.folders import CONFIG, run_folder, study_folder
from tests.report.html import text_of


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "readout"
    run_folder(folder)
    return folder


@pytest.fixture
def two(original: Path, tmp_path: Path) -> list[Path]:
    """A run, and one of another method whose errors and barrier are other ones."""
    first, second = tmp_path / "readout", tmp_path / "tangent"
    for folder in (first, second):
        shutil.copytree(original, folder)
    (second / "config.yaml").write_text(CONFIG.replace("name: readout, anchor: base", "name: tangent, anchor: raw"))
    metrics = read_json(second / "metrics.json")
    metrics["splits"]["test"]["r2scan"]["energy_rmse"] = 2.5
    write_json(second / "metrics.json", metrics)
    return [first, second]


def _page(folders: list[Path]) -> tuple[str, tuple[str, ...]]:
    page, troubles = write_beside_report(folders, folders[0].parent / "both.html")
    return text_of(page), troubles


def test_runs_of_the_same_splits_stand_in_one_table_with_one_base(two: list[Path]) -> None:
    text, troubles = _page(two)
    assert troubles == ()
    assert "2 runs side by side readout · tangent" in text
    assert text.count("base 18.1") == 1
    assert "tangent 2.50" in text
    assert "method.anchor base raw" in text
    assert "method.name readout tangent" in text
    assert "settings, versions and files are the same in all" in text
    assert "readout 1.405 0.031 0.090 0.894 1.454" in text


def test_another_target_is_said_and_its_errors_stand_apart(two: list[Path]) -> None:
    (two[1] / "config.yaml").write_text(CONFIG.replace("r2scan", "scan"))
    for name in ("splits", "base"):
        metrics = read_json(two[1] / "metrics.json")
        metrics[name] = {split: {"scan": one["r2scan"]} for split, one in metrics[name].items()}
        write_json(two[1] / "metrics.json", metrics)
    text, troubles = _page(two)
    assert troubles[0] == (
        "The runs have different targets (readout: r2scan; tangent: scan): errors of different targets are not "
        "comparable."
    )
    assert "test, readout 40 structures, labels of r2scan" in text
    assert "test, tangent 40 structures, labels of scan" in text


def test_another_split_of_the_same_name_is_said(two: list[Path]) -> None:
    path = two[1] / "predictions" / "test.json"
    content = Predictions.read(path)
    content.model_copy(update={"structure_ids": ("other", *content.structure_ids[1:])}).write(path)
    _, troubles = _page(two)
    assert troubles == ("test is not one split: 1 of its structures is another in tangent than in readout.",)
    content.model_copy(update={"energy_label": content.energy_label + 0.01}).write(path)
    _, troubles = _page(two)
    assert troubles == ("test is not one split: 40 of its labels differ between readout and tangent.",)


def test_a_split_that_one_run_lacks_is_said(two: list[Path]) -> None:
    metrics = read_json(two[1] / "metrics.json")
    del metrics["splits"]["ood"]
    write_json(two[1] / "metrics.json", metrics)
    text, troubles = _page(two)
    assert troubles == ("tangent was not evaluated on ood.",)
    assert "ood 24 structures" in text


def test_what_is_no_run_is_refused(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        _page([two[0], two[0]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match=r"empty holds no metrics\.json of a run"):
        _page([two[0], tmp_path / "empty"])
    study_folder(tmp_path / "study")
    with pytest.raises(StorageError, match="is the folder of a study"):
        _page([two[0], tmp_path / "study"])


def test_names_are_the_shortest_that_differ() -> None:
    assert names_of([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert names_of([Path("/a/run"), Path("/b/run")]) == ["a/run", "b/run"]


def test_the_command_takes_one_folder_or_several(two: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = two[0].parent / "page.html"
    assert main(["report", *map(str, two), "--out", str(out)]) == 0
    assert out.exists()
    assert main(["report", str(two[0])]) == 0
    assert main(["report", str(two[0]), "--out", str(out)]) != 0
    assert "--out names the page of several runs" in capsys.readouterr().err
