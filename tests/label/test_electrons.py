"""Charge and multiplicity come from settings or the file, never from a guess between two meanings."""

import pytest
from ase import Atoms
from ase.build import molecule

from rung.errors import DataError
from rung.label.electrons import Electrons, electrons_of


def of(atoms: Atoms, **settings: int) -> Electrons:
    return electrons_of("x", atoms, **settings)


def with_info(name: str, **info: object) -> Atoms:
    atoms = molecule(name)
    atoms.set_initial_magnetic_moments(None)
    atoms.info.update(info)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "charge", "multiplicity"),
    [
        (with_info("H2O"), 0, 1),
        (with_info("CH3"), 0, 2),
        (molecule("O2"), 0, 3),  # by its magnetic moments
        (with_info("O2"), 0, 1),
        (with_info("O2", multiplicity=3), 0, 3),
        (with_info("H2O", charge=1), 1, 2),
        (with_info("H2O", total_charge=-1.0, spin_multiplicity=2), -1, 2),
        (with_info("H2O", spin=0), 0, 1),
        (Atoms("N"), 0, 4),  # the ground state of an atom
        (Atoms("H"), 0, 2),
        (Atoms("He"), 0, 1),
    ],
)
def test_what_is_said_counts(atoms: Atoms, charge: int, multiplicity: int) -> None:
    assert of(atoms) == Electrons(charge, multiplicity)
    assert of(atoms).unpaired == multiplicity - 1


def test_settings_say_it_for_all() -> None:
    assert of(with_info("O2"), multiplicity=3) == Electrons(0, 3)
    assert of(with_info("H2O"), charge=-1) == Electrons(-1, 2)


@pytest.mark.parametrize(
    ("atoms", "settings", "sentence"),
    [
        (with_info("O2", spin=2), {}, "2S \\+ 1"),
        (with_info("O2", multiplicity=2), {}, "do not have the multiplicity 2"),
        (with_info("H2O"), {"multiplicity": 2}, "so odd here"),
        (with_info("CH3"), {"multiplicity": 1}, "so even here"),
        (with_info("H2O", charge=1), {"charge": 0}, "more than one charge"),
        (with_info("H2O", charge=0.5), {}, "should be a whole number"),
        (with_info("H2O", charge="+1"), {}, "should be a whole number"),
        (Atoms("H", info={"charge": 1}), {}, "leaves no electron"),
    ],
)
def test_what_does_not_go_together_is_refused(atoms: Atoms, settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        of(atoms, **settings)
