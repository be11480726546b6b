"""Derivatives of energies and forces by all weights of a network that may move."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ConfigError, counted
from rung.model.protocols import Prediction
from rung.model.trainable import TrainablePotential
from rung.progress import memory_size

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


def require_memory(rows: int, weights: int) -> None:
    """Refuse rows that a machine cannot hold: they are kept in double precision, all at once.

    Raises
    ------
    ConfigError
        When they take more than the machine's memory.
    """
    needed, there = 8 * rows * weights, machine_memory()
    if needed > there:
        raise ConfigError(
            f"The derivatives of {counted(rows, 'label')} by {counted(weights, 'weight')} take {memory_size(needed)} "
            f"and this machine has {memory_size(there)}: let fewer layers move (layers: products|readouts), give fewer "
            "energies, or use the method readout."
        )


def machine_memory() -> int:
    """Return the memory of this machine, bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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


def group_members(model: TrainablePotential, tensors: Mapping[str, Tensor], layer: str) -> NDArray[np.bool_]:
    """Return which of the moving weights belong to a layer, shape ``(p,)``; the empty name stands for all."""
    return np.concatenate(
        [np.full(tensor.numel(), layer in ("", model.layer_of(name))) for name, tensor in tensors.items()]
    )


def changes_along(
    model: TrainablePotential,
    batch: Batch,
    tensors: Sequence[Tensor],
    directions: Iterable[Row],
    *,
    forces: bool = True,
    stress: bool = False,
) -> Iterator[Prediction]:
    """Yield the derivative of a prediction along each change of the weights.

    One double pass serves all directions, and each costs one more reverse pass through it.

    Parameters
    ----------
    model
        In training mode.
    batch
        ``S`` rows and ``N`` atoms.
    tensors
        The weights that move.
    directions
        Changes of all of them, shapes ``(p,)``.
    forces, stress
        What to differentiate beside energies.
    """
    prediction = model(batch, forces=forces, stress=stress)
    parts = [part for part in (prediction.atom_energies, prediction.forces, prediction.stress) if part is not None]
    values = torch.cat([torch.nan_to_num(part).double().reshape(-1) for part in parts])
    # the derivative by θ of v·values is linear in v: its derivative by v along a direction is that of the values
    dummy = torch.zeros_like(values, requires_grad=True)
    gradients = torch.autograd.grad(values @ dummy, tensors, create_graph=True, allow_unused=True)
    for direction in directions:
        along = _product(gradients, tensors, direction)
        change = torch.zeros_like(dummy)
        if along.requires_grad:
            (found,) = torch.autograd.grad(along, dummy, retain_graph=True, allow_unused=True)
            change = change if found is None else found.detach()
        pieces = [
            piece.view(part.shape) for piece, part in zip(change.split([p.numel() for p in parts]), parts, strict=True)
        ]
        energies = torch.zeros(batch.n_rows, dtype=change.dtype, device=change.device)
        yield Prediction(
            energy=energies.index_add(0, batch.atom_row, pieces[0]),
            atom_energies=pieces[0],
            forces=pieces[1] if forces else None,
            stress=pieces[-1] if stress else None,
        )


def _product(gradients: Sequence[Tensor | None], tensors: Sequence[Tensor], direction: Row) -> Tensor:
    total, position = torch.zeros((), dtype=torch.float64, device=tensors[0].device), 0
    for gradient, tensor in zip(gradients, tensors, strict=True):
        share = torch.as_tensor(direction[position : position + tensor.numel()]).to(tensor).view(tensor.shape)
        position += tensor.numel()
        if gradient is not None:
            total = total + (gradient * share).sum().double()
    return total
