"""What a user names as ``package.module:name``."""

import importlib
from typing import Any

from rung.errors import ConfigError


def imported(path: str) -> Any:
    """Return what ``package.module:name`` names. The code of the module runs, so whoever calls has asked for trust.

    Raises
    ------
    ConfigError
        When the module cannot be imported, or has no such name; where Python does not find it, with what to do.
    """
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise ConfigError(f"{path} cannot be imported ({error}).") from error
        raise ConfigError(
            f"{path} cannot be imported, for Python finds no {package!r}: install it, or where it is a file of yours, "
            "put its folder on PYTHONPATH, as in PYTHONPATH=. rung … for the folder that you are in."
        ) from error
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be imported ({error}).") from error
