"""Building a model of MACE's own classes from its description and tensors."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rung.backends.mace.describe import Description, submodules
from rung.backends.mace.engine import modules, o3
from rung.errors import ModelError, one_of
from rung.model.readout import ACTIVATIONS

GATES = {**ACTIVATIONS, "identity": None}
"""Activations as mace takes them."""

_DERIVED = ("_zeroed", "output_mask", ".covalent_radii")
_SCALARS = ("cst", "_is_id", "avg_num_neighbors", "h_in", "h_out", "var_in", "var_out", "coeff", "use_sc", "num_heads")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default type for the block only: MACE reads it while it builds."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def building(dtype: torch.dtype) -> Iterator[None]:
    """Let MACE build blocks of ``dtype``: no random number of the process is used up, and nothing is said."""
    with torch.random.fork_rng(devices=[]), default_dtype(dtype), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says of each block that TorchScript is deprecated: theirs to change
        yield


def build(description: Description, dtype: torch.dtype) -> torch.nn.Module:
    """Return a model of the described architecture with tensors of ``dtype`` whose values mean nothing yet.

    Raises
    ------
    ModelError
        When MACE does not know a class by the name given.
    """
    name = description["class"]
    scale = {"atomic_inter_scale": np.ones(description["scale_shape"] or ()), "atomic_inter_shift": 0.0}
    if description["scale_shape"] is not None:
        scale["atomic_inter_shift"] = np.zeros(description["scale_shape"])
    with building(dtype):
        if name == "ScaleShiftMACE":
            model = modules.ScaleShiftMACE(**scale, **_arguments(description))
        else:
            model = modules.MACE(**_arguments(description))
        for path in description.get("biased", ()):
            give_bias(model, path)
    return model


def build_like(description: Description, dtype: torch.dtype, tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return a model of the description into which ``tensors`` fit, as far as the description leaves that open.

    MACE reduces the coupling of products only where cuequivariance is installed, and says of every model that it did:
    a file that was made without it is built without.
    """
    model = build(description, dtype)
    own = model.state_dict()
    weights = [name for name in tensors if ".symmetric_contractions." in name and name in own]
    if not description["use_reduced_cg"] or all(own[name].shape == tensors[name].shape for name in weights):
        return model
    full: Any = build({**description, "use_reduced_cg": False}, dtype)
    full.use_reduced_cg = True  # what the file says of itself stays
    made: torch.nn.Module = full
    return made


def give_bias(model: torch.nn.Module, path: str) -> None:
    """Replace a linear layer by one with the same weights and a bias of zero on its even scalars.

    Raises
    ------
    ModelError
        When the layer is not e3nn's.
    """
    model.set_submodule(path, relinear(model.get_submodule(path), biases=True))


def relinear(linear: Any, *, biases: bool) -> torch.nn.Module:
    """Return a linear layer with the same weights, and a bias of zero on its even scalars or none.

    Raises
    ------
    ModelError
        When the layer is not e3nn's.
    """
    if type(linear) is not o3.Linear:
        raise ModelError(f"A layer of the class {type(linear).__name__} cannot be given a bias.")
    with building(linear.weight.dtype):
        made = o3.Linear(linear.irreps_in, linear.irreps_out, biases=biases)
    made.to(linear.weight.device).train(linear.training)
    with torch.no_grad():
        made.weight.copy_(linear.weight)
    made.requires_grad_(linear.weight.requires_grad)
    return made


def _arguments(description: Description) -> dict[str, Any]:
    hidden = o3.Irreps(description["hidden_irreps"])
    layers = description["num_interactions"]
    edge_irreps = description["edge_irreps"]
    return {
        "r_max": description["r_max"],
        "num_bessel": description["num_bessel"],
        "num_polynomial_cutoff": description["num_polynomial_cutoff"],
        "max_ell": description["max_ell"],
        "interaction_cls": _known(modules.interaction_classes, description["interaction"]),
        "interaction_cls_first": _known(modules.interaction_classes, description["interaction_first"]),
        "num_interactions": layers,
        "num_elements": len(description["atomic_numbers"]),
        "hidden_irreps": hidden,
        "MLP_irreps": o3.Irreps(f"{description['mlp_units']}x0e"),
        "atomic_energies": np.zeros(description["energies_shape"]),
        "avg_num_neighbors": description["avg_num_neighbors"],
        "atomic_numbers": description["atomic_numbers"],
        "correlation": description["correlation"],
        "gate": GATES[description["gate"]],
        "pair_repulsion": description["pair_repulsion"],
        "apply_cutoff": description["apply_cutoff"],
        "use_reduced_cg": description["use_reduced_cg"],
        "use_so3": description["use_so3"],
        "use_agnostic_product": description["use_agnostic_product"],
        "use_last_readout_only": layers > 1 and description["n_readouts"] == 1,
        "distance_transform": description["distance_transform"],
        "edge_irreps": None if edge_irreps is None else o3.Irreps(edge_irreps),
        "use_edge_irreps_first": description["use_edge_irreps_first"],
        "radial_MLP": description["radial_mlp"],
        "radial_type": description["radial_type"],
        "heads": description["heads"],
        "readout_cls": _readout_class(description),
        "keep_last_layer_irreps": layers > 1 and o3.Irreps(description["last_irreps"]) == hidden,
    }


def _readout_class(description: Description) -> type[torch.nn.Module]:
    name = description["readout_class"]
    if name == "LinearReadoutBlock":  # one layer, whose readout is not chosen by this argument
        return _known(modules.readout_classes, "NonLinearReadoutBlock")
    return _known(modules.readout_classes, name)


def _known(classes: Mapping[str, Any], name: str) -> Any:
    if name not in classes:
        raise ModelError(one_of(name, classes, "class in a MACE model"))
    return classes[name]


def load_tensors(model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put ``tensors`` into ``model``: every one of the file must have its place, of the same shape, and the reverse.

    Raises
    ------
    ModelError
        Naming the first tensor that does not fit.
    """
    own = model.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise ModelError(f"the tensor {name} has no place in the rebuilt model")
        if own[name].shape != tensor.shape:
            raise ModelError(f"the tensor {name} has shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
    for name in own:
        generated = "._compiled_main" in name or name.endswith(_DERIVED)
        if name not in tensors and not generated:
            raise ModelError(f"the tensor {name} is missing")
    model.load_state_dict({**own, **tensors})


def scalars_of(module: Any) -> dict[str, float]:
    """Return the numbers that a model keeps outside its tensors and that its output depends on, by path."""
    return {
        path + name: value
        for path, one in submodules(module)
        for name, value in vars(one).items()
        if name in _SCALARS and isinstance(value, (bool, int, float))
    }


def load_scalars(model: torch.nn.Module, scalars: Mapping[str, float]) -> None:
    """Put back the numbers of :func:`scalars_of`, such as the constants that normalise activations.

    Raises
    ------
    ModelError
        When one has no place, or differs by more than the rounding of another version of torch.
    """
    own = scalars_of(model)
    for path, value in scalars.items():
        if path not in own:
            raise ModelError(f"the constant {path} has no place in the rebuilt model")
        if not np.isclose(own[path], value, rtol=1e-5, atol=0.0):
            raise ModelError(f"the constant {path} is {value}, but {own[path]} in the rebuilt model")
        home, _, name = path.rpartition(".")
        setattr(model.get_submodule(home), name, value)
