"""∂F/∂w of one frozen basis by one reverse pass a basis function, whatever the number of atoms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.model.readout import Readout


def summed_forces(layers: Sequence[Tensor], batch: Batch, readout: Readout) -> Tensor:
    """Return ∂F/∂w of a batch of ``N`` atoms, eV/Å per unit weight, shape ``(N, 3, P)``, in the type of the features.

    Structures of a batch do not see one another, so the gradient of a sum over all of them is the gradient of each.

    Parameters
    ----------
    layers
        The features in groups of columns, shapes ``(N, D_layer)``, differentiable in the batch's positions; a block
        that reads some of them leaves the others out of its reverse passes.
    batch
        Its positions are a leaf that requires its gradient.
    readout
        The basis.
    """
    widths = [layer.shape[1] for layer in layers]
    layer_of = [index for index, width in enumerate(widths) for _ in range(width)]
    columns: list[Tensor] = []
    for block in readout.blocks:
        needed = {layer_of[column] for column in block.columns}
        with torch.enable_grad():
            seen = [layer if index in needed else layer.detach() for index, layer in enumerate(layers)]
            totals = readout.scale * block.basis(torch.cat(seen, dim=1)).sum(dim=0)
        columns.extend(-position_gradient(total, batch) for total in totals)
    return torch.stack(columns, dim=2)


def position_gradient(energy: Tensor, batch: Batch) -> Tensor:
    """Return ∂(Σ energy)/∂positions, shape ``(N, 3)``; zero where nothing depends on them, as for single atoms."""
    if not energy.requires_grad:
        return torch.zeros_like(batch.positions)
    (gradient,) = torch.autograd.grad(energy.sum(), batch.positions, retain_graph=True, allow_unused=True)
    return torch.zeros_like(batch.positions) if gradient is None else gradient
