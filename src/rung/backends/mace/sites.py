"""The places in a MACE model to which a fidelity adds numbers of its own, and adding them, in passing or for good.

Every place is an ``e3nn.o3.Linear``, and what is added goes to its even scalars, so a rotation changes nothing. While
several fidelities share a model the numbers are added by hooks, so the module stays a plain MACE model. At one
fidelity they fold into it: every atom's one-hot vector of elements has one entry that is one, so a vector added to
every row of the embedding is added to every atom; and a linear layer of e3nn may have a bias.
"""

from typing import Any

import torch
from torch import Tensor

from rung.backends.fidelity_vectors import Vectors, width_of
from rung.backends.linear_layers import scalar_paths
from rung.backends.mace.rebuild import give_bias
from rung.model.conditioning import Conditioning

EMBEDDING = "node_embedding.linear"


def backbone_sites(model: Any, conditioning: Conditioning) -> tuple[str, ...]:
    """Return the names of the linear layers before the readouts to which a fidelity adds."""
    if conditioning not in ("embedding", "all"):
        return ()
    if conditioning == "embedding":
        return (EMBEDDING,)
    after = [
        f"interactions.{index}.{'linear' if hasattr(interaction, 'linear') else 'linear_1'}"
        for index, interaction in enumerate(model.interactions)
    ]
    before = [f"interactions.{index}.linear_up" for index in range(len(model.interactions))]
    found = [EMBEDDING, *(site for pair in zip(before, after, strict=True) for site in pair)]
    return tuple(site for site in found if width_of(model, site))


def readout_sites(model: Any, conditioning: Conditioning) -> tuple[str, ...]:
    """Return the names of the hidden layers of readouts to which a fidelity adds.

    A linear readout has none: what would be added to an atom's energy is its shift.
    """
    if conditioning != "all":
        return ()
    return tuple(
        f"readouts.{index}.linear_1" for index, block in enumerate(model.readouts) if hasattr(block, "linear_1")
    )


def fold(model: torch.nn.Module, vectors: Vectors) -> None:
    """Put what one fidelity adds into the model's own weights; zeros leave every bit."""
    with torch.no_grad():
        for site, vector in vectors.items():
            if not bool(vector.any()):
                continue
            if site == EMBEDDING:
                _fold_into_rows(model.get_submodule(site), vector)
            else:
                _fold_into_bias(model, site, vector)


def _fold_into_rows(linear: Any, vector: Tensor) -> None:
    for path in scalar_paths(linear):
        rows = linear.weight[path.flat].reshape(path.shape).double() + vector[path.columns].double() / path.factor
        linear.weight[path.flat] = rows.reshape(-1).to(linear.weight)


def _fold_into_bias(model: torch.nn.Module, site: str, vector: Tensor) -> None:
    linear: Any = model.get_submodule(site)
    if not linear.bias_numel:
        give_bias(model, site)
        linear = model.get_submodule(site)
    linear.bias += vector.to(linear.bias)
