"""Whatever text stands in a result file, a page shows it as text and runs nothing of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rung.report import page, write_report, write_study_report
from rung.report.tasks.barrier import write_barrier_report
from rung.report.tasks.campaign import write_campaign_report
from rung.report.tasks.free_energy import write_free_energy_report
from rung.report.tasks.md import write_md_report
from rung.report.tasks.selection import write_selection_report
from rung.report.tasks.transport import write_transport_report
from rung.report.tasks.vacancies import write_vacancy_report
from rung.report.tasks.vibrations import write_vibrations_report
from rung.results.barrier import Panel
from rung.results.barrier_task import TaskPanel
from rung.results.base import Entry
from rung.results.campaign import CampaignResult
from rung.results.findings import Diagnosis
from rung.results.fit import FitRecord
from rung.results.free_energy import FreeEnergyResult
from rung.results.geometries import Geometries
from rung.results.md import MDResult
from rung.results.metrics import Metrics
from rung.results.predictions import Predictions
from rung.results.provenance import Provenance
from rung.results.selection import SelectionResult
from rung.results.study import StudySummary
from rung.results.transport import TransportResult
from rung.results.vacancies import VacanciesResult
from rung.results.vibrations import VibrationsResult
from tests.report.folders import run_folder, study_folder
from tests.results.examples import example
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


TASKS: dict[str, tuple[str, type[Entry], Callable[[Path], Path]]] = {
    "free_energy.json": ("", FreeEnergyResult, write_free_energy_report),
    "transport.json": ("", TransportResult, write_transport_report),
    "vacancies.json": ("", VacanciesResult, write_vacancy_report),
    "md.json": ("", MDResult, write_md_report),
    "vibrations.json": ("", VibrationsResult, write_vibrations_report),
    "select.json": ("", SelectionResult, write_selection_report),
    "campaign.json": ("", CampaignResult, write_campaign_report),
    "barrier.json": ("[]", TaskPanel, write_barrier_report),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_page_of_a_task(name: str, tmp_path: Path) -> None:
    within, kind, write = TASKS[name]
    content = json.dumps([example(kind)] * 2 if within else example(kind)).replace('"a"', json.dumps(EVIL))
    (tmp_path / name).write_text(content)
    run = EVIL.replace('"', '""')
    (tmp_path / "msd.csv").write_text(
        f'temperature,run,draw,time_ps,msd,collective_msd\n1.5,"{run}",,1,1,1\n1.5,"{run}",,2,2,2\n'
    )
    assert_inert(write(tmp_path))


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
