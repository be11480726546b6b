"""Sections of a run's page that no small run shows."""

from rung.report.read import RunFiles
from rung.report.run.sections import errors
from rung.results.config import ConfigNames, MethodName
from tests.report.html import text_of
from tests.report.run.test_breakdown import Pen
from tests.results.made import metrics, split_errors


def test_errors_of_a_part_of_a_split_say_of_how_many_structures_they_are():
    whole, part = (split_errors(n_structures=count, energy_rmse=3.0) for count in (180, 60))
    config = ConfigNames(target="cc", method=MethodName(name="readout"))
    run = RunFiles(metrics=metrics({"test": {"cc": whole, "gfn2": part}}), config=config)
    text = text_of(errors(run, Pen()))
    assert "test 180 structures" in text
    assert "test (gfn2) 60 of 180 structures" in text
