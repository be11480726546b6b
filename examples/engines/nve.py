"""The run that engines are compared with: Newton's equations by ASE, from one start, with MACE's calculator."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

TIMESTEP = 0.5
"""fs."""


def calculator(model: str, dtype: str = "float64") -> Any:
    """Return MACE's own calculator of a file that `rung export` wrote."""
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=model, device="cpu", default_dtype=dtype)


def start(path: Path, temperature: float = 300.0) -> Atoms:
    """Return the first structure of a file, geometry alone, with the same velocities at every call."""
    read_atoms = read(path, index=0)
    assert isinstance(read_atoms, Atoms)
    atoms = Atoms(read_atoms.numbers, positions=read_atoms.positions, cell=read_atoms.cell, pbc=read_atoms.pbc)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(0))
    Stationary(atoms)
    return atoms


def by_ase(atoms: Atoms, model: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return potential and kinetic energies at each step, eV, shapes ``(steps + 1,)``; ``atoms`` move along."""
    atoms.calc = calculator(model)
    integrator = VelocityVerlet(atoms, TIMESTEP * units.fs)
    potential, kinetic = [atoms.get_potential_energy()], [atoms.get_kinetic_energy()]
    for _ in range(steps):
        integrator.run(1)
        potential.append(atoms.get_potential_energy())
        kinetic.append(atoms.get_kinetic_energy())
    return np.array(potential), np.array(kinetic)
