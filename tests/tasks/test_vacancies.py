"""``rung vacancies``: one folder belongs to one potential, and its settings have one set of defaults."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from rung.cli.tasks import command_of
from rung.errors import DataError
from rung.model.domain import Place
from rung.model.errorbars import EnergyVariance
from rung.report.tasks.vacancies import vacancy_summary
from rung.results.vacancies import VacanciesResult
from rung.storage import read_json, write_json
from rung.tasks.error_bars import PosteriorBars
from rung.tasks.opened import Opened
from rung.tasks.vacancies import VacancyTask, study_vacancies
from tests.evaluate.paths.wells import Carton
from tests.report.test_page import Page

QUICK = VacancyTask(counts=(1,), most=2, images=3, defect_margin=2)


class LowCarton(Carton):
    """Another potential: hops cost a quarter, and every atom adds −3 eV."""

    height = Carton.height / 4

    def calculate(self, *arguments: object, **options: object) -> None:
        super().calculate(*arguments, **options)
        self.results["energy"] -= len(self.atoms)


def potentials(calculator: Carton) -> dict[str, Opened]:
    return {"high": Opened.of(calculator, fidelity="high")}


def test_another_potential_is_refused(tmp_path: Path) -> None:
    study_vacancies(potentials(Carton()), QUICK, tmp_path)
    before = (tmp_path / "vacancies.json").read_text()
    with pytest.raises(DataError, match="holds vacancies of another potential at high"):
        study_vacancies(potentials(LowCarton()), QUICK, tmp_path)
    study_vacancies(potentials(Carton()), QUICK, tmp_path)
    assert (tmp_path / "vacancies.json").read_text() == before


def test_a_function_whose_code_changed_is_another_potential(tmp_path: Path) -> None:
    """Its fingerprint is its name, and finished hops came back as those of the new code."""

    def of(calculator: Carton) -> dict[str, Opened]:
        return {"high": Opened.of(calculator, fidelity="high", source="mine:potential")}

    study_vacancies(of(Carton()), QUICK, tmp_path)
    study_vacancies(of(Carton()), QUICK, tmp_path)
    with pytest.raises(DataError, match="another potential"):
        study_vacancies(of(LowCarton()), QUICK, tmp_path)


class Killed(Carton):
    """Dies after so many calls, as a process does."""

    left = 0

    def calculate(self, *arguments: object, **options: object) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().calculate(*arguments, **options)


def test_a_study_that_was_killed_again_and_again_ends_as_an_unbroken_one_does(tmp_path: Path) -> None:
    study_vacancies({"high": Opened.of(Carton(), fidelity="high", source="one")}, QUICK, tmp_path / "whole")
    calculator, kills = Killed(), 0
    same = {"high": Opened.of(calculator, fidelity="high", source="one")}
    while True:
        calculator.left = 9 + 2 * kills
        try:
            study_vacancies(same, QUICK, tmp_path / "broken")
        except KeyboardInterrupt:
            kills += 1
            continue
        break
    assert kills >= 3
    found, due = ((tmp_path / name / "vacancies.json").read_text() for name in ("broken", "whole"))
    assert found == due


def test_a_folder_of_rung_0_1_goes_on_with_its_own_potential_alone(tmp_path: Path) -> None:
    study_vacancies(potentials(Carton()), QUICK, tmp_path)
    (tmp_path / "provenance.json").unlink()
    (hop,) = tmp_path.rglob("hop.json")
    write_json(hop, {name: value for name, value in read_json(hop).items() if name != "potential"})
    written = hop.stat().st_mtime_ns
    with pytest.raises(DataError, match="another potential"):
        study_vacancies(potentials(LowCarton()), QUICK, tmp_path)
    (tmp_path / "provenance.json").unlink()
    study_vacancies(potentials(Carton()), QUICK, tmp_path)
    assert hop.stat().st_mtime_ns == written


def test_the_command_and_the_settings_have_one_default() -> None:
    assert VacancyTask().counts == (1, 2, 3, 4, 5, 6)
    command = command_of("vacancies").default_command
    assert command is not None
    assert inspect.signature(command).parameters["counts"].default == VacancyTask().counts


class FarCarton(Carton):
    """A posterior whose training has no vacancy: a layer that lacks an atom is four spreads away."""

    def places(self, structures: Sequence[Atoms]) -> list[Place]:
        return [Place(4.0 if len(one) % 3 else 0.0, 0, 1.0, 3.0, 2.0) for one in structures]

    def energy_combination_variance(self, structures: Sequence[Atoms], coefficients: Sequence[float]) -> EnergyVariance:
        return EnergyVariance(0.01 * float(np.abs(coefficients).sum()), 0.0, 0.0)

    def energy_difference_variance(self, first: Atoms, second: Atoms) -> EnergyVariance:
        return self.energy_combination_variance([first, second], [1.0, -1.0])


def test_hops_and_defects_outside_the_domain_are_named(tmp_path: Path) -> None:
    calculator = FarCarton()
    potential = Opened(calculator, "high", "far", "far", error_bars=PosteriorBars(calculator), offered=("high",))
    study_vacancies({"high": potential}, QUICK, tmp_path)
    result = VacanciesResult.read(tmp_path / "vacancies.json")
    (hop,), (defects,) = result.hops, result.defects
    assert (hop.domain, defects.domain) == ("outside", "outside")
    assert hop.outside[0].startswith("highest image: atom 0 is 4.0 spreads from the nearest training environment")
    assert not [reason for reason in defects.outside if reason.startswith("perfect")]
    sentences = vacancy_summary(result).warnings
    assert sentences[0].startswith("high, 1 vacancy, concerted: outside the domain, so no error bar holds (highest")
    page = Page((tmp_path / "vacancies.html").read_text())
    assert "high, energies of vacancies: outside the domain, so no error bar holds (single" in page.text
