"""Energies whose reference energies no label determines: the plan, the run, its page and an evaluation name them."""

from dataclasses import replace

import pytest

from rung.cli import main
from rung.config import load_config
from rung.data.energy_table import EnergyRow, EnergyTable
from rung.results.metrics import Metrics
from rung.results.references import OPEN_REFERENCES
from rung.run.planning import plan_fit, reference_verdict
from tests.fit.lifts import lift_of
from tests.report.html import text_of
from tests.run.small_world import SmallWorld, frames
from tests.study.test_references import only_methane_and_water

SENTENCE = f"The labels {OPEN_REFERENCES} for 2 of 6 energies of test (such as CO2, CH4O)"


def test_a_run_and_its_plan_name_energies_without_reference_energies(
    world: SmallWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a method without error bars could not show it otherwise."""
    only_methane_and_water(world)
    config = world.config(method={"name": "offset"})
    assert any(SENTENCE in one for one in plan_fit(load_config(config)).warnings)
    assert main(["fit", str(config)]) == 0
    assert SENTENCE in " ".join(capsys.readouterr().out.split())
    assert Metrics.read(world.folder / "run" / "metrics.json").open_references["test"].n_open == 2
    assert SENTENCE in text_of(world.folder / "run" / "report.html")

    words = ["evaluate", str(world.folder / "run" / "model.rung"), str(world.folder / "test.extxyz")]
    assert main([*words, "--fidelity", "high"]) == 0
    assert SENTENCE in " ".join(capsys.readouterr().out.split())
    assert main([*words, "--fidelity", "low"]) == 0  # the base's own fidelity was not fitted
    assert OPEN_REFERENCES not in " ".join(capsys.readouterr().out.split())


def test_a_run_whose_labels_determine_all_says_nothing(finished: SmallWorld) -> None:
    assert Metrics.read(finished.folder / "run" / "metrics.json").open_references == {}


def test_differences_within_a_composition_identify_no_reference_energy() -> None:
    one, other = frames("train", 5, 0)[::4]  # two geometries of water
    table = EnergyTable((EnergyRow(one.structure_id, "high", 0.1, minus=other.structure_id),))
    identified, sentence = reference_verdict(replace(lift_of([one, other]), table=table))
    assert not identified and "identify 0 of 2 combinations" in sentence
