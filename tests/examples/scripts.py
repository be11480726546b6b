"""Import the scripts of examples/, which are no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "examples"


def script(name: str) -> ModuleType:
    """Return the script ``examples/<name>/<name>.py`` as a module."""
    return part(name, name)


def part(folder: str, name: str) -> ModuleType:
    """Return ``examples/<folder>/<name>.py`` as a module."""
    module = f"rung_example_{folder}_{name}"
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, FOLDER / folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
    return sys.modules[module]
