"""A SevenNet backbone as plain data and tensors, and back."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch
from pydantic import Field

from rung.backends.fidelity_vectors import moved_to, restored
from rung.backends.parts import DAMAGE, Finite, Numbers, Part, part_of
from rung.backends.plain import cannot_be_built
from rung.backends.precision import all_wide, smaller_type
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.conditioned import ConditionedSevenNetBackbone
from rung.backends.sevenn.description import Description, check_bounds
from rung.backends.sevenn.rebuild import build, state_of
from rung.errors import ModelError
from rung.model.protocols import Backbone

_PACKAGES = ("sevenn", "e3nn", "torch")


class SevenNetPart(Part):
    """A SevenNet backbone."""

    description: Description
    state: dict[str, Numbers]
    element_scales: list[Finite] = Field(default_factory=list)
    versions: dict[str, str]
    conditions: dict[str, dict[str, Numbers]] = Field(default_factory=dict)


def dump(backbone: Backbone) -> dict[str, Any]:
    """Return the backbone as plain data; see :func:`rung.backends.dump`.

    Raises
    ------
    ModelError
        When it is no SevenNet model.
    """
    if not isinstance(backbone, SevenNetBackbone):
        raise ModelError(f"A {type(backbone).__name__} is not SevenNet.")
    conditions = backbone.conditions if isinstance(backbone, ConditionedSevenNetBackbone) else {}
    return {
        "description": backbone.description.model_dump(mode="json"),
        "state": state_of(backbone.module),
        "element_scales": list(backbone.element_scales),
        "versions": {name: version(name) for name in _PACKAGES},
        "conditions": moved_to(conditions, device="cpu"),
    }


def restore(data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> SevenNetBackbone:
    """Return the backbone that :func:`dump` wrote, bit for bit where ``dtype`` is None.

    Raises
    ------
    ModelError
        When the data do not hold what they should, or the model cannot be built from them.
    """
    part = part_of(SevenNetPart, data, "potential.backbone")
    stored = smaller_type(part.state.values())
    module = _build(part).to(device=device, dtype=dtype)
    if len(part.element_scales) not in (0, len(part.description.elements)):
        raise ModelError(f"It scales {len(part.element_scales)} elements and knows {len(part.description.elements)}.")
    scales = tuple(part.element_scales)
    if not part.conditions:
        return SevenNetBackbone(module, part.description, scales, stored)
    conditions = restored(module, part.conditions, dtype=dtype, device=device)
    return ConditionedSevenNetBackbone(module, part.description, scales, stored, conditions)


def _build(part: SevenNetPart) -> torch.nn.Module:
    try:
        check_bounds(part.description, part.state)
        return build(part.description, all_wide(part.state))
    except (ModelError, *DAMAGE) as error:
        raise cannot_be_built("SevenNet", part.versions, error) from error
