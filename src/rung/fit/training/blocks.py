"""Which tensors of a model move: a choice of blocks by depth, or by name."""

import re
from collections.abc import Sequence
from typing import Literal

import torch

from rung.errors import ConfigError

Blocks = Literal["readouts", "products", "last_layer", "layers", "all"] | tuple[str, ...]
"""Which tensors move, from the output inwards; each holds those before it but for ``last_layer``, which stands beside
``products``.

``readouts``
    The maps from features to energies, one after each layer.
``products``
    Readouts, and what makes features of each layer's messages.
``last_layer``
    Readouts, and all of the last layer.
``layers``
    Everything but the embedding of elements.
``all``
    Everything.

Or regular expressions: a tensor moves where one of them is found in its name in the backend's model.
"""

_LAYER = re.compile(r"(?:^|\.)(?:interactions|products)\.(\d+)\.")
_READOUT = re.compile(r"(?:^|\.)readouts\.")
_PRODUCT = re.compile(r"(?:^|\.)products\.")


def moving_names(names: Sequence[str], blocks: Blocks) -> tuple[str, ...]:
    """Return those of ``names`` that move.

    Raises
    ------
    ConfigError
        When none does, or a regular expression is none.
    """
    if isinstance(blocks, tuple):
        patterns = [_compiled(pattern) for pattern in blocks]
        found = tuple(name for name in names if any(pattern.search(name) for pattern in patterns))
    else:
        found = tuple(name for name in names if _moves(name, names, blocks))
    if not found:
        there = ", ".join(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
        raise ConfigError(f"blocks: no tensor is chosen by {blocks!r}; the model's begin with {there}.")
    return found


def freeze_others(model: torch.nn.Module, blocks: Blocks) -> None:
    """Let only the chosen tensors of ``model`` require a gradient, of those that do."""
    moves = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    kept = set(moving_names(tuple(moves), blocks))
    for name, parameter in moves.items():
        parameter.requires_grad_(name in kept)


def _moves(name: str, names: Sequence[str], blocks: str) -> bool:
    layer = _LAYER.search(name)
    if blocks == "all" or _READOUT.search(name):
        return True
    if blocks == "products":
        return _PRODUCT.search(name) is not None
    if blocks == "last_layer":
        last = max((int(found[1]) for found in map(_LAYER.search, names) if found), default=-1)
        return layer is not None and int(layer[1]) == last
    return blocks == "layers" and layer is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"blocks: {pattern!r} is no regular expression: {error}.") from error
