"""The levels of theory of the molecules: what ``rung label`` is told, and the same as ASE calculators."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rung.label.engine import Subject
from rung.label.engines import ENGINES, EngineSettings
from rung.label.engines.ase import AseEngine
from rung.label.engines.pyscf import PyscfEngine

BASIS = "cc-pvdz"

GFN2 = AseEngine(
    calculator="tblite.ase:TBLite",
    arguments={"method": "GFN2-xTB", "accuracy": 0.1, "verbosity": 0},
    trusted=True,
)
MP2 = PyscfEngine(method="mp2", basis=BASIS)
HYBRID = PyscfEngine(method="dft", xc="b3lyp", basis="def2-tzvp", grid_level=3)
CLUSTER = PyscfEngine(method="ccsd(t)", basis=BASIS, forces=False)
CLUSTER_FORCES = PyscfEngine(method="ccsd(t)", basis=BASIS)

LEVELS: dict[str, EngineSettings] = {"gfn2": GFN2, "mp2": MP2, "b3lyp": HYBRID, "ccsdt": CLUSTER_FORCES}
"""Levels with forces, by the name of their labels."""


class Level(Calculator):
    """A level of theory as an ASE calculator, for relaxations and vibrations; it calculates what a label is made of."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.fidelity, self.engine = name, LEVELS[name]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate energy and forces."""
        super().calculate(atoms, properties, system_changes)
        molecule = Atoms(self.atoms.numbers, self.atoms.positions)
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject("molecule", molecule, self.fidelity)
            made = ENGINES[self.engine.name].label(subject, self.engine, Path(folder))
        self.results = {"energy": made.energy, "forces": made.forces}
