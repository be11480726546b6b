"""A page of every task, from the least result that its definition allows."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from rung.report.tasks.barrier import write_barrier_report
from rung.report.tasks.campaign import write_campaign_report
from rung.report.tasks.free_energy import write_free_energy_report
from rung.report.tasks.label import write_label_report
from rung.report.tasks.md import write_md_report
from rung.report.tasks.prediction import write_prediction_report
from rung.report.tasks.selection import write_selection_report
from rung.report.tasks.transport import write_transport_report
from rung.report.tasks.vacancies import write_vacancy_report
from rung.report.tasks.vibrations import write_vibrations_report
from rung.results.barrier_task import TaskPanel
from rung.results.base import Entry
from rung.results.campaign import CampaignResult
from rung.results.free_energy import FreeEnergyResult
from rung.results.label import Labelled
from rung.results.md import MDResult
from rung.results.prediction import PredictionResult
from rung.results.selection import SelectionResult
from rung.results.transport import TransportResult
from rung.results.vacancies import VacanciesResult
from rung.results.vibrations import VibrationsResult
from tests.results.examples import example

TASKS: Mapping[str, tuple[type[Entry], Callable[[Path], Path]]] = {
    "free_energy.json": (FreeEnergyResult, write_free_energy_report),
    "transport.json": (TransportResult, write_transport_report),
    "vacancies.json": (VacanciesResult, write_vacancy_report),
    "md.json": (MDResult, write_md_report),
    "vibrations.json": (VibrationsResult, write_vibrations_report),
    "select.json": (SelectionResult, write_selection_report),
    "campaign.json": (CampaignResult, write_campaign_report),
    "label.json": (Labelled, write_label_report),
    "barrier.json": (TaskPanel, write_barrier_report),
    "predicted.json": (PredictionResult, lambda folder: write_prediction_report(folder / "predicted.json")),
}
"""What a result is, and what writes its page, by the name of its file; that of barriers is a list."""


def page_of_task(name: str, folder: Path, word: str = "a") -> Path:
    """Write the result of one task, every text in it ``word``, and its page; return the page."""
    kind, write = TASKS[name]
    content = [example(kind)] * 2 if kind is TaskPanel else example(kind)
    (folder / name).write_text(json.dumps(content).replace('"a"', json.dumps(word)))
    run = word.replace('"', '""')
    (folder / "msd.csv").write_text(
        f'temperature,run,draw,time_ps,msd,collective_msd\n1.5,"{run}",,0.001,1,1\n1.5,"{run}",,0.003,2,2\n'
    )
    return write(folder)
