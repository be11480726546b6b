"""Backends: each turns one library's models into potentials of rung, and imports its engine when a model needs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rung.backends.cards import attach, card_of
from rung.backends.parts import DAMAGE, BackbonePart, PotentialPart, part_of
from rung.backends.plain import surface_of, surface_to_plain
from rung.backends.precision import say_precision
from rung.backends.protocol import Backend, Heads
from rung.backends.registry import detect, named, owner
from rung.backends.routes import Route
from rung.errors import ConfigError, ModelError, one_of
from rung.model.delta import SummedBackbone, alone
from rung.model.device import require_device
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone
from rung.results.inspection import ModelFacts
from rung.results.origin import Card

SUM = "sum"
"""What stands for a backend where a backbone is two, each of a backend of its own."""

MOST_SUMS = 8
"""How deep sums may stand in sums."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load_base(
    path: Path | str,
    *,
    fidelity: str,
    head: Heads = None,
    trusted: bool = False,
    dtype: str | None = None,
    device: str = "cpu",
) -> ReadoutPotential:
    """Return the potential of another library's model file; the backend that knows its content reads it.

    Parameters
    ----------
    path
        A file that a backend writes or reads.
    fidelity
        The fidelity that the model was trained on.
    head
        Which head (or modality) of a model that has several; or, by fidelity, that of each that the potential should
        offer.
    trusted
        Whether the file may run code while it loads, as an ordinary pickle does. Without it the model is rebuilt from
        the file's data alone.
    dtype
        ``float32`` or ``float64``; by default that of the file, and float32 for a file of half precision, with a
        warning.
    device
        Where the model should live.

    Raises
    ------
    ModelError
        When the file is missing, damaged, no model, or a model with a part that rung does not know.
    UntrustedError
        When the model cannot be rebuilt without running code from the file.
    MissingExtraError
        When the package of the backend is not installed.
    """
    path = Path(path)
    require_device(device)
    backend = detect(path)
    kind = torch_dtype(dtype)
    potential = backend.load(path, fidelity=fidelity, head=head, trusted=trusted, dtype=kind, device=device)
    return say_precision(potential, path)


def export(potential: ReadoutPotential, fidelity: str, path: Path | str, *, card: Card | None = None) -> None:
    """Write one fidelity as a native file of its library, whole or not at all.

    The file holds what that library's own tools read. Where weights and reference energies are what the base had, its
    tensors keep every bit. A card goes with it, which :func:`rung.backends.cards.card_in` reads.

    Parameters
    ----------
    potential, fidelity
        What to write.
    path
        The file.
    card
        What the file says of itself; by default its fidelity and reference energies alone.

    Raises
    ------
    ModelError
        When no native file can hold the fidelity, saying why.
    ConfigError
        When the potential has no such fidelity.
    StorageError
        When the file cannot be written.
    """
    potential = alone(potential, fidelity)
    _owner(potential.backbone).export(potential, fidelity, Path(path))
    attach(Path(path), card or card_of(potential, fidelity))


def route_to(engine: str, potential: ReadoutPotential, fidelity: str) -> Route:
    """Return how the file of a fidelity is converted for another engine; other errors as for :func:`export`.

    Raises
    ------
    ConfigError
        When the backend has no way to the engine, with what to do or what ways there are.
    """
    backend = _owner(alone(potential, fidelity).backbone)
    routes = backend.routes()
    if engine in routes:
        return routes[engine]
    unknown = one_of(engine, routes, f"engine that models of the backend {backend.name!r} can be converted for")
    raise ConfigError(backend.other_engines.get(engine, unknown))


def native_suffix(potential: ReadoutPotential, fidelity: str) -> str:
    """Return the suffix of the file that :func:`export` would write, with the dot; errors as there."""
    return _owner(alone(potential, fidelity).backbone).suffix


def library_type(potential: ReadoutPotential, fidelity: str) -> torch.dtype | None:
    """Return the type in which a library computes its files whatever type they have; None where it is theirs."""
    return _owner(alone(potential, fidelity).backbone).runs_in


def describe(path: Path | str, *, trusted: bool = False) -> ModelFacts:
    """Return what another library's model file is; the backend that knows its content says it.

    Parameters
    ----------
    path
        A file that a backend reads.
    trusted
        Whether the file may run code while it loads; without it, nothing in it runs.

    Raises
    ------
    ModelError
        When the file is missing, damaged or no model.
    UntrustedError
        When only trust would open it.
    """
    return detect(Path(path)).describe(Path(path), trusted=trusted)


def facts(backbone: Backbone) -> tuple[ModelFacts, ...]:
    """Return what the backend of a backbone says of it; of a sum, of each of its parts."""
    if isinstance(backbone, SummedBackbone):
        return (*facts(backbone.first), *facts(backbone.second))
    return (_owner(backbone).facts(backbone),)


def dump(potential: ReadoutPotential) -> dict[str, Any]:
    """Return the potential as plain data and tensors, which ``torch.load`` reads with ``weights_only=True``.

    Raises
    ------
    ModelError
        When the backbone belongs to no backend, or cannot be built again from data.
    """
    surfaces = {fidelity: surface_to_plain(surface) for fidelity, surface in potential.surfaces.items()}
    return {**_dump_backbone(potential.backbone), "surfaces": surfaces}


def restore(data: Mapping[str, Any], *, dtype: str | None = None, device: str = "cpu") -> ReadoutPotential:
    """Return the potential that :func:`dump` wrote: every bit of it, unless another ``dtype`` is asked for.

    Raises
    ------
    ModelError
        When the data do not hold what they should: one sentence with the place.
    """
    part = part_of(PotentialPart, data, "potential")
    backbone = _restore_backbone(part, torch_dtype(dtype), device)
    return ReadoutPotential(backbone, {name: surface_of(one) for name, one in part.surfaces.items()})


def torch_dtype(name: str | None) -> torch.dtype | None:
    """Return torch's type of a name in ``DTYPES``, None for None."""
    if name is None:
        return None
    if name not in DTYPES:
        raise ConfigError(one_of(name, DTYPES, "dtype"))
    return DTYPES[name]


def _owner(backbone: Backbone) -> Backend:
    backend = owner(backbone)
    if backend is None:
        raise ModelError(f"The backbone {type(backbone).__name__} belongs to no backend, so no file can hold it.")
    return backend


def _dump_backbone(backbone: Backbone) -> dict[str, Any]:
    if isinstance(backbone, SummedBackbone):
        return {"backend": SUM, "backbone": [_dump_backbone(part) for part in (backbone.first, backbone.second)]}
    backend = _owner(backbone)
    return {"backend": backend.name, "backbone": backend.dump(backbone)}


def _restore_backbone(
    part: BackbonePart, dtype: torch.dtype | None, device: str, place: str = "potential.backbone"
) -> Backbone:
    if part.backend == SUM:
        if not isinstance(part.backbone, list) or len(part.backbone) != 2 or place.count(".") > MOST_SUMS:
            raise ModelError(f"at {place!r} there should be two backbones.")
        parts = [part_of(BackbonePart, one, f"{place}.{index}") for index, one in enumerate(part.backbone)]
        return SummedBackbone(
            *(_restore_backbone(one, dtype, device, f"{place}.{index}") for index, one in enumerate(parts))
        )
    backend = named(part.backend)
    if not isinstance(part.backbone, dict):
        raise ModelError(f"at {place!r} there should be one backbone.")
    try:
        return backend.restore(part.backbone, dtype=dtype, device=device)
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"at {place!r} it does not hold what the backend {part.backend!r} wrote ({type(error).__name__}: {reason})."
        ) from error
