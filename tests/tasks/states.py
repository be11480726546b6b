"""A calculator that needs all that a structure says, and starts of tasks that say it."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

from tests.evaluate.paths.wells import DoubleWell

CHARGE_ENERGY = -3.5
"""eV for an elementary charge."""


class Charged(Calculator):
    """A double well of its first atom, and springs of the others; without charge, moments and masses it fails."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        assert self.atoms.info["spin"] == 2
        assert self.atoms.get_masses()[0] == 2.014
        assert self.atoms.get_initial_charges().sum() == self.atoms.info["charge"]
        assert np.abs(self.atoms.get_initial_magnetic_moments()).sum() == 1.0
        well = DoubleWell()
        well.calculate(self.atoms[:1])
        away = self.atoms.positions[1:] - [3.0, 0.0, 0.0]
        energy = well.results["energy"] + CHARGE_ENERGY * self.atoms.info["charge"] + 2.0 * float(np.sum(away**2))
        self.results = {"energy": energy, "forces": np.concatenate([well.results["forces"], -4.0 * away])}


def charged() -> Charged:
    """The calculator as the command line imports it."""
    return Charged()


def ion(x: float, moment: tuple[float, float] = (1.0, 0.0)) -> Atoms:
    """Return a deuteron in the well at ``x`` with a partner that is held, of charge one and spin two."""
    atoms = Atoms("HHe", positions=[[x, 0.0, 0.0], [3.0, 0.0, 0.0]])
    atoms.set_masses([2.014, 4.0])
    atoms.set_initial_charges([1.0, 0.0])
    atoms.set_initial_magnetic_moments(moment)
    atoms.info.update(charge=1, spin=2)
    atoms.set_constraint(FixAtoms([1]))
    return atoms
