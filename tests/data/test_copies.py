"""Copies of one label: what is one, which of them stays, and what is none."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from rung.data.copies import Copy, copies, without_copies
from rung.data.labels import empty_labels
from rung.data.structure import Structure

FORCES = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])


def hydrogen(name, length=0.74, fidelity="dmc", **label):
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, length]])
    return Structure(atoms, name, {fidelity: replace(empty_labels(2), **label)})


FIRST = hydrogen("first", energy=-31.7, energy_stderr=0.02)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (hydrogen("copy", energy=-31.7, energy_stderr=0.02), (Copy(0, 1, True),)),
        (hydrogen("rounded", energy=-31.7 + 5e-7, energy_stderr=0.02), (Copy(0, 1, True),)),
        (hydrogen("another error", energy=-31.7, energy_stderr=0.03), (Copy(0, 1, False),)),
        (hydrogen("no error", energy=-31.7), (Copy(0, 1, False),)),
        (hydrogen("another run", energy=-31.701, energy_stderr=0.02), ()),
        (hydrogen("another geometry", length=0.75, energy=-31.7, energy_stderr=0.02), ()),
        (hydrogen("another fidelity", fidelity="vmc", energy=-31.7, energy_stderr=0.02), ()),
        (hydrogen("no energy"), ()),
    ],
)
def test_a_copy_is_one_geometry_with_one_energy(other, found):
    assert copies([FIRST, other], "dmc") == found


def test_each_copy_names_the_first_that_agrees_in_the_error():
    other = hydrogen("other", energy=-31.7, energy_stderr=0.03)
    found = copies([FIRST, other, replace(FIRST, structure_id="again"), replace(other, structure_id="twin")], "dmc")
    assert found == (Copy(0, 1, False), Copy(0, 2, True), Copy(1, 3, True))


def test_energies_without_an_error_are_copies_too():
    exact = hydrogen("exact", energy=-31.7)
    assert copies([exact, replace(exact, structure_id="again")], "dmc") == (Copy(0, 1, True),)


def test_copies_lose_what_the_first_says_and_frames_stay():
    pbe = {"pbe": replace(empty_labels(2), energy=-30.0)}
    plain, full = (hydrogen(name, energy=-31.7, energy_stderr=0.02) for name in ("plain", "full"))
    full = replace(full, labels={**pbe, "dmc": replace(full.labels["dmc"], forces=FORCES)})
    kept = without_copies([plain, full, replace(full, structure_id="last")], "dmc")
    assert [one.structure_id for one in kept] == ["plain", "full", "last"]
    assert [one.labelled("dmc").has_energy for one in kept] == [True, False, False]
    assert np.isnan(kept[1].labels["dmc"].energy_stderr)
    assert kept[1].labels["dmc"].has_forces  # the first has none
    assert kept[1].labels["pbe"].energy == -30.0
    again = without_copies([full, plain, replace(full, structure_id="last")], "dmc")
    assert [set(one.labels) for one in again] == [{"pbe", "dmc"}, set(), {"pbe"}]


@pytest.mark.parametrize("stderr", [0.03, np.nan])
def test_what_is_no_sure_copy_keeps_its_label(stderr):
    structures = (FIRST, hydrogen("other", energy=-31.7, energy_stderr=stderr))
    assert without_copies(structures, "dmc") is structures
