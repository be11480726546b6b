"""Folding what one fidelity adds into a SevenNet model's own weights."""

from typing import Any

import torch

from rung.backends.fidelity_vectors import Vectors
from rung.backends.linear_layers import scalar_paths
from rung.backends.sevenn.description import Description
from rung.backends.sevenn.modalities import EMBEDDING
from rung.backends.sevenn.rebuild import build, state_of


def with_biases(module: torch.nn.Module, description: Description) -> tuple[torch.nn.Module, Description]:
    """Return a copy of a model whose linear layers all have biases, those that it had not at zero."""
    biased = description.model_copy(update={"use_bias_in_linear": True})
    state = state_of(module)
    if not description.use_bias_in_linear:
        for name, block in module.named_children():
            if hasattr(block, "key_modal_attr"):  # sevenn's IrrepsLinear, which the option is about
                linear: Any = block.get_submodule("linear")
                size = sum(part.mul for part in linear.irreps_out if part.ir.l == 0 and part.ir.p == 1)
                state[f"{name}.linear.bias"] = linear.weight.new_zeros(size, device="cpu")
    made = build(biased, state)
    return made.to(next(module.parameters()).device), biased


def folded(module: torch.nn.Module, description: Description, vectors: Vectors) -> tuple[torch.nn.Module, Description]:
    """Return a copy of a model that adds ``vectors`` on its own, and its description."""
    made, description = with_biases(module, description)
    with torch.no_grad():
        for site, vector in vectors.items():
            linear: Any = made.get_submodule(site)
            if site == EMBEDDING:
                for path in scalar_paths(linear):
                    if not path.is_bias:  # every atom's one-hot vector of elements has one entry that is one
                        rows = linear.weight[path.flat].reshape(path.shape).double()
                        rows = rows + vector[path.columns].double() / path.factor
                        linear.weight[path.flat] = rows.reshape(-1).to(linear.weight)
            else:
                linear.bias += vector.to(linear.bias)
    return made, description
