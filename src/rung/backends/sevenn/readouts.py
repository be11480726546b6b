"""The readout of a SevenNet model: two linear layers without an activation between, which are one linear map.

E_i = scale_z · (W₂ᵀ W₁ᵀ h_i + c) + shift_z. What is constant for each atom of an element belongs to its reference
energy.
"""

from typing import Any

import numpy as np
import torch

from rung.backends.linear_layers import dense
from rung.backends.sevenn.rebuild import HIDDEN, OUT
from rung.data.labels import Array
from rung.model.readout import Readout, ReadoutBlock

NAME = "reduce"


def weights_of(hidden: Any, out: Any) -> tuple[Array, float]:
    """Return the weight of each feature, shape ``(D,)``, and the constant that two linear layers add."""
    first, first_bias = dense(hidden)
    second, second_bias = dense(out)
    return first @ second[:, 0], float(first_bias @ second[:, 0] + second_bias[0])


def readout_of(weights: Array, scale: float, shift: float = 0.0) -> Readout:
    """Return rung's readout of such weights."""
    return Readout((ReadoutBlock(NAME, tuple(range(len(weights))), (), weights),), scale=scale, shift=shift)


def write_weights(model: torch.nn.Module, weights: Array) -> None:
    """Give a model the weights, by the smallest change of its first layer; weights that it has keep every bit.

    The biases of both layers become zero: constants belong to reference energies.
    """
    hidden: Any = model.get_submodule(HIDDEN)
    out: Any = model.get_submodule(OUT)
    was, _ = weights_of(hidden, out)
    with torch.no_grad():
        for layer in (hidden, out):
            layer.bias.zero_()
        if np.array_equal(was, weights):
            return
        first, second = dense(hidden)[0], dense(out)[0][:, 0]
        changed = first + np.outer(weights - was, second) / (second @ second)
        (path,) = (one for one in hidden.instructions if one.i_in >= 0)
        hidden.weight.copy_(torch.as_tensor(changed / path.path_weight).reshape(-1).to(hidden.weight))
