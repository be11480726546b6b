"""Calculators whose answers are known on paper."""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list


class Chain(Calculator):
    """Central springs between atoms one lattice constant apart along x, and springs to the sites along y and z."""

    implemented_properties = ("energy", "forces")

    def __init__(self, stiffness=2.0, length=3.0, across=0.5):
        super().__init__()
        self.stiffness, self.length, self.across = stiffness, length, across

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        positions = self.atoms.positions
        forces = np.zeros_like(positions)
        first, along = neighbor_list("iD", self.atoms, 1.5 * self.length)
        near = np.abs(along[:, 1:]).max(axis=1) < 1.0
        stretch = np.abs(along[near, 0]) - self.length
        np.add.at(forces[:, 0], first[near], self.stiffness * stretch * np.sign(along[near, 0]))
        energy = 0.25 * self.stiffness * float((stretch**2).sum())
        away = positions[:, 1:] - 10.0
        forces[:, 1:] -= self.across * away
        energy += 0.5 * self.across * float((away**2).sum())
        self.results = {"energy": energy, "forces": forces}


class Turning(Calculator):
    """Σ ½ V_n (1 + cos n φ) of one dihedral angle, rigid otherwise: bonds and angles do not enter."""

    implemented_properties = ("energy", "forces")

    def __init__(self, dihedral, terms):
        super().__init__()
        self.dihedral, self.terms = dihedral, terms

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        angle = np.radians(self.atoms.get_dihedral(*self.dihedral))
        self.results = {"energy": float(sum(0.5 * v * (1 + np.cos(n * angle)) for n, v in self.terms.items()))}
        self.results["forces"] = np.zeros((len(self.atoms), 3))


class Regular(Calculator):
    """An alloy without order: n_cation times Ω x (1 − x), plus energies of the pure ends that must cancel."""

    implemented_properties = ("energy", "forces")

    def __init__(self, strength=0.2):
        super().__init__()
        self.strength = strength

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        symbols = np.array(self.atoms.get_chemical_symbols())
        first, second = int((symbols == "In").sum()), int((symbols == "Ga").sum())
        count = max(first + second, 1)
        mixing = self.strength * first * second / count
        self.results = {"energy": -3.0 * first - 5.0 * second - 2.0 * int((symbols == "N").sum()) + mixing}
        self.results["forces"] = np.zeros((len(self.atoms), 3))
