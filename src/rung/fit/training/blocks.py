"""Which tensors of a model move: a part that its backend names, or tensors chosen by name."""

import re
from typing import Annotated

from pydantic import AfterValidator

from rung.backends.registry import backends
from rung.errors import ConfigError, one_of
from rung.model.trainable import TrainablePotential


def _of_some_backend(blocks: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Refuse early a name that no backend gives to a part of its models."""
    there = {name for backend in backends().values() for name in backend.blocks}
    if isinstance(blocks, str) and blocks not in there:
        raise ValueError(one_of(blocks, there, "part of a model"))
    return blocks


Blocks = Annotated[str | tuple[str, ...], AfterValidator(_of_some_backend)]
"""Which tensors move.

The name of a part of the model: ``all``, or one that its backend knows; those of MACE are ``readouts``, ``products``,
``last_layer`` and ``layers``. Or regular expressions: a tensor moves where one of them is found in its name in the
backend's model.
"""


def moving_names(model: TrainablePotential, blocks: Blocks) -> tuple[str, ...]:
    """Return the names of the parameters that move, of those that require a gradient.

    Raises
    ------
    ConfigError
        When none does, the model has no such part, or a regular expression is none.
    """
    names = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    if isinstance(blocks, tuple):
        patterns = [_compiled(pattern) for pattern in blocks]
        chosen = tuple(name for name in names if any(pattern.search(name) for pattern in patterns))
    else:
        members = set(_part(model, blocks))
        chosen = tuple(name for name in names if name in members)
    if not chosen:
        there = ", ".join(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
        raise ConfigError(f"blocks: no tensor is chosen by {blocks!r}; the model's begin with {there}.")
    return chosen


def freeze_others(model: TrainablePotential, blocks: Blocks) -> None:
    """Let only the chosen tensors of ``model`` require a gradient, of those that do."""
    moves = set(moving_names(model, blocks))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.requires_grad_(name in moves)


def _part(model: TrainablePotential, name: str) -> tuple[str, ...]:
    parts = model.blocks()
    if name not in parts:
        raise ConfigError(f"blocks: {one_of(name, parts, 'part of this model')}")
    return parts[name]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"blocks: {pattern!r} is no regular expression: {error}.") from error
