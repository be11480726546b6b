"""Sparse Jacobians of the features, and the designs that follow from them for any readout."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from rung.data.batch import neighbours
from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.readout import ACTIVATIONS, HiddenLayer, Readout, ReadoutBlock


@dataclass(frozen=True)
class MovePlan:
    """Which atoms of a structure of ``n`` atoms move in which pass, and what each of them can change.

    Parameters
    ----------
    pairs
        Pairs (i, j), shape ``(M, 2)``: atom i's features may change when atom j moves.
    colour
        The group of each atom, shape ``(n,)``; no atom's features depend on two atoms of one group.
    """

    pairs: NDArray[np.int64]
    colour: NDArray[np.int64]

    @property
    def n_colours(self) -> int:
        """Number of groups; each takes three passes."""
        return int(self.colour.max(initial=-1)) + 1


def plan_moves(atoms: Atoms, receptive_field: float) -> MovePlan:
    """Group the atoms of a structure so that the atoms of one group can move at once.

    In a cell much larger than the receptive field the number of groups, so of passes, stops growing with the cell.

    Parameters
    ----------
    atoms
        The geometry.
    receptive_field
        Å, beyond which no atom's features notice another atom; infinite where unknown.
    """
    n_atoms = len(atoms)
    sees = np.eye(n_atoms, dtype=bool)  # sees[i, j]: i's features may depend on where j is
    if np.isfinite(receptive_field):
        edges, _ = neighbours(atoms, receptive_field * (1 + 1e-6))  # the edge of the field counts as inside
        sees[edges[0], edges[1]] = True
    else:
        sees[:] = True
    pairs = np.argwhere(sees).astype(np.int64)
    if len(pairs) == n_atoms**2:
        return MovePlan(pairs, np.arange(n_atoms, dtype=np.int64))
    return MovePlan(pairs, _colours(sees))


def _colours(sees: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a greedy colouring in which no row of ``sees`` holds two atoms of one colour."""
    n_atoms = len(sees)
    colour = np.full(n_atoms, -1, dtype=np.int64)
    taken = np.zeros((n_atoms, n_atoms), dtype=bool)  # taken[c, i]: i already sees an atom of colour c
    for atom in range(n_atoms):
        free = ~(taken & sees[:, atom]).any(axis=1)
        chosen = int(np.argmax(free))
        colour[atom] = chosen
        taken[chosen] |= sees[:, atom]
    return colour


def jacobian_blocks(features: Tensor, positions: Tensor, plans: Sequence[MovePlan]) -> list[NDArray[np.floating]]:
    """Return ∂h_i/∂x_j of the pairs of each structure in a batch, shapes ``(M, 3, D)``, in the type of ``features``.

    The gradient ``g = Jᵀv`` is linear in a dummy cotangent v, so the derivative of ``g·u`` with respect to v is
    ``J u``: one double backward pass moves one group of atoms along one axis, in every structure of the batch at once.

    Parameters
    ----------
    features
        Shape ``(N, D)``, a differentiable function of ``positions``.
    positions
        Å, shape ``(N, 3)``, a leaf that requires its gradient.
    plans
        One for each structure of the batch, in order.

    Raises
    ------
    ModelError
        When a feature is seen to change with an atom outside its receptive field.
    """
    starts = np.cumsum([0] + [len(plan.colour) for plan in plans])
    sizes = [len(plan.pairs) for plan in plans]
    pairs = np.concatenate([plan.pairs + start for plan, start in zip(plans, starts, strict=False)])
    colour = np.concatenate([plan.colour for plan in plans])
    values = torch.zeros(len(pairs), 3, features.shape[1], dtype=features.dtype)
    cotangent = torch.zeros_like(features, requires_grad=True)
    gradient = _gradient(features, positions, cotangent)
    if gradient is not None:
        for group in range(max(plan.n_colours for plan in plans)):
            chosen = np.flatnonzero(colour[pairs[:, 1]] == group)
            _move_group(gradient, cotangent, colour == group, (values, chosen, pairs[chosen, 0]))
    return [block.numpy() for block in values.split(sizes)]


def _gradient(features: Tensor, positions: Tensor, cotangent: Tensor) -> Tensor | None:
    """Return ``Jᵀ cotangent`` as a function of the cotangent, None where no feature depends on any position."""
    if not features.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(features, positions, cotangent, create_graph=True, allow_unused=True)
    return gradient if gradient is not None and gradient.requires_grad else None


def _move_group(
    gradient: Tensor,
    cotangent: Tensor,
    moving: NDArray[np.bool_],
    into: tuple[Tensor, NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Write the response to moving the atoms ``moving`` into ``values[chosen] = response[seen]``, axis by axis."""
    values, chosen, seen = into
    device = gradient.device
    rows, observers = torch.as_tensor(chosen), torch.as_tensor(seen, device=device)
    blind = torch.ones(len(cotangent), dtype=torch.bool, device=device)
    blind[observers] = False
    for axis in range(3):
        direction = torch.zeros_like(gradient)
        direction[torch.as_tensor(moving, device=device), axis] = 1.0
        (response,) = torch.autograd.grad(gradient, cotangent, direction, retain_graph=True, allow_unused=True)
        if response is None:
            continue
        if bool(response[blind].any()):
            raise ModelError(
                "The backbone's features change with atoms farther away than the receptive_field that it declares."
            )
        values[rows, axis] = response[observers].cpu()


def forces_design(
    readout: Readout, features: NDArray[np.floating], pairs: NDArray[np.int64], values: NDArray[np.floating]
) -> Array:
    """Return ∂F/∂w of one structure of ``n`` atoms by the chain rule, eV/Å per unit weight, shape ``(3n, P)``, float64.

    Parameters
    ----------
    readout
        Any readout of these features.
    features
        Shape ``(n, D)``.
    pairs, values
        The sparse Jacobian: ``values[m, c]`` is the derivative of the features of atom ``pairs[m, 0]`` with respect to
        coordinate c of atom ``pairs[m, 1]``, shapes ``(M, 2)`` and ``(M, 3, D)``.
    """
    point = torch.as_tensor(features).double()
    tangent = torch.as_tensor(values).double()
    observer, mover = torch.as_tensor(pairs).T
    columns = [_block_slopes(block, point, tangent, observer, mover) for block in readout.blocks]
    gradient = torch.cat(columns, dim=2).reshape(3 * len(features), -1)
    return np.asarray((-readout.scale * gradient).numpy())


def _block_slopes(block: ReadoutBlock, point: Tensor, tangent: Tensor, observer: Tensor, mover: Tensor) -> Tensor:
    """Return the derivatives of one block's basis functions, summed over atoms, shape ``(n, 3, P_block)``."""
    columns = list(block.columns)
    value, slope = point[:, columns], tangent[:, :, columns]
    for layer in block.layers:
        value, steepness = _activate(layer, value)
        slope = (slope @ torch.as_tensor(layer.weight)) * steepness[observer][:, None, :]
    return torch.zeros(len(point), 3, slope.shape[2], dtype=slope.dtype).index_add(0, mover, slope)


def _activate(layer: HiddenLayer, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of a layer and their derivatives with respect to what enters the activation."""
    with torch.enable_grad():
        entering = (value @ torch.as_tensor(layer.weight) + torch.as_tensor(layer.bias)).requires_grad_()
        leaving = layer.gain * ACTIVATIONS[layer.activation](entering)
        (steepness,) = torch.autograd.grad(leaving.sum(), entering)
    return leaving.detach(), steepness
