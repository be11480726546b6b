"""Masses, charges and moments of a structure: what is taken from columns, and what two ends of a path must share."""

import numpy as np
import pytest
from ase.build import molecule

from rung.data.attributes import attributes_in, key_of, unlike, unusual
from rung.errors import DataError


def test_columns_that_physics_needs_are_taken_and_others_left() -> None:
    columns = {"mass": np.ones(2), "initial_magmoms": np.ones((2, 3)), "descriptor": np.ones(2)}
    assert set(attributes_in(columns, 2, "a, frame 0")) == {"masses", "initial_magmoms"}
    for damaged in ({"masses": np.zeros(2)}, {"masses": np.array([1.0, np.nan])}):
        with pytest.raises(DataError, match="a, frame 0: the column masses holds a value that is not possible"):
            attributes_in(damaged, 2, "a, frame 0")
    for damaged in ({"initial_charges": np.array(["a", "b"])}, {"initial_charges": np.ones((2, 3))}):
        with pytest.raises(DataError, match="initial_charges is not one number for each atom"):
            attributes_in(damaged, 2, "a, frame 0")


def test_what_a_path_cannot_change_is_named() -> None:
    water, other = molecule("H2O"), molecule("H2O")
    assert unlike(water, other) == ""
    other.set_initial_magnetic_moments([1, -1, 0])
    assert unlike(water, other) == "", "a first guess may differ"
    other.set_initial_charges([1, 0, 0])
    assert unlike(water, other) == "the sum of initial charges"
    other.info["charge"] = 1
    assert unlike(water, other) == "charge"
    other.set_masses([16, 2, 1])
    assert unlike(water, other) == "masses"


def test_a_state_beyond_a_neutral_singlet_is_named() -> None:
    water = molecule("H2O")
    water.set_initial_charges([0.0] * 3)
    water.info.update(charge=0, spin=1, note="x")
    assert unusual(water) == ""
    assert key_of(molecule("H2O")) == ()
    water.info["spin"] = 3
    assert unusual(water) == "spin=3"
    del water.info["spin"]
    water.set_initial_magnetic_moments([1, 0, 0])
    assert unusual(water) == "initial magnetic moments"
    assert key_of(water) != ()
