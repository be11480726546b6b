"""The page of real vacancies on an egg-carton, read as text."""

from pathlib import Path

from rung.tasks.opened import Opened
from rung.tasks.vacancies import VacancyTask, study_vacancies
from tests.evaluate.paths.wells import Carton
from tests.report.test_page import Page


def test_vacancies(tmp_path: Path) -> None:
    task = VacancyTask(counts=(1,), most=2, images=3, defect_margin=2, chemical_potentials={"high": -5.0})
    result = study_vacancies({"high": Opened.of(Carton(), fidelity="high")}, task, tmp_path)
    page = Page((tmp_path / "vacancies.html").read_text())
    assert page.headings[0] == "Vacancies in MoS2"
    assert f"high concerted 1 3×3 {result.hops[0].barrier:.3f}" in page.text
    assert "only one size of cell was tried" in page.text
    assert "formation, single −3.000" in page.text  # 2 eV an atom, less μ
    assert "Chemical potential of the chalcogen: -5.000 eV an atom." in page.text
