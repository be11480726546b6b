"""The files of ``sevenn get_model -p`` as ``pair_style e3gnn/parallel`` runs them, with the atoms on two processes.

Each process has atoms of its own and, as ghosts, the atoms of the other that are within the cutoff. Between the files
ghosts take their features from their owners. LAMMPS's own chain rule over its messages is left to autograd here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from rung.data.labels import Array


@dataclass
class Process:
    """What one process has: which atoms are its own and its ghosts, and what it hands from file to file."""

    own: list[int]
    ghosts: list[int]
    vectors: torch.Tensor
    data: dict[str, torch.Tensor]

    @classmethod
    def of(cls, atoms: Atoms, own: list[int], cutoff: float, symbols: Sequence[str]) -> "Process":
        """Return a process whose atoms are ``own``."""
        first, second, vectors = neighbor_list("ijD", atoms, cutoff)
        mine = np.isin(first, own)
        first, second = first[mine], second[mine]
        ghosts = sorted(set(second.tolist()) - set(own))
        place = {atom: index for index, atom in enumerate([*own, *ghosts])}
        kinds = torch.tensor([symbols.index(symbol) for symbol in atoms.get_chemical_symbols()])
        along = torch.as_tensor(vectors[mine], dtype=torch.float32).requires_grad_()
        data = {
            "x": kinds[own],
            "x_ghost": kinds[ghosts],
            "edge_index": torch.tensor([[place[atom] for atom in side.tolist()] for side in (first, second)]),
            "edge_vec": along,
            "num_atoms": torch.tensor([len(own)]),
            "nlocal": torch.tensor([len(own)]),
        }
        return cls(own, ghosts, along, data)


def evaluate_parallel(files: Sequence[Path], atoms: Atoms) -> tuple[float, Array]:
    """Return the energy, eV, and the forces, eV/Å, of atoms of which every other is on the second process."""
    said: dict[str, Any] = {"cutoff": "", "chemical_symbols_to_index": ""}
    parts: list[Any] = [torch.jit.load(str(file), _extra_files=said) for file in files]
    cutoff, symbols = float(said["cutoff"]), said["chemical_symbols_to_index"].decode().split()
    everyone = list(range(len(atoms)))
    processes = [Process.of(atoms, own, cutoff, symbols) for own in (everyone[::2], everyone[1::2]) if own]
    for number, part in enumerate(parts):
        if number:
            features = {
                atom: row for process in processes for atom, row in zip(process.own, process.data["x"], strict=True)
            }
            width = len(next(iter(features.values())))
            for process in processes:
                rows = [features[atom] for atom in process.ghosts]
                process.data["x_ghost"] = torch.stack(rows) if rows else torch.zeros(0, width)
        for process in processes:
            process.data = part(process.data)
    energy = torch.stack([process.data["inferred_total_energy"].squeeze() for process in processes]).sum()
    pulls = torch.autograd.grad(energy, [process.vectors for process in processes])
    forces = np.zeros((len(atoms), 3))
    for process, pull in zip(processes, pulls, strict=True):
        where = np.array([*process.own, *process.ghosts])[process.data["edge_index"].numpy()]
        np.add.at(forces, where[0], pull.double().numpy())
        np.subtract.at(forces, where[1], pull.double().numpy())
    return float(energy.detach()), forces
