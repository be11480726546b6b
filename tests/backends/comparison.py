"""MACE's own forward pass and calculator, as the independent references."""

import os
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from rung.backends.mace.importing import environment_restored
from rung.data.batch import Batch


@dataclass(frozen=True)
class Direct:
    """Energies ``(S,)``, forces ``(N, 3)`` and features of the model's own forward pass."""

    energy: Tensor
    forces: Tensor
    node_energy: Tensor


def direct(model: torch.nn.Module, batch: Batch, head: str | None = None) -> Direct:
    """Evaluate a mace model as its calculator does, with autograd through the whole of it."""
    numbers = [int(number) for number in model.atomic_numbers]
    index = torch.tensor([numbers.index(int(number)) for number in batch.numbers])
    counts = torch.bincount(batch.atom_row, minlength=batch.n_rows)
    data = {
        "positions": batch.positions.detach().clone(),
        "node_attrs": torch.nn.functional.one_hot(index, len(numbers)).to(batch.positions),
        "edge_index": batch.edges,
        "shifts": torch.einsum("mi,mij->mj", batch.edge_cells, batch.cell[batch.atom_row[batch.edges[0]]]),
        "unit_shifts": batch.edge_cells,
        "cell": batch.cell.reshape(-1, 3),
        "batch": batch.atom_row,
        "ptr": torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
        "head": torch.full((batch.n_rows,), 0 if head is None else list(model.heads).index(head)),
    }
    output = model(data, compute_force=True)
    return Direct(output["energy"].detach(), output["forces"], output["node_energy"].detach())


def mace_calculator(path: Path, dtype: str) -> Any:
    """Return mace's own calculator, which loads only where torch.load is unsafe; after it, it is safe again."""
    with environment_restored("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
        from mace.calculators import MACECalculator

        return MACECalculator(str(path), default_dtype=dtype, device="cpu")


def energies_and_forces(calculator: Any, structures: list[Atoms]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return energies, energies of atoms and forces of structures, one after the other."""
    energies, atom_energies, forces = [], [], []
    for structure in structures:
        atoms = structure.copy()
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
        atom_energies.append(calculator.results["energies"])
    return np.array(energies), np.concatenate(atom_energies), np.concatenate(forces)


def assert_native(path: Path) -> None:
    """Assert that a file names classes of mace, e3nn, torch and what they are pickled with, and no others."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        operations = list(pickletools.genops(archive.read(name)))
    packages = {argument.split(".")[0].split(" ")[0] for code, argument, _ in operations if code.name == "GLOBAL"}
    assert packages <= {"mace", "e3nn", "torch", "collections", "__builtin__", "_codecs"}
    assert not any(code.name == "STACK_GLOBAL" for code, _, _ in operations)
