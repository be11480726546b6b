"""Modalities, which is SevenNet's name for fidelities: a model of several as one model and what each adds to it.

SevenNet tells the model which modality to speak at by a one-hot vector beside the scalars that enter some of its linear
layers (Kim et al., J. Am. Chem. Soc. 147, 1042 (2025), arXiv:2409.07947). At one modality the vector is a constant, so
that its part of the weights is a vector added to what leaves the layer.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rung.backends.fidelity_vectors import Vectors
from rung.backends.linear_layers import dense, scalar_starts
from rung.backends.sevenn.backbone import READ_FROM
from rung.backends.sevenn.description import Description
from rung.backends.sevenn.rebuild import OUT, load_tensors, new_model, state_of
from rung.errors import ModelError, one_of
from rung.model.conditioning import Conditioning

EMBEDDING = "onehot_to_feature_x.linear"


def backbone_sites(description: Description, conditioning: Conditioning) -> tuple[str, ...]:
    """Return the paths of the linear layers before the readout to which a fidelity adds: where SevenNet's own do.

    What it adds to the readout is a constant for each atom, which reference energies hold.
    """
    if conditioning not in ("embedding", "all"):
        return ()
    if conditioning == "embedding":
        return (EMBEDDING,)
    layers = range(description.num_convolution_layer)
    return (EMBEDDING, *(f"{layer}_self_interaction_{which}.linear" for layer in layers for which in (1, 2)))


def modality(modalities: Mapping[str, int], named: str | None) -> str | None:
    """Return the modality that a file is opened at; None where it has none.

    Raises
    ------
    ModelError
        When it has several and none is named, or not the one that is named.
    """
    if not modalities:
        if named is not None:
            raise ModelError(f"The model has no modalities, so none is called {named!r}.")
        return None
    if named is None and len(modalities) > 1:
        raise ModelError(f"The model has several modalities; name the one to use as head: {', '.join(modalities)}.")
    if named is None:
        return next(iter(modalities))
    if named not in modalities:
        raise ModelError(one_of(named, modalities, "modality"))
    return named


def without_modalities(
    full: torch.nn.Module, description: Description, modalities: Mapping[str, int]
) -> tuple[torch.nn.Module, dict[str, Vectors], dict[str, float]]:
    """Return a model without what tells modalities apart, in its type, and what that is.

    Parameters
    ----------
    full
        A model of several modalities.
    description
        The same without modalities.
    modalities
        Their places in its one-hot vector.

    Returns
    -------
    model
        Of ``description``.
    vectors
        What each modality adds, by site.
    constants
        What each adds to the readout of every atom.
    """
    plain = new_model(description).to(next(full.parameters()).dtype)
    state = state_of(full)
    vectors: dict[str, dict[str, Tensor]] = {name: {} for name in modalities}
    constants: dict[str, float] = {}
    unit = torch.as_tensor(dense(full.get_submodule(OUT))[0][:, 0])
    for name, block in full.named_children():
        if not getattr(block, "num_modalities", 0) > 1:
            continue
        site = f"{name}.linear"
        state[f"{site}.weight"], added = _split(block.get_submodule("linear"), plain.get_submodule(site))
        for chosen, index in modalities.items():
            if name == READ_FROM:
                constants[chosen] = float(added[index] @ unit)
            else:
                vectors[chosen][site] = added[index]
    load_tensors(plain, state)
    return plain, dict(vectors), constants


def _split(full: Any, plain: Any) -> tuple[Tensor, Tensor]:
    """Return the flat weight of the layer without the one-hot vector, and what each of its entries adds, by row.

    e3nn divides by the square root of how many numbers enter, of which there are fewer without the vector.
    """
    own = {(path.i_in, path.i_out): path for path in plain.instructions if path.i_in >= 0}
    last = len(full.irreps_in) - 1
    starts = scalar_starts(full.irreps_out)
    added = torch.zeros(full.irreps_in[last].mul, starts[-1], dtype=torch.float64)
    kept, position = [], 0
    for path in full.instructions:
        if path.i_in < 0:
            continue
        size = path.path_shape[0] * path.path_shape[1]
        values = full.weight.detach().double()[position : position + size]
        position += size
        if path.i_in == last:
            start = starts[path.i_out]
            added[:, start : start + path.path_shape[1]] += path.path_weight * values.reshape(path.path_shape)
        else:
            kept.append(values * (path.path_weight / own[path.i_in, path.i_out].path_weight))
    return torch.cat(kept), added
