"""Open whatever a command may sample: a file of rung or of a backend, or any ASE calculator that Python can import."""

import importlib
import re
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.constraints import FixAtoms

from rung.calculator import RungCalculator
from rung.data.readers.structures import read_structures, reading_of
from rung.errors import ConfigError, DataError, UntrustedError

_IMPORTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def open_calculator(
    model: str | Path, *, fidelity: str, trusted: bool = False, device: str = "cpu", dtype: str | None = None
) -> Any:
    """Return an ASE calculator for a model file, or for ``package.module:function``.

    Parameters
    ----------
    model
        ``model.rung``, a backend's file, or ``package.module:function`` where the function, called without
        arguments, returns an ASE calculator.
    fidelity
        The fidelity to evaluate; for an imported calculator the name of what it computes.
    trusted
        Whether the file or the module may run code.
    device, dtype
        As for :class:`~rung.calculator.RungCalculator`; an imported calculator decides for itself.

    Raises
    ------
    UntrustedError
        When code would run and ``trusted`` does not say that it may.
    ConfigError
        When the module or function does not exist, or returns no calculator.
    ModelError
        When the file cannot be used.
    """
    text = str(model)
    if not _IMPORTED.fullmatch(text) or Path(text).exists():
        return RungCalculator(Path(text), fidelity=fidelity, trusted=trusted, device=device, dtype=dtype)
    if not trusted:
        raise UntrustedError(f"{text} runs code of that module: say --trusted if you know where it comes from.")
    module, name = text.split(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{text} cannot be imported ({error}).") from error
    calculator = found()
    if not hasattr(calculator, "get_potential_energy"):
        raise ConfigError(f"{text} returned a {type(calculator).__name__} and no ASE calculator.")
    return calculator


def read_start(path: Path) -> Atoms:
    """Return the first structure of a file, with the atoms held that the file says are held.

    Raises
    ------
    DataError
        When the file cannot be read or holds nothing.
    """
    structures = read_structures(path)
    if not structures:
        raise DataError(f"{path} holds no structure.")
    atoms = structures[0].atoms.copy()
    held = reading_of(structures[0]).fixed_atoms
    if held:
        atoms.set_constraint(FixAtoms(list(held)))
    return atoms
