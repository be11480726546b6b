"""Derivatives of energies and forces by all weights of a network that may move."""

import re
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.model.trainable import TrainablePotential

Row = NDArray[np.floating]
"""Derivatives by the moving weights, in the type of the model, shape ``(p,)``."""


def moving_tensors(model: TrainablePotential, pattern: str) -> dict[str, torch.nn.Parameter]:
    """Return the weights that may move and whose names match ``pattern``, anywhere in the name.

    Raises
    ------
    ConfigError
        When no name matches.
    """
    tensors = {
        name: tensor
        for name, tensor in model.named_parameters()
        if tensor.requires_grad and re.search(pattern, name) and tensor.numel()
    }
    if not tensors:
        raise ConfigError(f"No tensor of the base matches layers: {pattern!r}.")
    return tensors


def energy_row(model: TrainablePotential, structure: Structure, fidelity: str, tensors: Sequence[Tensor]) -> Row:
    """Return ∂E/∂θ of one structure, by one reverse pass; the model must be in training mode."""
    batch = collate([structure], [fidelity], model.cutoff, dtype=model.dtype, device=model.device)
    return _gradient(model(batch, forces=False).energy.sum(), tensors)


def force_row(
    model: TrainablePotential, structure: Structure, fidelity: str, tensors: Sequence[Tensor], direction: Array
) -> tuple[float, Row]:
    """Return u·F and ∂(u·F)/∂θ of one structure, by one double pass; the model must be in training mode.

    Parameters
    ----------
    model, structure, fidelity, tensors
        As for :func:`energy_row`.
    direction
        u, shape ``(n, 3)``.
    """
    batch = collate([structure], [fidelity], model.cutoff, dtype=model.dtype, device=model.device)
    forces = model(batch, forces=True).forces
    along = (forces * torch.as_tensor(direction).to(forces)).sum()
    return float(along.detach()), _gradient(along, tensors)


def _gradient(value: Tensor, tensors: Sequence[Tensor]) -> Row:
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    return np.concatenate(
        [
            (torch.zeros_like(tensor) if gradient is None else gradient).detach().cpu().numpy().ravel()
            for tensor, gradient in zip(tensors, gradients, strict=True)
        ]
    )
