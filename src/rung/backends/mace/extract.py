"""Reading rung's readout, reference energies, scale and shift off a MACE model, with every normalisation in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rung.backends.linear_layers import dense, scalar_columns
from rung.backends.mace.describe import function_name
from rung.errors import ModelError
from rung.model.readout import HiddenLayer, Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies


@dataclass(frozen=True)
class Layout:
    """Where features stand in a MACE model's ``node_feats``.

    Parameters
    ----------
    columns
        The columns of ``node_feats`` that are features, in order.
    of_readout
        For each readout, the features that it reads, as indices into ``columns``.
    """

    columns: tuple[int, ...]
    of_readout: tuple[tuple[int, ...], ...]


def layout_of(model: Any) -> Layout:
    """Return which columns of ``node_feats`` the model's readouts read."""
    layers = [product.linear.irreps_out for product in model.products]
    starts = np.concatenate([[0], np.cumsum([irreps.dim for irreps in layers])]).astype(int)
    read = [len(layers) - 1] if len(model.readouts) == 1 else list(range(len(model.readouts)))
    columns: list[int] = []
    of_readout = []
    for layer in read:
        found = [int(starts[layer]) + column for column in scalar_columns(layers[layer])]
        of_readout.append(tuple(range(len(columns), len(columns) + len(found))))
        columns.extend(found)
    return Layout(tuple(columns), tuple(of_readout))


def activation_of(non_linearity: Any) -> tuple[str, float]:
    """Return the name of an ``e3nn.nn.Activation`` and the constant that normalises its second moment."""
    acts = list(non_linearity.acts)
    if len(acts) != 1:
        raise ModelError(f"A readout with {len(acts)} activations is not supported.")
    if acts[0] is None:
        return "identity", 1.0
    name = function_name(acts[0].f)
    return name, 1.0 if acts[0]._is_id else float(acts[0].cst)


def readout_of(model: Any, head: int, layout: Layout) -> Readout:
    """Return the readout of one head."""
    return readout_from(model.readouts, head, layout, scale_shift_of(model, head))


def readout_from(modules: Iterable[Any], head: int, layout: Layout, scale_shift: tuple[float, float]) -> Readout:
    """Return the readout that one head of MACE's readout blocks, a scale and a shift (eV per atom) make."""
    blocks = tuple(
        _block(f"readouts.{index}", module, layout.of_readout[index], head) for index, module in enumerate(modules)
    )
    return Readout(blocks, scale=scale_shift[0], shift=scale_shift[1])


def _block(name: str, module: Any, columns: tuple[int, ...], head: int) -> ReadoutBlock:
    if type(module).__name__ == "LinearReadoutBlock":
        weight, bias = dense(module.linear)
        return ReadoutBlock(name, columns, (), weight[:, head].copy(), float(bias[head]))
    units = head_units(module, head)
    activation, gain = activation_of(module.non_linearity)
    weight, bias = dense(module.linear_1)
    layers = [HiddenLayer(weight[:, units].copy(), bias[units].copy(), activation, gain)]
    if hasattr(module, "linear_mid"):
        weight, bias = dense(module.linear_mid)
        layers.append(HiddenLayer(weight[units, units].copy(), bias[units].copy(), activation, gain))
    weight, bias = dense(module.linear_2)
    return ReadoutBlock(name, columns, tuple(layers), weight[units, head].copy(), float(bias[head]))


def head_units(module: Any, head: int) -> slice:
    """Return the hidden units that ``mask_head`` leaves to one head."""
    width = int(module.hidden_irreps.count("0e"))
    heads = getattr(module, "num_heads", 1)
    share = width // heads
    return slice(head * share, (head + 1) * share) if heads > 1 else slice(0, width)


def scale_shift_of(model: Any, head: int) -> tuple[float, float]:
    """Return the factor and the constant (eV) of one head's interaction energy; 1 and 0 for a plain ``MACE``."""
    if not hasattr(model, "scale_shift"):
        return 1.0, 0.0
    scale = torch.atleast_1d(model.scale_shift.scale)[head]
    shift = torch.atleast_1d(model.scale_shift.shift)[head]
    return float(scale), float(shift)


def reference_of(model: Any, head: int) -> ReferenceEnergies:
    """Return the reference energies of one head."""
    energies = torch.atleast_2d(model.atomic_energies_fn.atomic_energies)[head].tolist()
    numbers = [int(number) for number in model.atomic_numbers]
    return ReferenceEnergies(dict(zip(numbers, energies, strict=True)))
