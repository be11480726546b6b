"""Errors by element and by kind of structure are those of the atoms and structures that they name."""

import numpy as np
import pytest

from rung.report.read import RunFiles
from rung.report.run.band import band
from rung.report.run.breakdown import elements, kinds
from rung.results.fit import FitDetails, FitRecord, HyperParameter
from rung.results.geometries import Geometries
from rung.results.predictions import Predictions
from tests.report.html import text_of


class Pen:
    """Takes figures in place of a page."""

    def __init__(self) -> None:
        self.figures: list[object] = []

    def __call__(self, figure: object, caption: str = "") -> str:
        self.figures.append(figure)
        return f"<figure>{caption}</figure>"


@pytest.fixture
def run() -> RunFiles:
    """Four OH: the fit is 3 meV/Å off on O and 1 on H, the base 10 on both; two kinds are 4 and 8 meV off."""
    zeros = [np.zeros((2, 3)) for _ in range(4)]
    offset = np.array([[0.003] * 3, [-0.001] * 3])
    content = Predictions(
        fidelity="high",
        structure_ids=("a", "b", "c", "d"),
        formulas=("OH",) * 4,
        n_atoms=(2,) * 4,
        energy=np.array([0.004, 0.004, 0.008, -0.008]),
        energy_stderr=np.full(4, 0.005),
        energy_label=np.zeros(4),
        energy_stderr_label=np.full(4, np.nan),
        energy_base=None,
        forces=[offset] * 4,
        forces_stderr=None,
        forces_label=zeros,
        forces_base=[np.full((2, 3), 0.01)] * 4,
        kind_key="config_type",
        kinds=("bulk", "bulk", "slab", "slab"),
    )
    geometries = Geometries(rows=(0, 1, 2, 3), symbols=("O H",) * 4, positions=[np.eye(3)[:2]] * 4, cells=(None,) * 4)
    return RunFiles(predictions={"test": content}, geometries={"test": geometries})


def test_force_errors_stand_by_element(run: RunFiles) -> None:
    pen = Pen()
    text = text_of(elements(run, pen))
    assert "H 12 1.00 1.00 1.00 10.0" in text
    assert "O 12 3.00 3.00 3.00 10.0" in text
    assert len(pen.figures) == 1


def test_errors_stand_by_what_frames_say_of_themselves(run: RunFiles) -> None:
    pen = Pen()
    text = text_of(kinds(run, pen))
    assert "config_type Structures Energies, meV/atom Forces, meV/Å Base, meV/Å" in text
    assert "bulk 2 2.00 2.24 10.0" in text
    assert "slab 2 4.00 2.24 10.0" in text
    assert len(pen.figures) == 2


def test_one_kind_or_as_many_as_structures_say_nothing(run: RunFiles) -> None:
    content = run.predictions["test"].model_copy(update={"kinds": None})
    assert kinds(RunFiles(predictions={"test": content}), Pen()) == ""
    names = content.model_copy(update={"formulas": ("A", "B", "C", "D")})
    assert kinds(RunFiles(predictions={"test": names}), Pen()) == ""


def test_atoms_beyond_the_band_are_counted(run: RunFiles) -> None:
    length = float(np.sqrt(3) * 0.007)  # of O; H is farther: 0.011
    for tau, beyond, twice in ((1.01 * length, 4, 0), (0.99 * length, 8, 0), (0.4 * length, 8, 8)):
        rows = HyperParameter(name="tau", value=tau, low=tau, high=tau, unit="eV/Å", meaning="band")
        fit = FitRecord(
            method="readout",
            settings={},
            seconds=1.0,
            n_energies=4,
            diagnostics={},
            warnings=(),
            details=FitDetails(hyperparameters=(rows,)),
        )
        text = text_of(band(RunFiles(predictions=run.predictions, fit=fit), Pen()))
        assert f"On test {beyond} ({100 * beyond // 8} %) of 8 atoms are beyond τ, and {twice}" in text
    assert band(run, Pen()) == ""
