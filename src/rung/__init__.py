"""rung lifts a machine-learning interatomic potential to a higher level of theory with a handful of energies."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.api import *  # noqa: F403 - the public names, and no others

__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    """Return a public name of :mod:`rung.api`, imported when it is first asked for."""
    api = import_module("rung.api")
    if name not in api.HOMES:
        raise AttributeError(f"module 'rung' has no attribute {name!r}")
    return getattr(api, name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted({*globals(), *import_module("rung.api").HOMES})
