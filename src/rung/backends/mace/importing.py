"""Importing mace without what it does to the rest of the process."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rung.errors import MissingExtraError

_FORCE_UNSAFE_LOAD = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@contextmanager
def environment_restored(name: str) -> Iterator[None]:
    """Put one environment variable back as it was, whatever the block does to it."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextmanager
def compiled_parts_on_cpu() -> Iterator[None]:
    """Let TorchScript within the block be loaded to the CPU, wherever it was saved.

    e3nn keeps compiled parts of a model as TorchScript within its pickle. It names no place to load them to, so that
    those of a card need one, whatever ``map_location`` the file itself is loaded with.
    """
    load: Any = torch.jit.load

    def on_cpu(*arguments: Any, **further: Any) -> Any:
        return load(*arguments, **{"map_location": "cpu", **further})

    torch.jit.load = on_cpu
    try:
        yield
    finally:
        torch.jit.load = load


def import_mace() -> None:
    """Import ``mace`` and ``e3nn``, leaving ``torch.load`` as safe and the terminal as clean as before.

    ``import mace`` sets ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1``, after which every plain ``torch.load`` of the process
    runs whatever code its file holds; without it e3nn 0.4.4 imports only where ``slice`` is allowed in its constants.

    Raises
    ------
    MissingExtraError
        When one of them is not installed.
    """
    torch.serialization.add_safe_globals([slice])
    quiet = io.StringIO()
    dtype = torch.get_default_dtype()
    try:
        with environment_restored(_FORCE_UNSAFE_LOAD), warnings.catch_warnings(), contextlib.redirect_stdout(quiet):
            warnings.simplefilter("ignore")
            import mace.modules  # noqa: F401, PLC0415 - an optional package, imported when a MACE file is used
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"A MACE model needs the package {error.name!r}, which is not installed: pip install 'rung[mace]'."
        ) from error
    finally:
        torch.set_default_dtype(dtype)
