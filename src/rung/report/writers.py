"""Which page a folder gets, by the result file that it holds."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rung.report.page import write_report, write_study_report
from rung.report.tasks.campaign import write_campaign_report
from rung.report.tasks.free_energy import write_free_energy_report
from rung.report.tasks.label import write_label_report
from rung.report.tasks.md import write_md_report
from rung.report.tasks.selection import write_selection_report
from rung.report.tasks.transport import write_transport_report
from rung.report.tasks.vacancies import write_vacancy_report
from rung.report.tasks.vibrations import write_vibrations_report
from rung.results.campaign import CAMPAIGN_FILE
from rung.results.free_energy import FREE_ENERGY_FILE
from rung.results.label import LABEL_FILE
from rung.results.md import MD_FILE
from rung.results.selection import SELECTION_FILE
from rung.results.study import TABLE_FILE
from rung.results.transport import TRANSPORT_FILE
from rung.results.vacancies import VACANCIES_FILE
from rung.results.vibrations import VIBRATIONS_FILE

Write = Callable[[Path], Path]

WRITERS: Mapping[str, Write] = {
    TABLE_FILE: write_study_report,
    CAMPAIGN_FILE: write_campaign_report,
    LABEL_FILE: write_label_report,
    FREE_ENERGY_FILE: write_free_energy_report,
    MD_FILE: write_md_report,
    TRANSPORT_FILE: write_transport_report,
    VACANCIES_FILE: write_vacancy_report,
    VIBRATIONS_FILE: write_vibrations_report,
    SELECTION_FILE: write_selection_report,
}
"""The page that belongs to each result file."""


def writer_of(folder: Path) -> Write:
    """Return what writes the page of ``folder``; that of a run where no other result file is there."""
    return next((write for name, write in WRITERS.items() if (Path(folder) / name).exists()), write_report)
