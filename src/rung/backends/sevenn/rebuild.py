"""Building a model of sevenn's own classes from its description and tensors."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rung.backends.sevenn.description import Description
from rung.backends.sevenn.engine import e3nn, model_build
from rung.errors import ModelError

HIDDEN, OUT = "reduce_input_to_hidden.linear", "reduce_hidden_to_energy.linear"
"""The two linear layers of the readout, with no activation between them."""

SURFACE = "rescale_atomic_energy."
"""Scale and shift by element: a surface has them, not the model."""


@contextmanager
def building() -> Iterator[None]:
    """Let sevenn build a model in float64: no random number is used up, no default changes, and nothing is said.

    e3nn builds without TorchScript, which compiles during the first calls and then rounds otherwise: not the same bits
    in every process.
    """
    dtype, options = torch.get_default_dtype(), dict(e3nn.get_optimization_defaults())
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float64)
        e3nn.set_optimization_defaults(jit_mode="eager")
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            e3nn.set_optimization_defaults(jit_mode=options["jit_mode"])


def build_config(config: Mapping[str, Any]) -> torch.nn.Module:
    """Return a model of SevenNet's config, in float64, with tensors whose values mean nothing yet."""
    with building():
        model: torch.nn.Module = model_build.build_E3_equivariant_model(dict(config))
    return model.double().eval()  # some of it is made in float32 whatever the default


def new_model(description: Description) -> torch.nn.Module:
    """Return a model of a description, in float64, with tensors whose values mean nothing yet."""
    return copied(_template(description.model_dump_json()))


def copied(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a model that shares code and no tensor.

    ``copy.deepcopy`` makes e3nn trace its layers again, after which their constants have other names.
    """
    made: torch.nn.Module = object.__new__(type(model))  # a module of torch.fx would make itself a new class
    made.__dict__.update(model.__dict__)
    made.__dict__["_parameters"] = {
        name: None if tensor is None else torch.nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
        for name, tensor in model._parameters.items()
    }
    made.__dict__["_buffers"] = {
        name: None if tensor is None else tensor.detach().clone() for name, tensor in model._buffers.items()
    }
    made.__dict__["_modules"] = {
        name: None if child is None else copied(child) for name, child in model._modules.items()
    }
    for name, value in model.__dict__.items():
        if "_hooks" in name and hasattr(value, "clear"):
            made.__dict__[name] = type(value)()
    return made


@lru_cache(maxsize=8)
def _template(description: str) -> torch.nn.Module:
    """Return a model that is only copied: e3nn writes code while it builds, which takes seconds."""
    return build_config(Description.model_validate_json(description).config())


def build(description: Description, state: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return the model of a description and its tensors, in the type of these.

    Raises
    ------
    ModelError
        Naming a tensor that does not fit.
    """
    model = new_model(description)
    model.to(dtype=state["onehot_to_feature_x.linear.weight"].dtype)
    load_tensors(model, state)
    return freeze(model)


def freeze(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model in evaluation mode, with no parameter that asks for a gradient."""
    return model.eval().requires_grad_(requires_grad=False)


def load_tensors(model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put ``tensors`` into ``model``: each must have its place, of the same shape, and the reverse.

    Raises
    ------
    ModelError
        Naming the first tensor that does not fit.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(SURFACE)}
    for name, tensor in tensors.items():
        if name not in own:
            raise ModelError(f"the tensor {name[:80]} has no place in the model")
        if own[name].shape != tensor.shape:
            raise ModelError(f"the tensor {name} has shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
    missing = sorted(set(own) - set(tensors))
    if missing:
        raise ModelError(f"the tensor {missing[0]} is missing")
    model.load_state_dict(dict(tensors), strict=False)


def coupling(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return the coupling coefficients of a model, which e3nn generates."""
    return {name: tensor for name, tensor in model.state_dict().items() if "._w3j_" in name}


def state_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return copies of the tensors of a model on the CPU, without scale and shift."""
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in model.state_dict().items()
        if not name.startswith(SURFACE)
    }
