"""Backends: each turns one library's models into potentials of rung, and is imported when a file needs it."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

from rung.errors import ConfigError, one_of
from rung.model.potential import ReadoutPotential

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load_base(
    path: Path | str,
    *,
    fidelity: str,
    head: str | None = None,
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
        Which head of a model that has several.
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


def torch_dtype(name: str | None) -> torch.dtype | None:
    """Return torch's type of a name in ``DTYPES``, None for None."""
    if name is None:
        return None
    if name not in DTYPES:
        raise ConfigError(one_of(name, DTYPES, "dtype"))
    return DTYPES[name]


def _backend(name: str) -> ModuleType:
    return import_module(f"rung.backends.{name}")
