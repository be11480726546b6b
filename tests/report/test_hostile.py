"""Whatever text stands in a result file, a page shows it as text and runs nothing of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from rung.report import page, write_report, write_study_report
from rung.results.barrier import Panel
from rung.results.base import Entry
from rung.results.findings import Diagnosis
from rung.results.fit import FitRecord
from rung.results.geometries import Geometries
from rung.results.metrics import Metrics
from rung.results.predictions import Predictions
from rung.results.provenance import Provenance
from rung.results.study import StudySummary
from tests.report.folders import run_folder, study_folder
from tests.report.pages import TASKS, page_of_task
from tests.shapes import changed, places

EVIL = "<i id=evil>{0}%s\"'&</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the five megabytes of plotly out of pages."""
    monkeypatch.setattr(page, "_library", lambda: "plotly.js")


def assert_inert(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "<i id=evil" not in text
    assert "<img src=x" not in text
    assert "evil" in text, "the text is shown"


@pytest.mark.parametrize("name", TASKS)
def test_the_page_of_a_task(name: str, tmp_path: Path) -> None:
    assert_inert(page_of_task(name, tmp_path, EVIL))


def hostile(kind: type[Entry], content: Any) -> Any:
    """Return ``content`` with every text replaced that may be any text."""
    for path in list(places(content)):
        part = content
        for step in path:
            part = part[step]
        if isinstance(part, str):
            other = changed(content, path, EVIL)
            try:
                for entry in other if isinstance(other, list) else (other,):
                    kind.model_validate(entry)
            except ValueError:
                continue
            content = other
    return content


RUN: dict[str, type[Entry]] = {
    "metrics.json": Metrics,
    "fit.json": FitRecord,
    "barrier.json": Panel,
    "findings.json": Diagnosis,
    "provenance.json": Provenance,
    "predictions/test.json": Predictions,
    "geometries/test.json": Geometries,
}


def test_the_page_of_a_run(tmp_path: Path) -> None:
    run_folder(tmp_path)
    for name, kind in RUN.items():
        file = tmp_path / name
        file.write_text(json.dumps(hostile(kind, json.loads(file.read_text()))))
    (tmp_path / "config.yaml").write_text(
        f"run: r\nfidelities: {{pbe: {{level_of_theory: {json.dumps(EVIL)}}}, r2scan: {{level_of_theory: "
        f"{json.dumps(EVIL)}}}}}\ntarget: r2scan\nbase: {{fidelity: pbe}}\nmethod: {{name: {json.dumps(EVIL)}}}\n"
    )
    assert_inert(write_report(tmp_path))


def test_the_page_of_a_study(tmp_path: Path) -> None:
    study_folder(tmp_path)
    file = tmp_path / "study.json"
    file.write_text(json.dumps(hostile(StudySummary, json.loads(file.read_text()))))
    table = tmp_path / "study.csv"
    cell = '"' + EVIL.replace('"', '""') + '"'
    table.write_text(table.read_text().replace("readout,", f"{cell},"))
    assert_inert(write_study_report(tmp_path))
