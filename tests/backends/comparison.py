"""MACE's own forward pass on a batch, as the independent reference."""

from dataclasses import dataclass

import torch
from torch import Tensor

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
