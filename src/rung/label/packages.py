"""Packages that an engine needs and that may be absent, named with the extra that brings them."""

import importlib
from types import ModuleType

from rung.errors import MissingExtraError


def package(name: str, engine: str) -> ModuleType:
    """Import a package, or a module of one.

    Raises
    ------
    MissingExtraError
        When it is not installed; the message names the extra, which is called like the engine.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"The engine {engine!r} needs the package {name.partition('.')[0]!r}, which cannot be imported ({error}): "
            f"pip install 'rung[{engine}]'."
        ) from error
