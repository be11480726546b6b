"""A MACE backbone as plain data and tensors, and back."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from rung.backends.mace.backbone import MaceBackbone, freeze
from rung.backends.mace.bounds import check_bounds
from rung.backends.mace.conditioned import ConditionedMaceBackbone, moved_to
from rung.backends.mace.describe import describe
from rung.backends.mace.rebuild import build, load_scalars, load_tensors, scalars_of
from rung.errors import ModelError

_PACKAGES = ("mace-torch", "e3nn", "torch")


def dump(backbone: MaceBackbone) -> dict[str, Any]:
    """Return the backbone as plain data; see :func:`rung.backends.dump`.

    Raises
    ------
    ModelError
        When a model built from the data would not be the same model.
    """
    state = {name: tensor.detach().cpu().clone() for name, tensor in backbone.module.state_dict().items()}
    data = {
        "description": describe(backbone.module),
        "state": state,
        "scalars": scalars_of(backbone.module),
        "head": backbone.head,
        "versions": {name: version(name) for name in _PACKAGES},
        "conditions": moved_to(backbone.conditions, device="cpu")
        if isinstance(backbone, ConditionedMaceBackbone)
        else {},
    }
    if not backbone.rebuilt:
        _build(data)  # a model that was unpickled may have what a description cannot say: find out now, not on loading
    return data


def restore(data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> MaceBackbone:
    """Return the backbone that :func:`dump` wrote, bit for bit where ``dtype`` is None."""
    model = _build(data).to(device=device, dtype=dtype)
    if not data.get("conditions"):  # version 1 of the format knew none
        return MaceBackbone(freeze(model), data["head"], rebuilt=True)
    conditions = moved_to(data["conditions"], device=device, dtype=dtype)
    return ConditionedMaceBackbone(freeze(model), data["head"], rebuilt=True, conditions=conditions)


def _build(data: Mapping[str, Any]) -> torch.nn.Module:
    state = data["state"]
    try:
        check_bounds(data["description"], state)
        model = build(data["description"], state["node_embedding.linear.weight"].dtype)
        load_tensors(model, state)
        load_scalars(model, data["scalars"])
    except (ModelError, AttributeError, KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        made = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
        here = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        raise ModelError(
            f"The MACE model cannot be built again ({error}); it is of {made}; here are {here}."
        ) from error
    return model
