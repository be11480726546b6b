"""Draws of few labels leave reference energies open: the comparison says where, and what to do."""

from dataclasses import replace
from pathlib import Path

import pytest
from ase.build import molecule

from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.results.references import OPEN_REFERENCES
from rung.results.study import StudySummary
from rung.study import load_study_config
from rung.study.references import open_references, open_sentences
from rung.study.workshop import Workshop
from tests.report.html import text_of
from tests.run.small_world import SmallWorld


def only_methane_and_water(world: SmallWorld) -> None:
    """Take the labels of all other molecules away: ten labels, or six, leave the third reference energy open."""
    known = {molecule(name).get_chemical_formula() for name in ("CH4", "H2O")}
    train = [
        one if one.atoms.get_chemical_formula() in known else replace(one, labels={"low": one.labels["low"]})
        for one in read_structures(world.folder / "train.extxyz")
    ]
    write_structures(world.folder / "train.extxyz", train)


def study_of(world: SmallWorld) -> Path:
    return world.config(
        "study.yaml", run="curve", method={"name": "offset"}, labels=[1, 6], seeds=[0, 1], force_structures=1
    )


def test_what_draws_leave_open_is_counted_by_split_and_draw(world: SmallWorld) -> None:
    only_methane_and_water(world)
    config = load_study_config(study_of(world))
    found = open_references(Workshop(config))
    # of six test molecules (H2O, CH4, CO2, CH3OH, H2O, CH4) six labels settle four, one label settles two
    assert {draw: one.n_open for draw, one in found["test"].items()} == {
        (1, 0, 0): 4,
        (1, 1, 0): 4,
        (6, 0, 0): 2,
        (6, 1, 0): 2,
    }
    (sentence,) = open_sentences(config, found)
    assert "on test, with 1 label for up to 4 of 6 energies in 2 of 2 draws; with 6 labels for up to 2 of 6" in sentence
    assert "label a structure of each composition" in sentence


def test_draws_that_determine_every_reference_energy_say_nothing(world: SmallWorld) -> None:
    path = world.config("all.yaml", run="all", method={"name": "offset"}, labels=[10], seeds=[0])
    assert open_references(Workshop(load_study_config(path))) == {}


def test_a_comparison_says_which_splits_have_open_reference_energies(
    world: SmallWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    only_methane_and_water(world)
    path = str(study_of(world))
    assert main(["study", path]) == 0
    said = capsys.readouterr()
    assert OPEN_REFERENCES in said.out.replace("\n", " ")
    before, done, _ = said.err.replace("\n", " ").partition(" done")
    assert OPEN_REFERENCES in before and done  # before the fits, which may take hours
    assert OPEN_REFERENCES in (world.folder / "curve" / "log.txt").read_text()
    assert main(["study", path]) == 0  # nothing is left to do
    assert OPEN_REFERENCES not in capsys.readouterr().err
    assert any(OPEN_REFERENCES in one for one in StudySummary.read(world.folder / "curve" / "study.json").verdict)
    page = text_of(world.folder / "curve" / "report.html")
    assert OPEN_REFERENCES in page.split("In sentences, with what limits them")[0]
