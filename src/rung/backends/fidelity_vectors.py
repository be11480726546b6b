"""Vectors that a fidelity adds to the scalars of some linear layers, in passing: what it has of its own in a model.

The layers ("sites") are ``e3nn.o3.Linear`` modules, by their path in the model; which they are, each backend says.
While several fidelities share a model the vectors are added by hooks, so the module stays a plain one of its library.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rung.backends.linear_layers import scalar_columns
from rung.backends.precision import all_wide
from rung.data.batch import Batch
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.storage import content_hash

Vectors = Mapping[str, Tensor]
"""What one fidelity adds: a vector for each site."""
Hook = Callable[..., Tensor]


def width_of(model: Any, site: str) -> int:
    """Return how many numbers a fidelity adds there."""
    return len(scalar_columns(model.get_submodule(site).irreps_out))


@contextmanager
def hooked(hooks: Sequence[tuple[Any, Hook]]) -> Iterator[None]:
    """Run the block with forward hooks on modules."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def adding(model: Any, conditions: Sequence[Vectors], fidelity: Tensor) -> list[tuple[Any, Hook]]:
    """Return hooks that add to each atom what its fidelity adds.

    Parameters
    ----------
    model
        A model with these layers.
    conditions
        The vectors of each fidelity; all name the same sites.
    fidelity
        The index of each atom's fidelity, shape ``(N,)``.
    """
    hooks = []
    for site in conditions[0]:
        linear = model.get_submodule(site)
        table = torch.stack([vectors[site] for vectors in conditions])
        if table.shape[1] != linear.irreps_out.dim:
            columns = torch.as_tensor(scalar_columns(linear.irreps_out), device=table.device)
            table = table.new_zeros(len(conditions), linear.irreps_out.dim).index_copy(1, columns, table)
        hooks.append((linear, _add(table, fidelity)))
    return hooks


@contextmanager
def with_vectors(model: Any, conditions: Mapping[str, Vectors], batch: Batch) -> Iterator[None]:
    """Run the block with the model such that each row of a batch gets what its fidelity adds.

    Raises
    ------
    ConfigError
        When a row has a fidelity that adds nothing here.
    """
    names = tuple(conditions)
    rows = [names.index(require_fidelity(name, names)) for name in batch.fidelities]
    fidelity = torch.as_tensor(rows, device=batch.positions.device)[batch.fidelity][batch.atom_row]
    with hooked(adding(model, [conditions[name] for name in names], fidelity)):
        yield


def vectors_hash(kind: str, shared: str, conditions: Mapping[str, Vectors]) -> str:
    """Return a hash of what fidelities share, whose own hash is ``shared``, and of what each adds."""
    added = [
        (name, site, vector.detach().cpu().numpy())
        for name, vectors in sorted(conditions.items())
        for site, vector in sorted(vectors.items())
    ]
    return content_hash(kind, shared, added)


def _add(table: Tensor, fidelity: Tensor) -> Hook:
    return lambda _module, _inputs, out: out + table[fidelity]


def moved_to(conditions: Mapping[str, Vectors], **where: Any) -> dict[str, dict[str, Tensor]]:
    """Return copies of the vectors at another device or of another type."""
    return {
        name: {site: vector.detach().clone().to(**where) for site, vector in vectors.items()}
        for name, vectors in conditions.items()
    }


def restored(
    model: torch.nn.Module, conditions: Mapping[str, Vectors], *, dtype: torch.dtype | None, device: str
) -> dict[str, dict[str, Tensor]]:
    """Return vectors of a file for a model, at its device and of its type; half precision becomes single.

    Raises
    ------
    ModelError
        When they do not fit the model's layers.
    """
    check_vectors(model, conditions)
    wide = {name: all_wide(vectors) for name, vectors in conditions.items()}
    return moved_to(wide, device=device, dtype=dtype)


def check_vectors(model: torch.nn.Module, conditions: Mapping[str, Vectors]) -> None:
    """Raise a :class:`~rung.errors.ModelError` where a fidelity's vectors do not fit the model's layers."""
    sites = {tuple(vectors) for vectors in conditions.values()}
    if len(sites) != 1:
        raise ModelError("The fidelities of the model add to different layers.")
    for name, vectors in conditions.items():
        for site, vector in vectors.items():
            try:
                width = width_of(model, site)
            except AttributeError as error:
                raise ModelError(f"The fidelity {name!r} adds to {site[:40]!r}, which is no layer.") from error
            if tuple(vector.shape) != (width,) or not vector.is_floating_point():
                raise ModelError(f"The fidelity {name!r} adds {tuple(vector.shape)} numbers at {site!r}, not {width}.")
