"""Backends: each turns one library's models into potentials of rung, and is imported when a file needs it."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from rung.backends.plain import surface_from_plain, surface_to_plain
from rung.errors import ConfigError, ModelError, one_of
from rung.model.delta import SummedBackbone, alone
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Backbone

BACKENDS = ("mace",)
SUM = "sum"
"""What stands for a backend where a backbone is two, each of a backend of its own."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load_base(
    path: Path | str,
    *,
    fidelity: str,
    head: str | Mapping[str, str] | None = None,
    trusted: bool = False,
    dtype: str | None = None,
    device: str = "cpu",
) -> ReadoutPotential:
    """Return the potential of another library's model file.

    Parameters
    ----------
    path
        A ``.model`` file of MACE.
    fidelity
        The fidelity that the model was trained on.
    head
        Which head of a model that has several; or, by fidelity, the head of each that the potential should offer.
    trusted
        Whether the file may run code while it loads, as an ordinary pickle does. Without it the model is rebuilt from
        the file's data alone.
    dtype
        ``float32`` or ``float64``; by default that of the file.
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
    potential: ReadoutPotential = _backend("mace").load(
        Path(path), fidelity=fidelity, head=head, trusted=trusted, dtype=torch_dtype(dtype), device=device
    )
    return potential


def export(potential: ReadoutPotential, fidelity: str, path: Path | str) -> None:
    """Write one fidelity as a native file of its library, whole or not at all.

    The file holds classes of that library, e3nn and torch only. Where weights and reference energies are what the base
    had, its tensors keep every bit.

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
    _backend(_name_of(potential.backbone)).export(potential, fidelity, Path(path))


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
    """Return the potential that :func:`dump` wrote: every bit of it, unless another ``dtype`` is asked for."""
    backbone = _restore_backbone(data, torch_dtype(dtype), device)
    return ReadoutPotential(backbone, {name: surface_from_plain(item) for name, item in data["surfaces"].items()})


def torch_dtype(name: str | None) -> torch.dtype | None:
    """Return torch's type of a name in ``DTYPES``, None for None."""
    if name is None:
        return None
    if name not in DTYPES:
        raise ConfigError(one_of(name, DTYPES, "dtype"))
    return DTYPES[name]


def _backend(name: str) -> ModuleType:
    if name not in BACKENDS:
        raise ModelError(one_of(name, BACKENDS, "backend"))
    return import_module(f"rung.backends.{name}")


def _dump_backbone(backbone: Backbone) -> dict[str, Any]:
    if isinstance(backbone, SummedBackbone):
        return {"backend": SUM, "backbone": [_dump_backbone(part) for part in (backbone.first, backbone.second)]}
    name = _name_of(backbone)
    return {"backend": name, "backbone": _backend(name).dump(backbone)}


def _restore_backbone(data: Mapping[str, Any], dtype: torch.dtype | None, device: str) -> Backbone:
    if data["backend"] == SUM:
        return SummedBackbone(*(_restore_backbone(part, dtype, device) for part in data["backbone"]))
    found: Backbone = _backend(data["backend"]).restore(data["backbone"], dtype=dtype, device=device)
    return found


def _name_of(backbone: Backbone) -> str:
    home = type(backbone).__module__
    for name in BACKENDS:
        if home.startswith(f"rung.backends.{name}."):
            return name
    raise ModelError(f"The backbone {type(backbone).__name__} belongs to no backend, so no file can hold it.")
