"""What a MACE model is, for people: read off a live model or off the inert picture of a file, as it is."""

from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols

from rung.backends.archive import check_archive, untrusted
from rung.backends.inert import Inert, read_inert
from rung.backends.mace.describe import children, class_name, describe, heads_of, refuse_unknown, submodules
from rung.backends.mace.files import unpickle
from rung.backends.parts import DAMAGE
from rung.errors import ModelError, UntrustedError
from rung.results.inspection import ModelFacts

SHOWN = {
    "num_interactions": "layers",
    "hidden_irreps": "hidden_irreps",
    "max_ell": "max_ell",
    "correlation": "correlation",
    "readout_class": "readout",
    "mlp_units": "readout_units",
    "pair_repulsion": "pair_repulsion",
    "distance_transform": "distance_transform",
    "biased": "linear_layers_with_bias",
}
"""Entries of a description that people ask for, and what they are called here."""


def facts_of_file(path: Path, *, trusted: bool) -> ModelFacts:
    """Return what a ``.model`` file is.

    Raises
    ------
    ModelError
        When the file is damaged.
    UntrustedError
        When only trust would open it.
    """
    check_archive(path)
    model = unpickle(path) if trusted else read_inert(path)
    if not isinstance(model, (Inert, torch.nn.Module)):
        raise ModelError(f"{path} is not a MACE model: it holds a {type(model).__name__}.")
    try:
        return facts_of_model(model)
    except (ModelError, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise UntrustedError(untrusted(path, f"a part of it is missing: {reason}")) from error


def facts_of_model(model: Any) -> ModelFacts:
    """Return what a model is, live or inert; what rung cannot use is described as far as it goes."""
    symbols = tuple(chemical_symbols[int(number)] for number in model.atomic_numbers)
    heads = tuple(heads_of(model))
    cutoff = float(model.r_max)
    table = torch.atleast_2d(model.atomic_energies_fn.atomic_energies).detach().double().cpu()
    details: dict[str, Any] = {}
    trouble = ""
    try:
        refuse_unknown(model)
        described = describe(model)
        details = {name: described[key] for key, name in SHOWN.items() if key in described}
    except (ModelError, *DAMAGE) as error:
        trouble = " ".join(str(error).split())[:300]
    weights = [
        tensor
        for _, one in submodules(model)
        for tensor in vars(one).get("_parameters", {}).values()
        if isinstance(tensor, torch.Tensor)
    ]
    return ModelFacts(
        backend="mace",
        kind=class_name(model),
        heads=heads,
        elements=symbols,
        cutoff=cutoff,
        receptive_field=len(children(model.interactions)) * cutoff,
        dtype=str(model.node_embedding.linear.weight.dtype).removeprefix("torch."),
        n_weights=sum(tensor.numel() for tensor in weights),
        reference_energies={
            head: dict(zip(symbols, energies, strict=True))
            for head, energies in zip(heads, table.tolist(), strict=True)
        },
        details=details,
        trouble=trouble,
    )
