"""A calculator that is quick and may fail, and structures for it."""

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from rung.data.readers.structures import structure_from
from rung.data.structure import Structure
from rung.label.engines.ase import AseEngine


class Springs(Calculator):
    """Springs between all atoms; refuses what holds an element of ``hates``, kills its process where a file says so."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self,
        stiffness: float = 1.0,
        hates: str = "",
        calls: str = "",
        kill: str = "",
        seconds: float = 0.0,
        slow: str = "",
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.stiffness, self.hates, self.calls, self.kill = stiffness, hates, calls, kill
        self.seconds, self.slow = seconds, slow

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self.calls:
            with Path(self.calls).open("a") as file:
                file.write(f"{atoms.get_chemical_formula()}\n")
        if self.kill and Path(self.kill).exists():
            Path(self.kill).unlink()
            os.kill(os.getpid(), 9)
        if not self.slow or self.slow in atoms.get_chemical_symbols():
            time.sleep(self.seconds)
        if self.hates and self.hates in atoms.get_chemical_symbols():
            raise CalculationFailed(f"no {self.hates} here")
        vectors = atoms.positions[:, None] - atoms.positions[None]
        energy = 0.25 * self.stiffness * float((vectors**2).sum())
        self.results = {"energy": energy, "forces": -self.stiffness * vectors.sum(axis=1)}


def springs(**arguments: Any) -> AseEngine:
    """Return the engine of these springs."""
    return AseEngine(calculator="tests.label.springs:Springs", arguments=arguments, trusted=True)


def molecules(*names: str) -> list[Structure]:
    """Return molecules under their own names."""
    return [structure_from(molecule(name), name) for name in names or ("H2O", "CH4", "NH3")]


def rattled(structure: Structure, name: str, seed: int = 1) -> Structure:
    """Return the structure with its atoms moved by some hundredths of Å."""
    atoms = structure.atoms.copy()
    atoms.positions += np.random.default_rng(seed).normal(scale=0.03, size=atoms.positions.shape)
    return structure_from(atoms, name)
