"""An exported MACE file in OpenMM by OpenMM-ML, beside the same run by ASE.

Needs `pip install openmm openmmml`. Without `returnEnergyType="energy"` OpenMM-ML leaves the reference energies out.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from nve import TIMESTEP, by_ase, start


def by_openmm(atoms: Atoms, model: str, steps: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return potential and kinetic energies at each step, eV, and the version of OpenMM.

    OpenMM's cells are in its reduced form, which must be that of ``atoms`` already.
    """
    import openmm
    from openmm import app, unit
    from openmmml import MLPotential

    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for symbol in atoms.get_chemical_symbols():
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in 0.1 * atoms.cell.array] * unit.nanometer)
    system = MLPotential("mace", modelPath=model).createSystem(
        topology, precision="double", returnEnergyType="energy", removeCMMotion=False
    )
    for index, mass in enumerate(atoms.get_masses()):
        system.setParticleMass(index, mass)
    integrator = openmm.CustomIntegrator(TIMESTEP * unit.femtosecond)  # velocity Verlet: OpenMM's own is leapfrog
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    integrator.addComputePerDof("x", "x + dt*v")
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(0.1 * atoms.positions)
    context.setVelocities(atoms.get_velocities() * units.fs * 100.0)  # an Å a fs is 100 nm a ps
    energies = []
    for step in range(steps + 1):
        if step:
            integrator.step(1)
        state = context.getState(energy=True)
        pair = (state.getPotentialEnergy(), state.getKineticEnergy())
        energies.append([one.value_in_unit(unit.kilojoule_per_mole) * units.kJ / units.mol for one in pair])
    potential, kinetic = np.array(energies).T
    return potential, kinetic, openmm.__version__


def main() -> None:
    """Run both and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a file that rung export wrote")
    parser.add_argument("start", type=Path, help="a file of structures; the first is run")
    parser.add_argument("--steps", type=int, default=40)
    told = parser.parse_args()
    atoms = start(told.start)
    potential, kinetic, version = by_openmm(atoms, told.model, told.steps)
    energies, kinetics = by_ase(atoms, told.model, told.steps)
    print(f"OpenMM {version}, {told.steps} steps of {TIMESTEP} fs, {len(atoms)} atoms; from ASE at most:")
    print(f"potential energy {1e3 * np.abs(potential - energies).max():.2g} meV")
    print(f"kinetic energy {1e3 * np.abs(kinetic - kinetics).max():.2g} meV")


if __name__ == "__main__":
    main()
