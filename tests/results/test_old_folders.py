"""Folders of rung 0.1.0 are still read, to the end of their reports."""

import shutil
from pathlib import Path

import pytest

from rung.config import DataSettings, RunConfig
from rung.fit.linear.terms import Energies
from rung.fit.methods import METHODS
from rung.report import page, write_report, write_study_report
from rung.results.base import Result
from rung.results.findings import Diagnosis
from rung.results.fit import Features, FitRecord
from rung.results.fits import StudyDesigns, StudyFit, StudyTrial
from rung.results.jobs import JobError, JobRequest
from rung.results.metrics import Metrics
from rung.results.predictions import Predictions
from rung.results.provenance import Provenance
from rung.results.study import StudySummary, read_rows, write_rows
from rung.run.folder import RunFolder
from rung.run.provenance import ingredients
from rung.storage import content_hash, jsonable, read_json
from rung.study import StatusReader, load_study_config
from rung.yaml_files import read_yaml
from tests.report.html import text_of

OLD = Path(__file__).parent / "old"

KINDS: dict[str, type[Result]] = {
    "run/metrics.json": Metrics,
    "run/fit.json": FitRecord,
    "run/features.json": Features,
    "run/provenance.json": Provenance,
    "run/predictions/test.json": Predictions,
    "trained/metrics.json": Metrics,
    "trained/fit.json": FitRecord,
    "trained/provenance.json": Provenance,
    "trained/predictions/test.json": Predictions,
    "study/provenance.json": Provenance,
    "study/study.json": StudySummary,
    "study/designs/metrics.json": StudyDesigns,
    "study/designs/task.json": JobRequest,
    "study/fits/base-n4-s0/metrics.json": StudyFit,
    "study/fits/readout-n4-s0-f1/metrics.json": StudyFit,
    "study/fits/broken-n4-s0/error.json": JobError,
    "study/trials/readout-n4-s0-t1/metrics.json": StudyTrial,
}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old folders; pages are written without the five megabytes of plotly."""
    monkeypatch.setattr(page, "_library", lambda: "plotly.js")
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("name", sorted(KINDS))
def test_nothing_of_a_file_is_lost(name: str) -> None:
    """What is read is all that was written, in its order."""
    kept = jsonable(KINDS[name].read(OLD / name).as_json())
    assert list(kept.items()) == list(read_json(OLD / name).items())


def test_the_old_word_for_a_sentence_is_read() -> None:
    before, now = read_json(OLD / "run" / "findings.json"), Diagnosis.read(OLD / "run" / "findings.json")
    assert [one["message"] for one in before["findings"]] == [finding.sentence for finding in now.findings]
    assert before["worst"] == now.worst == "warning"


def test_the_table_of_a_study_is_the_same_line_by_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "study.csv", read_rows(OLD / "study" / "study.csv"))
    assert (tmp_path / "study.csv").read_text() == (OLD / "study" / "study.csv").read_text()


def test_the_report_of_an_old_run_is_whole(old: Path) -> None:
    text = text_of(write_report(old / "run"))
    assert "Lifted to high by the method readout" in text
    assert "Labels of a small model." in text
    assert "train: the base errs by 91 meV/Å (r.m.s. of 10 frames) on the 'low' forces" in text
    assert "Only 10 energies: E0 and the readout are hardly told apart" in text
    assert "Vacancy hop along the pbe path, images as they are: lifted gives 1.41 ± 0.12 eV, base 0.894" in text
    assert "What energies alone would have done" in text
    assert "Versions, hashes and settings" in text


def test_the_report_of_an_old_training_is_whole(old: Path) -> None:
    text = text_of(write_report(old / "trained"))
    assert "Lifted to high by the method transfer" in text
    assert "Training" in text


def test_the_report_of_an_old_study_is_whole(old: Path) -> None:
    text = text_of(write_study_report(old / "study"))
    assert "study: high with few energies" in text
    assert "broken-n4-s0-f1 No tensor of the base matches layers: 'no such layer'." in text
    assert "readout 1 choose = cross_validation" in text
    assert "readout stretch barrier 68 % " in text
    assert "grouped by structure_id" in text


def test_the_status_of_an_old_study_is_read(old: Path) -> None:
    config = load_study_config(old / "study" / "config.yaml", {"run": old / "study"})
    status = StatusReader(config).read()
    counts = {one.name: (one.done, one.failed, one.missing) for one in status.methods}
    assert counts == {
        "designs": (1, 0, 0),
        "readout, trials": (4, 0, 0),
        "base": (2, 0, 0),
        "readout": (2, 0, 0),
        "broken": (0, 2, 0),
        "offset": (2, 0, 0),
    }
    assert all(one.seconds > 0.0 for one in status.methods if one.done)
    assert status.failures[0].sentence == "No tensor of the base matches layers: 'no such layer'."


def test_an_old_folder_still_knows_whose_it_is(old: Path) -> None:
    folder = RunFolder(old / "run")
    folder.require_same(Provenance.read(folder.provenance).ingredients)


def test_settings_that_came_later_do_not_make_an_old_run_another_s(old: Path, tmp_path: Path) -> None:
    """The method's hash in the old folder is that of its settings now: what it did not know has its default."""
    (tmp_path / "train.extxyz").write_text("")
    config = RunConfig.read(read_yaml(old / "run" / "config.yaml"), "config.yaml")
    here = config.model_copy(update={"data": DataSettings(train=tmp_path / "train.extxyz"), "base": None})
    stored = Provenance.read(old / "run" / "provenance.json").ingredients
    assert ingredients(here)["method"] == stored["method"]
    terms = (Energies(label_error=0.01), *here.method.terms[1:])
    changed = here.model_copy(update={"method": here.method.model_copy(update={"terms": terms})})
    assert ingredients(changed)["method"] != stored["method"]


def nested(value: object) -> object:
    """Return settings as 0.1.0 hashed them: nested tuples, mappings sorted by key."""
    if isinstance(value, dict):
        return tuple((key, nested(value[key])) for key in sorted(value))
    return tuple(nested(item) for item in value) if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["joint", "onehot"])
def test_keys_that_other_methods_had_do_not_make_an_old_run_another_s(name: str, tmp_path: Path) -> None:
    """0.1.0 knew closing_readout of transfer alone: there null is told, and elsewhere it is nothing."""
    (tmp_path / "train.extxyz").write_text("")

    def hashed(method: dict[str, object]) -> str:
        said = {
            "run": "run",
            "fidelities": {"low": {}, "high": {}},
            "target": "high",
            "data": {"train": "train.extxyz"},
        }
        return ingredients(RunConfig.read({**said, "method": {"name": name, **method}}).resolved(tmp_path))["method"]

    settings = METHODS[name].settings().model_dump(mode="json")
    before = {key: value for key, value in settings.items() if key not in ("closing_readout", "opening_readout")}
    del before["training"]["sampling"]["least_rows"]
    assert hashed({}) == content_hash(nested(before))
    assert hashed({"closing_readout": {}}) != hashed({})
