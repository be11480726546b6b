"""When a run must end: numbers that are none, atoms on top of each other, forces or temperatures beyond any use."""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from pydantic import Field

from rung.evaluate.dynamics.integrator import Integrator, Motion
from rung.settings import Settings


class LimitSettings(Settings):
    """Beyond what a run stops."""

    close_contact: float = Field(default=0.5, ge=0)
    """Two atoms nearer than this times the sum of their covalent radii are on top of each other."""
    largest_force: float = Field(default=200.0, gt=0)
    """Largest force on one atom, eV/Å."""
    temperature_ratio: float = Field(default=5.0, gt=1)
    """Kinetic temperature over the one that was asked for, beyond what thermal spread explains."""


class Limits:
    """Looks at each state of a run; built once for its atoms."""

    def __init__(self, atoms: Atoms, settings: LimitSettings, integrator: Integrator) -> None:
        self._atoms = atoms.copy()
        self._atoms.set_constraint()
        self._settings = settings
        self._integrator = integrator
        radii = settings.close_contact * covalent_radii[atoms.numbers]
        self._radii = {int(number): float(radii[atoms.numbers == number][0]) for number in np.unique(atoms.numbers)}
        contact = 2.0 * max(self._radii.values())
        # as far as neighbours usually are: a shorter reach makes more boxes than atoms in a thin gas
        usual = (self._atoms.get_volume() / len(atoms)) ** (1 / 3) if self._atoms.cell.rank == 3 else 3.0
        self._reach = max(contact + 1.0, 0.5 * usual)
        self._most = self._reach - contact
        self._clearance = 0.0
        self._checked = np.full_like(atoms.positions, np.inf)
        from scipy.stats import chi2  # noqa: PLC0415 - its import takes long, and --help reads this module

        # few degrees of freedom fluctuate by themselves: what happens once in 10¹² draws is still thermal
        freedom = max(integrator.degrees_of_freedom, 1)
        thermal = float(chi2.isf(1e-12, freedom)) / freedom
        self._hottest = integrator.temperature * max(settings.temperature_ratio, thermal)

    def broken(self, motion: Motion) -> str:
        """Return why the run must end at this state; empty where it may go on."""
        if not motion.finite:
            return "energy, forces or positions are not finite numbers"
        largest = float(np.sqrt((motion.forces**2).sum(axis=1).max()))
        if largest > self._settings.largest_force:
            return f"a force of {largest:.3g} eV/Å on atom {int(np.argmax((motion.forces**2).sum(axis=1)))}"
        temperature = self._integrator.temperature_of(motion.momenta)
        if temperature > self._hottest > 0:
            return f"a kinetic temperature of {temperature:.0f} K"
        return self._contact(motion)

    def _contact(self, motion: Motion) -> str:
        """Look for close contacts only once atoms may have come so near since the last search."""
        if not self._settings.close_contact or len(self._atoms) < 2:
            return ""
        moved = np.sqrt(((motion.positions - self._checked) ** 2).sum(axis=1).max())
        if 2.0 * moved < self._clearance:
            return ""
        self._atoms.positions = motion.positions
        first, second, distance = neighbor_list("ijd", self._atoms, self._reach)
        self._checked = motion.positions
        if not len(first):
            self._clearance = self._most
            return ""
        numbers = self._atoms.numbers
        allowed = np.array([self._radii[int(number)] for number in numbers])
        room = distance - allowed[first] - allowed[second]
        nearest = int(np.argmin(room))
        self._clearance = min(float(room[nearest]), self._most)
        if room[nearest] >= 0:
            return ""
        return f"atoms {int(first[nearest])} and {int(second[nearest])} are {distance[nearest]:.2f} Å apart"
