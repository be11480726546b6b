"""The state of the electrons: labels of one composition of several charges or spins, and labels that all have one."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from rung.data.labels import empty_labels
from rung.data.readers.structures import structure_from
from rung.doctor import diagnose


def rattled(seed, fidelity="dmc", formula="H2O", charges=None, energy=0.0, **info):
    atoms = molecule(formula)
    atoms.rattle(0.05, seed=seed)
    if charges is not None:
        atoms.set_initial_charges(charges)
    labels = {fidelity: replace(empty_labels(len(atoms)), energy=energy + 0.05 * seed)} if fidelity else {}
    return structure_from(atoms, f"{formula}-{seed}", info, labels)


def findings(structures, **more):
    found = diagnose({"train": structures, **more}).findings
    return {one.code: one for one in found if one.code in ("several-states", "one-state")}


@pytest.mark.parametrize("key", ["charge", "spin"])
def test_a_state_that_is_a_list_is_told_as_it_stands(key):
    """As in ``spin="0 0 1"``: arrays have no truth value."""
    found = findings([rattled(seed, **{key: np.array([0.1, -0.1, seed])}) for seed in range(2)])
    assert "several-states" in found and key in found["several-states"].sentence


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([{}, {"charge": 1}], "H2O (charge 1, none given)"),
        ([{"charge": 0}, {"charge": 1}], "H2O (charge 0, 1)"),
        ([{"total_charge": 0}, {"charge": -1}], "H2O (charge -1, 0)"),
        ([{"spin": 1}, {"spin": 3}], "H2O (spin 1, 3)"),
        ([{"charge": 0, "multiplicity": 1}, {"charge": 1, "spin_multiplicity": 2}], "H2O (charge 0, 1; multiplicity 1"),
        ([{"charges": [0.1, 0.5, 0.4]}, {"charges": [-0.8, 0.4, 0.4]}], "H2O (charge 0, 1)"),
    ],
)
def test_several_states_of_a_composition_are_a_warning(states, words):
    found = findings([rattled(seed, **states[seed % 2]) for seed in range(6)])
    assert set(found) == {"several-states"}
    assert found["several-states"].severity == "warning"
    assert words in found["several-states"].sentence
    assert len(found["several-states"].structures) == 6


@pytest.mark.parametrize(
    "states",
    [
        [{}, {}],
        [{}, {"charge": 0}],
        [{"charge": 0}, {"charge": 0.0}],
        [{}, {"spin": 1}],
        [{"multiplicity": 1}, {"spin_multiplicity": 1}],
        [{"total_charge": 0}, {"charge": 0}],
        [{"charges": [-0.8, 0.4, 0.4]}, {"charges": [-0.802, 0.401, 0.4]}],
        [{"charges": [-0.4, 0.4, 0.49]}, {"charges": [-0.4, 0.4, 0.51]}],
    ],
)
def test_one_neutral_singlet_is_no_finding_however_it_is_spelt(states):
    assert not findings([rattled(seed, **states[seed % 2]) for seed in range(6)])


def test_one_charge_of_all_is_a_note():
    found = findings([*(rattled(k, charge=1) for k in range(3)), *(rattled(k, formula="CH4") for k in range(3))])
    assert set(found) == {"one-state"}
    assert found["one-state"].severity == "note"
    assert (
        "3 frames with 'dmc' labels" in found["one-state"].sentence and "H2O (charge 1)" in found["one-state"].sentence
    )


def test_frames_without_a_label_and_other_fidelities_do_not_count():
    others = [rattled(4, fidelity=None, charge=1), rattled(5, fidelity="vmc", charge=1)]
    assert set(findings([*(rattled(k) for k in range(3)), *others])) == {"one-state"}


def test_states_are_compared_across_splits():
    found = findings([rattled(1), rattled(2)], test=[rattled(3, charge=1)])
    assert found["several-states"].splits == ("train", "test")


def test_one_geometry_of_two_charges_has_two_energies_and_the_charge_is_named():
    pair = [rattled(1), replace(rattled(1, charge=1, energy=12.6), structure_id="ion")]
    (error,) = diagnose({"train": pair}).of_severity("error")
    assert error.code == "two-energies"
    assert error.sentence.endswith("12.6 eV apart: H2O-1, ion; they differ in charge 1, none given.")
    assert np.isclose(pair[0].labels["dmc"].energy, 0.05)
