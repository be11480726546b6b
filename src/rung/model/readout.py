"""The map from an atom's features to its energy, as rung sees it whichever backend it came from.

An atom's interaction energy is ``scale · Σ_k w_k φ_k(h) + shift``. The basis functions φ are features themselves
(linear readouts) or units of a hidden layer (non-linear readouts) whose incoming weights are frozen, so energies and
forces are linear in the weights w.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rung.data.labels import Array
from rung.errors import ModelError, counted, one_of
from rung.storage import content_hash

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "relu": torch.nn.functional.relu,
    "identity": lambda value: value,
}


@dataclass(frozen=True)
class HiddenLayer:
    """One frozen layer: ``gain · activation(x @ weight + bias)``.

    Parameters
    ----------
    weight
        Shape ``(inputs, units)``, with every normalisation of the backend already in it.
    bias
        Shape ``(units,)``.
    activation
        A name in ``ACTIVATIONS``.
    gain
        Constant factor after the activation, as of libraries that normalise its second moment.
    """

    weight: Array
    bias: Array
    activation: str
    gain: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an activation that rung cannot evaluate."""
        if self.activation not in ACTIVATIONS:
            raise ModelError(one_of(self.activation, ACTIVATIONS, "activation in the readout"))


@dataclass(frozen=True)
class ReadoutBlock:
    """One readout of one layer of features.

    Parameters
    ----------
    name
        Names the parameters, such as ``readouts.0``.
    columns
        The features it reads, as indices into the ``D`` columns of ``Backbone.features``.
    layers
        Frozen hidden layers in order; empty for a linear readout.
    weights
        The fitted weights of the last linear map, shape ``(P_block,)``, normalisation included.
    bias
        A constant per atom, eV before ``scale``; not fitted, for reference energies hold constants.
    n_random
        How many of the last units are random ones that widened the base (see ``fit.widen``).
    """

    name: str
    columns: tuple[int, ...]
    layers: tuple[HiddenLayer, ...]
    weights: Array
    bias: float = 0.0
    n_random: int = 0

    def basis(self, features: Tensor) -> Tensor:
        """Return the basis functions of this block, shape ``(N, P_block)``."""
        if max(self.columns, default=0) >= features.shape[1]:
            raise ModelError(
                f"The readout reads feature {max(self.columns)} of {counted(features.shape[1], 'feature')}."
            )
        value = features[:, list(self.columns)]
        for layer in self.layers:
            weight = torch.as_tensor(layer.weight).to(value)
            bias = torch.as_tensor(layer.bias).to(value)
            value = layer.gain * ACTIVATIONS[layer.activation](value @ weight + bias)
        return value


@dataclass(frozen=True)
class Readout:
    """All readouts of one fidelity.

    Parameters
    ----------
    blocks
        The readouts, in the order of the weights.
    scale
        Factor of the interaction energy.
    shift
        eV per atom, added after ``scale``.
    """

    blocks: tuple[ReadoutBlock, ...]
    scale: float = 1.0
    shift: float = 0.0

    @cached_property
    def weights(self) -> Array:
        """All fitted weights in order, shape ``(P,)``."""
        return np.concatenate([block.weights for block in self.blocks])

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """A name for each weight."""
        return tuple(f"{block.name}[{k}]" for block in self.blocks for k in range(len(block.weights)))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The group of each weight: its block, random units apart."""
        return tuple(
            f"{block.name}.random" if k >= len(block.weights) - block.n_random else block.name
            for block in self.blocks
            for k in range(len(block.weights))
        )

    @cached_property
    def n_features(self) -> int:
        """The number of columns of features that the blocks need at least."""
        return 1 + max(column for block in self.blocks for column in block.columns)

    @cached_property
    def constant(self) -> float:
        """The energy per atom that no weight changes, eV: scaled biases and the shift."""
        return self.scale * sum(block.bias for block in self.blocks) + self.shift

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that the basis depends on: the frozen weights, not the fitted ones."""
        return content_hash(
            "readout-basis-1",
            float(self.scale),
            tuple(
                (
                    block.columns,
                    tuple((layer.weight, layer.bias, layer.activation, float(layer.gain)) for layer in block.layers),
                )
                for block in self.blocks
            ),
        )

    def basis(self, features: Tensor) -> Tensor:
        """Return ``scale · φ(h)`` of each atom, eV per unit weight, shape ``(N, P)``, differentiable in features."""
        return self.scale * torch.cat([block.basis(features) for block in self.blocks], dim=1)

    def atom_energies(self, features: Tensor) -> Tensor:
        """Return each atom's interaction energy, eV, shape ``(N,)``, in float64."""
        basis = self.basis(features)
        return basis.double() @ torch.as_tensor(self.weights, device=basis.device) + self.constant

    def moved(self, change: Array) -> "Readout":
        """Return the readout with ``change``, shape ``(P,)``, added to its weights; no change leaves every bit."""
        if change.shape != self.weights.shape:
            raise ModelError(f"A change of {change.shape} weights does not fit a readout of {self.weights.shape}.")
        blocks, start = [], 0
        for block in self.blocks:
            stop = start + len(block.weights)
            blocks.append(replace(block, weights=block.weights + change[start:stop]))
            start = stop
        return replace(self, blocks=tuple(blocks))
