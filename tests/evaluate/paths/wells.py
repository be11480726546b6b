"""An analytic double well of one atom whose barrier is known, and a cheap chain for periodic bands."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class DoubleWell(Calculator):
    """V = h (x² − 1)² + t x + ½ k (y − a (1 − x²))² + ½ k z², eV and Å: a curved valley with y = a (1 − x²).

    On the valley floor V is h (x² − 1)² + t x, whose stationary points are the roots of a cubic.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, height=0.8, tilt=0.1, stiffness=8.0, bend=0.5):
        super().__init__()
        self.height, self.tilt, self.stiffness, self.bend = height, tilt, stiffness, bend
        self.calls = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        x, y, z = self.atoms.positions[0]
        off = y - self.bend * (1 - x**2)
        energy = self.floor(x) + 0.5 * self.stiffness * (off**2 + z**2)
        slope = 4 * self.height * x * (x**2 - 1) + self.tilt + 2 * self.stiffness * off * self.bend * x
        self.results = {
            "energy": float(energy),
            "forces": -np.array([[slope, self.stiffness * off, self.stiffness * z]]),
        }

    def floor(self, x):
        return self.height * (x**2 - 1) ** 2 + self.tilt * x

    def stationary(self):
        """Left minimum, saddle and right minimum: the roots of 4 h x³ − 4 h x + t."""
        return np.sort(np.roots([4 * self.height, 0.0, -4 * self.height, self.tilt]).real)

    def truth(self):
        """Barrier from the left minimum, and energy of the right one less the left one."""
        left, top, right = self.floor(self.stationary())
        return top - left, right - left


def at(x, y=0.0, z=0.0):
    return Atoms("H", positions=[[x, y, z]])


def tilted():
    """The double well as the command line imports it."""
    return DoubleWell()


class Carton(Calculator):
    """Atoms of an MX2 monolayer, each in the same egg-carton of the lattice and none aware of another.

    V = A (3 − cos b1·r − cos b2·r − cos (b1 + b2)·r) about each site, so between two neighbouring sites it is 4 A; in z
    a spring holds each plane. Every atom adds −2 eV.
    """

    implemented_properties = ("energy", "forces")
    height = 0.2
    lattice = 3.18

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        vectors = self.lattice * np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)]])
        first, second = 2 * np.pi * np.linalg.inv(vectors).T
        middle = self.atoms.cell[2, 2] / 2
        above = self.atoms.positions[:, 2] - middle
        metal = self.atoms.numbers == 42
        places = np.where(metal[:, None], 0.0, vectors[0] * 2 / 3 + vectors[1] / 3)
        plane = np.where(metal, 0.0, np.sign(above) * 3.13 / 2)
        energy, forces = -2.0 * len(self.atoms), np.zeros((len(self.atoms), 3))
        for wave in (first, second, first + second):
            phase = (self.atoms.positions[:, :2] - places) @ wave
            energy += self.height * np.sum(1 - np.cos(phase))
            forces[:, :2] -= self.height * np.sin(phase)[:, None] * wave
        energy += 2.5 * np.sum((above - plane) ** 2)
        forces[:, 2] -= 5.0 * (above - plane)
        self.results = {"energy": float(energy), "forces": forces}


def carton():
    """The egg-carton as the command line imports it."""
    return Carton()
