"""Windows drawn exactly from known profiles, with no dynamics: what analysis makes of them has a truth beside it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.calculators.emt import EMT

from rung.evaluate.free_energy.umbrella import Window
from rung.units import BOLTZMANN

TEMPERATURE = 600.0
THERMAL = BOLTZMANN * TEMPERATURE
MASS = 12.0


@dataclass(frozen=True)
class World:
    """F(ξ) = h (ξ² − 1)² + t ξ with a transverse coordinate y of a harmonic spring, both of one atom."""

    height: float = 0.35
    tilt: float = 0.04
    stiffness: float = 6.0

    @cached_property
    def grid(self):
        return np.linspace(-2.2, 2.2, 8001)

    def floor(self, x):
        return self.height * (x**2 - 1) ** 2 + self.tilt * x

    def windows(self, rng, samples=300, centres=None, spring=4.0):
        centres = np.linspace(-1.5, 1.5, 13) if centres is None else centres
        found = []
        for index, centre in enumerate(centres):
            weight = np.exp(-(self.floor(self.grid) + 0.5 * spring * (self.grid - centre) ** 2) / THERMAL)
            cumulative = np.cumsum(weight) / weight.sum()
            values = np.interp(rng.random(samples), cumulative, self.grid)
            across = rng.normal(scale=np.sqrt(THERMAL / self.stiffness), size=samples)
            frames = np.zeros((samples, 1, 3))
            frames[:, 0, 0], frames[:, 0, 1] = values, across
            found.append(
                Window(
                    index=index,
                    centre=float(centre),
                    spring=spring,
                    values=values,
                    energies=self.floor(values) + 0.5 * self.stiffness * across**2,
                    speeds=np.full(samples, 1 / np.sqrt(MASS)),
                    frames=frames,
                    frame_samples=np.arange(samples),
                    steps=samples,
                )
            )
        return found

    def integral(self, low, high, power=np.ones_like):
        x = np.linspace(max(low, -2.2), min(high, 2.2), 20001)
        return float(np.trapezoid(np.exp(-self.floor(x) / THERMAL) * power(x), x))

    def density(self, x, width):
        """Mean of exp(−βF) over a bin."""
        return self.integral(x - width / 2, x + width / 2) / width


class QuickWell:
    """The double well of ``wells.py`` in a plane, with as little around it as an ASE calculator may have."""

    def __init__(self, height=0.3, tilt=0.05, stiffness=8.0, bend=0.5):
        self.height, self.tilt, self.stiffness, self.bend = height, tilt, stiffness, bend
        self.results = {}

    def get_forces(self, atoms):
        x, y, z = atoms.positions[0].tolist()
        off = y - self.bend * (1 - x * x)
        self.results = {"energy": self.floor(x) + 0.5 * self.stiffness * (off * off + z * z)}
        slope = 4 * self.height * x * (x * x - 1) + self.tilt + 2 * self.stiffness * off * self.bend * x
        return -np.array([[slope, self.stiffness * off, self.stiffness * z]])

    def get_potential_energy(self, atoms):
        self.get_forces(atoms)
        return self.results["energy"]

    def floor(self, x):
        return self.height * (x * x - 1) ** 2 + self.tilt * x


def quick_well():
    return QuickWell()


def nothing():
    return 3


class ForgetfulEMT:
    """EMT without its list of neighbours from the steps before, which decides the last digit of its sums."""

    def __init__(self):
        self.results = {}

    def get_forces(self, atoms):
        fresh = EMT()
        forces = fresh.get_forces(atoms)
        self.results = {"energy": fresh.results["energy"]}
        return forces

    def get_potential_energy(self, atoms):
        self.get_forces(atoms)
        return self.results["energy"]


def forgetful_emt():
    return ForgetfulEMT()
