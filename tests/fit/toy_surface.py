"""A smooth surface with known energies and forces, to train small models on: Morse pairs and one energy per element."""

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule

from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure

REFERENCE = {1: -3.0, 6: -40.0, 8: -75.0}
_LENGTH = {1: 0.5, 6: 0.9, 8: 0.8}


def toy_labels(atoms: Atoms, *, forces: bool = True, depth: float = 1.0, stderr: float = np.nan) -> Labels:
    """Return exact labels of ``atoms`` (no periodic images)."""
    positions = torch.tensor(atoms.positions, requires_grad=True)
    lengths = torch.tensor([_LENGTH[number] for number in atoms.numbers], dtype=torch.float64)
    first, second = torch.triu_indices(len(atoms), len(atoms), offset=1)
    distance = torch.linalg.norm(positions[first] - positions[second], dim=1)
    pairs = (1.0 - torch.exp(-1.5 * (distance - lengths[first] - lengths[second]))) ** 2 - 1.0
    energy = depth * (pairs * torch.exp(-((distance / 3.0) ** 4))).sum()
    (gradient,) = torch.autograd.grad(energy, positions)
    total = energy.item() + sum(REFERENCE[int(number)] for number in atoms.numbers)
    absent = empty_labels(len(atoms))
    return Labels(total, stderr, -gradient.numpy() if forces else absent.forces, absent.forces_stderr, absent.stress)


def toy_structures(count: int, seed: int = 0, *, forces: bool = True, fidelity: str = "low", depth: float = 1.0,
                   stderr: float = np.nan) -> list[Structure]:  # fmt: skip
    """Return rattled water, methane, carbon dioxide and carbon monoxide in turn."""
    generator = np.random.default_rng(seed)
    found = []
    for index in range(count):
        atoms = molecule(("H2O", "CH4", "CO2", "CO")[index % 4])
        atoms.positions += generator.normal(0.0, 0.1, size=atoms.positions.shape)
        labels = toy_labels(atoms, forces=forces, depth=depth, stderr=stderr)
        found.append(Structure(atoms, f"toy-{seed}-{index}", {fidelity: labels}))
    return found
