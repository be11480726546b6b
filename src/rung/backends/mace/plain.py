"""A MACE backbone as plain data and tensors, and back."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch
from pydantic import Field

from rung.backends.fidelity_vectors import moved_to, restored
from rung.backends.mace.backbone import MaceBackbone, freeze
from rung.backends.mace.bounds import check_bounds
from rung.backends.mace.conditioned import ConditionedMaceBackbone
from rung.backends.mace.describe import describe, heads_of
from rung.backends.mace.rebuild import build_like, load_scalars, load_tensors, scalars_of
from rung.backends.parts import DAMAGE, Numbers, Part, part_of
from rung.backends.plain import cannot_be_built
from rung.backends.precision import all_wide, smaller_type
from rung.errors import ModelError, one_of

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
        # a model that was unpickled may have what a description cannot say: find out now, not on loading
        _build(part_of(MacePart, data, "potential.backbone"))
    return data


def restore(data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> MaceBackbone:
    """Return the backbone that :func:`dump` wrote, bit for bit where ``dtype`` is None.

    Raises
    ------
    ModelError
        When the data do not hold what they should, or the model cannot be built from them.
    """
    part = part_of(MacePart, data, "potential.backbone")
    stored = smaller_type(part.state.values())
    model = _build(part).to(device=device, dtype=dtype)
    if part.head not in heads_of(model):
        raise ModelError(one_of(part.head[:40], heads_of(model), "head"))
    if not part.conditions:  # version 1 of the format knew none
        return MaceBackbone(freeze(model), part.head, rebuilt=True, stored=stored)
    conditions = restored(model, part.conditions, dtype=dtype, device=device)
    return ConditionedMaceBackbone(freeze(model), part.head, rebuilt=True, stored=stored, conditions=conditions)


def _build(part: "MacePart") -> torch.nn.Module:
    try:
        check_bounds(part.description, part.state)
        state = all_wide(part.state)
        model = build_like(part.description, state["node_embedding.linear.weight"].dtype, state)
        load_tensors(model, state)
        load_scalars(model, part.scalars)
    except (ModelError, *DAMAGE) as error:
        raise cannot_be_built("MACE", part.versions, error) from error
    return model


class MacePart(Part):
    """A MACE backbone."""

    description: dict[str, Any]
    """What the architecture is; its entries are held against bounds before the model is made."""
    state: dict[str, Numbers]
    scalars: dict[str, bool | int | float]
    head: str
    versions: dict[str, str]
    conditions: dict[str, dict[str, Numbers]] = Field(default_factory=dict)
