"""Calculators that a user's module makes: what they raise becomes one sentence, and the traceback is kept for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from rung.errors import ConfigError, ModelError, RungError
from rung.importing import imported


def imported_calculator(path: str) -> Any:
    """Return the ASE calculator that ``package.module:function`` returns. The code of the module runs.

    Raises
    ------
    ConfigError
        When the module or function does not exist, or it returns no calculator.
    ModelError
        When the function raises, and later, when the calculator does.
    """
    calculator = _told(path, imported(path))
    if not hasattr(calculator, "get_potential_energy"):
        raise ConfigError(f"{path} returned a {type(calculator).__name__} and no ASE calculator.")
    if hasattr(calculator, "calculate"):
        calculator.calculate = _telling(path, calculator.calculate)
    if hasattr(calculator, "get_property"):
        calculator.get_property = _giving(path, calculator.get_property)
    return calculator


def _telling(path: str, calculate: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``calculate`` of a calculator with its errors as sentences that name the structure."""

    def told(atoms: Atoms | None = None, *arguments: Any, **named: Any) -> Any:
        of = f"{path} on {atoms.get_chemical_formula()}" if isinstance(atoms, Atoms) else path
        return _told(of, calculate, atoms, *arguments, **named)

    return told


def _giving(path: str, get_property: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``get_property`` of a calculator, energies as numbers also where it has them as arrays of one."""

    def given(name: str, *arguments: Any, **named: Any) -> Any:
        try:
            found = get_property(name, *arguments, **named)
        except PropertyNotImplementedError as error:
            if name not in ("energy", "forces"):  # ASE itself asks for others, and goes on without
                raise
            raise ModelError(f"{path} gives no {name}, which this asks for.") from error
        if name not in ("energy", "free_energy") or np.ndim(found) == 0:
            return found
        if np.size(found) != 1:
            raise ModelError(f"{path} gives an {name} of the shape {np.shape(found)}, and it should be one number.")
        return float(np.ravel(found)[0])

    return given


def _told(what: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return call(*arguments, **named)
    except RungError:
        raise
    except Exception as error:  # a user's code raises whatever it likes
        said = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise ModelError(f"{what} failed ({reason}); RUNG_DEBUG=1 shows where.") from error
