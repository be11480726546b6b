"""Replicas of an exported MACE file side by side in TorchSim, each beside the same run by ASE.

Needs `pip install torch-sim-atomistic`. Written for version 0.3, the last that takes Python 3.11: newer ones have other
names for the integrator.
"""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from nve import TIMESTEP, by_ase, start

TEMPERATURES = (100.0, 300.0, 500.0)
"""K, of the velocities of each replica."""


def by_torchsim(replicas: Sequence[Atoms], model: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return potential and kinetic energies at each step, eV, shapes ``(steps + 1, replicas)``."""
    import torch
    import torch_sim
    from torch_sim.integrators import nve
    from torch_sim.models.mace import MaceModel
    from torch_sim.units import MetalUnits

    device, kind = torch.device("cpu"), torch.float64
    state = torch_sim.io.atoms_to_state(list(replicas), device, kind)
    step = torch.tensor(1e-3 * TIMESTEP * MetalUnits.time, dtype=kind)
    network = torch.load(model, map_location=device, weights_only=False)  # a pickle that rung wrote
    begin, advance = nve(MaceModel(network, device=device, dtype=kind), dt=step, kT=torch.tensor(0.025, dtype=kind))
    state = begin(state)
    state.momenta = torch.as_tensor(np.concatenate([one.get_momenta() for one in replicas]), dtype=kind)
    potential, kinetic = [], []
    for count in range(steps + 1):
        if count:
            state = advance(state)
        atoms = 0.5 * (state.momenta**2).sum(dim=1) / state.masses
        rows = torch.zeros(len(replicas), dtype=kind).index_add(0, state.system_idx, atoms)
        potential.append(state.energy.detach().numpy().copy())
        kinetic.append(rows.numpy())
    return np.array(potential), np.array(kinetic)


def main() -> None:
    """Run both and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a file that rung export wrote")
    parser.add_argument("start", type=Path, help="a file of structures; the first, periodic one is run")
    parser.add_argument("--steps", type=int, default=40)
    told = parser.parse_args()
    replicas = [start(told.start, temperature) for temperature in TEMPERATURES]
    for atoms in replicas:
        atoms.set_masses(atoms.get_masses())
    potential, kinetic = by_torchsim(replicas, told.model, told.steps)
    pairs = [by_ase(atoms, told.model, told.steps) for atoms in replicas]
    names = f"TorchSim {version('torch-sim-atomistic')}, {len(replicas)} replicas, {told.steps} steps of {TIMESTEP} fs"
    print(f"{names}, {len(replicas[0])} atoms each; from ASE at most:")
    print(f"potential energy {1e3 * np.abs(potential - np.array([one for one, _ in pairs]).T).max():.2g} meV")
    print(f"kinetic energy {1e3 * np.abs(kinetic - np.array([one for _, one in pairs]).T).max():.2g} meV")


if __name__ == "__main__":
    main()
