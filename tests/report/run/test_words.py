"""What a run shows, in sentences."""

import json
import math
import re

import pytest

from rung.report import write_report
from rung.report.read import RunFiles
from rung.report.run.words import _barrier_sentences, _split_sentences, headline
from rung.results.barrier import BarrierEntry, Panel
from rung.results.config import BaseName, ConfigNames, MethodName
from rung.results.metrics import Checks, FitNumbers, Metrics
from rung.storage import read_json, write_json
from tests.report.folders import run_folder
from tests.report.html import text_of
from tests.results.made import split_errors


class TestSentences:
    def of(self, base, **errors):
        return " ".join(_split_sentences("test", split_errors(**errors), base))

    def test_better_worse_and_equal_are_told_apart(self):
        base = split_errors(energy_rmse=10.0, force_rmse=100.0)
        assert "falls from 10.0 (base) to 5.00" in self.of(base, energy_rmse=5.0)
        assert "rises from 10.0 (base) to 20.0" in self.of(base, energy_rmse=20.0)
        assert "stays at 10.1" in self.of(base, energy_rmse=10.1)
        assert "is 5.00 meV/atom" in self.of(None, energy_rmse=5.0)

    def test_an_energy_error_never_stands_without_the_forces(self):
        assert "force error" in self.of(None, energy_rmse=5.0, force_rmse=90.0)
        departure = self.of(None, energy_rmse=5.0, force_departure_rmse=70.0)
        assert "departed from the base's by 70.0 meV/Å" in departure
        assert "no error" in departure
        assert "Nothing is known of the forces" in self.of(None, energy_rmse=5.0)

    @pytest.mark.parametrize(
        ("z2", "words"),
        [(1.0, "right size"), (9.0, "too small by a factor of 3.0"), (0.25, "too wide by a factor of 2.0")],
    )
    def test_error_bars_are_judged(self, z2, words):
        assert words in self.of(None, energy_rmse=1.0, energy_z2=z2)

    def test_how_many_energies_have_a_bar_is_told_where_not_all_have_one(self):
        some = self.of(None, energy_rmse=1.0, energy_z2=9.0, n_energies=20, n_energy_bars=12)
        assert "(z² = 9.0; 12 of 20 energies have one)" in some
        assert "have one" not in self.of(None, energy_rmse=1.0, energy_z2=9.0, n_energies=20, n_energy_bars=20)

    def test_a_barrier_that_is_not_known_is_not_told(self):
        values = {"lifted": math.nan, "other": 1.2, "truth": 1.0}
        barriers = tuple(BarrierEntry(name=name, value=value) for name, value in values.items())
        assert _barrier_sentences(Panel(title="Hop", curves=(), barriers=barriers), RunFiles()) == [
            "Hop: other gives 1.20 eV; truth 1.000 eV."
        ]

    def test_a_band_named_by_its_level_is_known_for_what_it_is(self):
        values = {"pbe": 0.2, "dmc": 0.42, "CCSD(T) labels": 0.44}
        barriers = tuple(BarrierEntry(name=name, value=value) for name, value in values.items())
        config = ConfigNames(target="dmc", method=MethodName(name="readout"), base=BaseName(fidelity="pbe"))
        assert _barrier_sentences(Panel(title="Hop", curves=(), barriers=barriers), RunFiles(config=config)) == [
            "Hop: dmc gives 0.420 eV, base 0.200. Beside it: CCSD(T) labels 0.440 eV."
        ]


def test_a_potential_without_a_base_was_not_lifted(tmp_path):
    run_folder(tmp_path)
    config = {"target": "pbe", "method": {"name": "scratch"}, "fidelities": {"pbe": {"level_of_theory": "PBE"}}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    text = text_of(write_report(tmp_path))
    assert "A potential of pbe by the method scratch" in text
    assert "The method scratch trained a potential on" in text
    assert "Lifted" not in text


def test_a_note_is_no_warning(tmp_path):
    run_folder(tmp_path)
    fit = read_json(tmp_path / "fit.json")
    fit["details"]["notes"] = ["All labels have one composition."]
    write_json(tmp_path / "fit.json", fit)
    page = write_report(tmp_path).read_text()
    remarks = re.search(r'<ul class="remarks">(.*?)</ul>', page)
    assert remarks is not None
    assert text_of(remarks[1]) == "All labels have one composition."


def test_forces_that_energies_did_not_improve_stand_in_the_first_lines():
    fit = FitNumbers(
        method="readout", seconds=1, cache_seconds=1, n_parameters=1, n_energies=9, warnings=(), hyperparameters={}
    )
    metrics = Metrics(
        splits={"test": {"dft": split_errors(energy_rmse=12.0, force_rmse=864.0)}},
        base={"test": {"dft": split_errors(energy_rmse=30.0, force_rmse=696.0)}},
        checks=Checks(step_zero=None, warnings=()),
        fit=fit,
    )
    config = ConfigNames(target="dft", method=MethodName(name="readout"), base=BaseName(fidelity="pbe"))
    lines = headline(RunFiles(metrics=metrics, config=config))
    assert "worse than the base's, 864 against 696 meV/Å" in lines[1]
