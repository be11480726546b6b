"""The state of the electrons that all labels of a composition state."""

from ase import Atoms

from rung.data.states import common_states, state_in
from rung.data.structure import Structure


def water(**info):
    return Structure(Atoms("OH2"), "water", {}, info)


def test_one_state_of_a_composition_is_common_under_any_key():
    cations = [water(charge=1, multiplicity=2), water(total_charge=1.0, spin_multiplicity="2")]
    assert common_states(cations) == {"H2O": {"charge": "1", "multiplicity": "2"}}


def test_mixed_and_usual_states_are_none():
    assert common_states([water(charge=1), water(charge=0)]) == {}
    assert common_states([water(charge=1), water()]) == {}
    assert common_states([water(charge=0, spin=1), water()]) == {}
    assert common_states([]) == {}


def test_atoms_state_what_structures_do():
    atoms = Atoms("OH2", charges=[0.5, 0.25, 0.25])
    assert state_in(atoms) == {"charge": "1"}
    atoms.info["spin"] = 2
    assert state_in(atoms) == {"charge": "1", "spin": "2"}
    assert state_in(Atoms("OH2")) == {}
