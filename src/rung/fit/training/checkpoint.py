"""Checkpoints of a training: versioned, whole or absent, and loadable without running code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rung.backends.parts import Numbers, Part, part_of
from rung.errors import FitError, ModelError, StorageError
from rung.storage import atomic_path

FILE = "training.pt"
_FORMAT = "rung-training"
_VERSION = 1


@dataclass
class TrainingState:
    """Where a training stands at the end of an epoch.

    Parameters
    ----------
    average
        Moving average of each parameter.
    best
        The average where the validation loss was least.
    best_loss, best_epoch
        That loss, and the epoch after which it was found (1 is the first; 0 before any).
    updates
        Steps of the optimizer so far.
    log
        One mapping of numbers per epoch.
    finished
        Why the training ended; empty while it goes on.
    references
        Reference energies (eV) by fidelity and atomic number: those that the training began with.
    """

    average: list[Tensor]
    best: list[Tensor]
    references: dict[str, dict[int, float]]
    best_loss: float = float("inf")
    best_epoch: int = 0
    updates: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    finished: str = ""

    @classmethod
    def at(cls, parameters: list[Tensor], references: dict[str, dict[int, float]]) -> "TrainingState":
        """Return the state before the first epoch."""
        start = [parameter.detach().clone() for parameter in parameters]
        return cls(average=start, best=[tensor.clone() for tensor in start], references=references)


def save(
    folder: Path,
    identity: str,
    state: TrainingState,
    parameters: list[Tensor],
    optimizer: Mapping[str, Any],
) -> None:
    """Write the checkpoint of ``folder``.

    Parameters
    ----------
    folder
        Where it goes; the one before is replaced only once this one is whole.
    identity
        A hash of everything that the training depends on: a checkpoint of another training is refused.
    state, parameters, optimizer
        What is saved; ``optimizer`` is the optimizer's ``state_dict``.

    Raises
    ------
    StorageError
        When the file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "identity": identity,
        "parameters": [parameter.detach() for parameter in parameters],
        "average": state.average,
        "best": state.best,
        "best_loss": state.best_loss,
        "best_epoch": state.best_epoch,
        "updates": state.updates,
        "log": state.log,
        "finished": state.finished,
        "references": state.references,
        "optimizer": dict(optimizer),
    }
    with atomic_path(Path(folder) / FILE) as temporary:
        torch.save(content, temporary)


def load(
    folder: Path,
    identity: str,
    references: dict[str, dict[int, float]],
    parameters: list[Tensor],
    device: torch.device,
) -> tuple[TrainingState, dict[str, Any]] | None:
    """Put the checkpoint of ``folder`` into ``parameters``; return its state and the optimizer's, or None without one.

    Reference energies are compared within 1 meV and the checkpoint's are the ones to go on with: they may come from a
    fit to predictions, whose last digits a graphics card does not repeat.

    Raises
    ------
    StorageError
        When there is a file, but it is no checkpoint of this version.
    FitError
        When it belongs to a training on other data, settings or starting weights.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    content = _read(path, device)
    if content.identity != identity or not _close(content.references, references):
        raise FitError(
            f"{path} was written by a training with other data, settings, seed or base; delete it or choose "
            "another folder."
        )
    _check_shapes(path, content, parameters)
    with torch.no_grad():
        for parameter, saved in zip(parameters, content.parameters, strict=True):
            parameter.copy_(saved)
    state = TrainingState(**{item.name: getattr(content, item.name) for item in fields(TrainingState)})
    return state, content.optimizer


def _close(one: dict[str, dict[int, float]], two: dict[str, dict[int, float]]) -> bool:
    if {name: set(table) for name, table in one.items()} != {name: set(table) for name, table in two.items()}:
        return False
    return all(
        abs(energy - two[name][number]) < 1e-3 for name, table in one.items() for number, energy in table.items()
    )


class _Content(Part):
    """What a checkpoint of a training holds."""

    identity: str
    parameters: list[Numbers]
    average: list[Numbers]
    best: list[Numbers]
    best_loss: float
    best_epoch: int
    updates: int
    log: list[dict[str, float]]
    finished: str
    references: dict[str, dict[int, float]]
    optimizer: dict[str, Any]


def _read(path: Path, device: torch.device) -> _Content:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many types for a damaged file
        raise StorageError(f"{path} is damaged ({type(error).__name__}); delete it to train from the start.") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise StorageError(f"{path} is not a training checkpoint; delete it to train from the start.")
    if content.get("version") != _VERSION:
        raise StorageError(
            f"{path} has version {str(content.get('version'))[:20]} of the format, this rung reads {_VERSION}; delete "
            "it to train from the start."
        )
    try:
        return part_of(_Content, content, "checkpoint")
    except ModelError as error:
        raise StorageError(f"{path} is damaged: {error} Delete it to train from the start.") from error


def _check_shapes(path: Path, content: _Content, parameters: list[Tensor]) -> None:
    """Raise a :class:`~rung.errors.StorageError` where tensors are not of the shapes of the parameters."""
    shapes = [tuple(parameter.shape) for parameter in parameters]
    for name in ("parameters", "average", "best"):
        if [tuple(tensor.shape) for tensor in getattr(content, name)] != shapes:
            raise StorageError(f"{path} is damaged at {name!r} (other shapes); delete it to train from the start.")
    state, groups = content.optimizer.get("state"), content.optimizer.get("param_groups")
    whole = isinstance(state, dict) and isinstance(groups, list) and all(isinstance(one, dict) for one in groups)
    if not whole or not all(_of_parameter(key, one, shapes) for key, one in (state or {}).items()):
        raise StorageError(f"{path} is damaged at 'optimizer'; delete it to train from the start.")


def _of_parameter(key: Any, state: Any, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether an optimizer's state of one parameter has numbers, and tensors of the parameter's shape."""
    if not isinstance(key, int) or not 0 <= key < len(shapes) or not isinstance(state, dict):
        return False
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    return len(tensors) == len(state) and all(tuple(one.shape) in ((), shapes[key]) for one in tensors)
