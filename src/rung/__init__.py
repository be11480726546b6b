"""rung lifts a machine-learning interatomic potential to a higher level of theory with a handful of energies."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.calculator import RungCalculator

__version__ = "0.1.0"
__all__ = ["RungCalculator", "__version__"]

_LAZY = {"RungCalculator": "rung.calculator"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``import rung`` does not wait for torch."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'rung' has no attribute {name!r}")
