"""What energies are counted from: a model's own E0, or what another calculator gives to an atom alone."""

import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from rung.errors import ModelError
from rung.tasks.opened import Opened
from rung.tasks.reference_energies import reference_energies, stated
from tests.pair_hop import lifted


def test_a_model_of_rung_states_its_own() -> None:
    potential = Opened.of(lifted(), fidelity="high")
    assert reference_energies(potential, ["O", "C", "O"]) == {"C": -1.0, "O": -2.0}
    with pytest.raises(ModelError, match="no reference energy for Fe, U"):
        reference_energies(potential, ["U", "C", "Fe"])


def test_another_calculator_is_asked_for_one_atom_alone() -> None:
    energies = reference_energies(Opened.of(EMT(), fidelity="emt"), ["Cu"])
    atom = Atoms("Cu", cell=[30, 30, 30])
    assert energies["Cu"] == pytest.approx(EMT().get_potential_energy(atom), abs=1e-12)
    assert stated(energies) == "Reference energies E0, eV: Cu 3.5100."
