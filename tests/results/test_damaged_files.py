"""Whatever a result file holds in place of what it should: one sentence that names the file, and never a traceback."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rung.cli import main
from rung.errors import StorageError
from rung.report import page, write_report, write_study_report
from rung.storage import read_json
from rung.study import StatusReader, load_study_config
from tests.run.small_world import SmallWorld

OLD = Path(__file__).parent / "old"

OTHERS = {"list": "[]", "object": "{}", "null": "null", "text": '"much"'}
"""What stands in a file in place of its own content."""

NUMBERS: dict[str, tuple[str | int, ...]] = {
    "provenance.json": ("seed",),
    "findings.json": ("census", 0, "n_structures"),
    "features.json": ("seconds",),
    "fit.json": ("diagnostics", "n_parameters"),
    "metrics.json": ("splits", "test", "high", "energy_rmse"),
    "predictions/test.json": ("energy", 0),
    "barrier.json": (0, "curves", 0, "energies", 1),
    "study.json": ("truths", "barrier"),
    "designs/metrics.json": ("seconds",),
    "fits/readout-n4-s0/metrics.json": ("fit", "seconds"),
    "trials/readout-n4-s0-t0/metrics.json": ("score",),
    "fits/offset-n4-s0/task.json": ("process",),
}
"""Where a word takes the place of a number."""


@dataclass(frozen=True)
class Damage:
    """A file, and what it holds."""

    name: str
    kind: str

    def content(self, file: Path) -> str:
        if self.kind in OTHERS:
            return OTHERS[self.kind]
        whole = read_json(file)
        inner: Any = whole
        *path, last = NUMBERS[self.name]
        for part in path:
            inner = inner[part]
        assert isinstance(inner[last], (int, float))
        inner[last] = "much"
        return json.dumps(whole)

    def __str__(self) -> str:
        return f"{self.name}-{self.kind}"


def damages(*names: str, without: tuple[str, ...] = ()) -> list[Damage]:
    return [
        Damage(name, kind)
        for name in names
        for kind in (*OTHERS, *(("word",) if name in NUMBERS else ()))
        if f"{name}-{kind}" not in without
    ]


def refused(read: Callable[[], object], file: Path) -> None:
    """Assert that reading ends in one sentence that names the file."""
    with pytest.raises(StorageError) as caught:
        read()
    sentence = str(caught.value)
    assert sentence.startswith(f"{file} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the five megabytes of plotly out of pages."""
    monkeypatch.setattr(page, "_library", lambda: "plotly.js")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, original: SmallWorld) -> SmallWorld:
    """A finished run, of which each test damages one file and mends it."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    return SmallWorld(folder, original.low, original.high)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Old folders, likewise."""
    folder = tmp_path_factory.mktemp("damaged-old")
    shutil.copytree(OLD, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def damaged() -> Iterator[Callable[[Path, Damage], Path]]:
    """Damages one file of a folder, and mends it when the test is over."""
    before: dict[Path, str] = {}

    def damage(folder: Path, case: Damage) -> Path:
        file = folder / case.name
        before[file] = file.read_text()
        file.write_text(case.content(file))
        return file

    yield damage
    for file, text in before.items():
        file.write_text(text)


@pytest.mark.parametrize("case", damages("provenance.json"), ids=str)
def test_a_finished_run_that_no_longer_says_whose_it_is(
    run: SmallWorld,
    damaged: Callable[[Path, Damage], Path],
    case: Damage,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = damaged(run.folder / "run", case)
    assert main(["fit", str(run.config())]) == 2
    said = capsys.readouterr().err
    assert f"{file} " in said
    assert "Traceback" not in said


RUN_FILES = (
    "config.yaml",
    "provenance.json",
    "findings.json",
    "fit.json",
    "metrics.json",
    "predictions/test.json",
    "barrier.json",
)


@pytest.mark.parametrize("case", damages(*RUN_FILES, without=("barrier.json-list",)), ids=str)
def test_the_report_of_a_run(old: Path, damaged: Callable[[Path, Damage], Path], case: Damage) -> None:
    file = damaged(old / "run", case)
    refused(lambda: write_report(old / "run"), file)


@pytest.mark.parametrize("case", damages("study.json"), ids=str)
def test_the_report_of_a_study(old: Path, damaged: Callable[[Path, Damage], Path], case: Damage) -> None:
    file = damaged(old / "study", case)
    refused(lambda: write_study_report(old / "study"), file)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("readout,four,0,0,test,energy_rmse,1.0", "'line 2.n_labels'"),
        ("readout,4,0,0,test,energy_rmse,much", "'line 2.value'"),
        ("readout,4,0", "'line 2."),
    ],
)
def test_the_table_of_a_study(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "study.csv"
    file.write_text(f"method,n_labels,seed,fold,split,metric,value\n{line}\n")
    with pytest.raises(StorageError, match=sentence):
        write_study_report(tmp_path)
    refused(lambda: write_study_report(tmp_path), file)


JOB_FILES = (
    "designs/metrics.json",
    "fits/readout-n4-s0/metrics.json",
    "trials/readout-n4-s0-t0/metrics.json",
    "fits/offset-n4-s0/task.json",
    "fits/broken-n4-s0/error.json",
)


@pytest.mark.parametrize("case", damages(*JOB_FILES), ids=str)
def test_the_status_of_a_study(old: Path, damaged: Callable[[Path, Damage], Path], case: Damage) -> None:
    config = load_study_config(old / "study" / "config.yaml", {"run": old / "study"})
    file = damaged(old / "study", case)
    refused(lambda: StatusReader(config).read(), file)
