"""Any calculator of ASE, by the path that it is imported from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase.calculators.calculator import CalculatorError, PropertyNotImplementedError
from pydantic import Field, JsonValue

from rung.data.attributes import state_of
from rung.errors import ConfigError, DataError, LabelError, UnconvergedError, UntrustedError
from rung.importing import imported
from rung.label.engine import Engine, Made, Subject
from rung.settings import Settings

_FOLDER = "{folder}"


class AseEngine(Settings):
    """Make labels with a calculator of ASE. It runs the class or function that you name."""

    name: Literal["ase"] = "ase"
    calculator: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """package.module:Class, such as tblite.ase:TBLite; it is called with the arguments. Python finds a module of
    yours where its folder is on PYTHONPATH."""
    arguments: dict[str, JsonValue] = Field(default={})
    """What it is called with, by name; {folder} within a text is the folder of the structure."""
    trusted: bool = False
    """That module runs code: you know where it comes from."""
    forces: bool = True
    """Whether forces are labels too; a calculator that has none gives energies."""
    stress: bool = False
    """Whether the stress of a periodic cell is a label too."""
    reads_state: bool = False
    """The calculator reads charge and spin from info; most of ASE read initial charges and magnetic moments."""
    energy_stderr: float | None = Field(default=None, gt=0)
    """The error of each energy, eV, as far as its settings converge it; by default labels carry none."""


def label(subject: Subject, settings: AseEngine, folder: Path) -> Made:
    """Return energy and forces of one structure.

    Raises
    ------
    UnconvergedError
        When the calculator says that it failed, or gives numbers that are not finite.
    DataError
        When the structure has a state of its electrons that the calculator may not read.
    """
    state = {key: value for key, value in state_of(subject.atoms).items() if value not in (0, 1)}
    if state and not settings.reads_state:
        said = ", ".join(f"{key}={value}" for key, value in state.items())
        raise DataError(
            f"{subject.structure_id} has {said} in its comment line, which most calculators of ASE do not read; say "
            "reads_state: true if this one does, or give initial_charges and initial_magmoms in its columns."
        )
    atoms = subject.atoms.copy()
    atoms.calc = _calculator(settings, folder)
    try:
        energy = float(atoms.get_potential_energy())
        forces = _optional(atoms.get_forces) if settings.forces else None
        stress = _optional(atoms.get_stress) if settings.stress and atoms.pbc.all() else None
    except CalculatorError as error:
        raise UnconvergedError(f"{settings.calculator} failed: {_reason(error)}.") from error
    if getattr(atoms.calc, "converged", None) is False:
        raise UnconvergedError(f"{settings.calculator} says that it did not converge.")
    for name, value in (("energy", energy), ("forces", forces), ("stress", stress)):
        if value is not None and not np.isfinite(value).all():
            raise UnconvergedError(f"{settings.calculator} gave {name} that are not finite.")
    stderr = float("nan") if settings.energy_stderr is None else settings.energy_stderr
    return Made(energy, settings.calculator, _method(settings.arguments), stderr, forces, stress)


def _optional(quantity: Any) -> Any:
    try:
        return np.asarray(quantity(), dtype=float)
    except (PropertyNotImplementedError, NotImplementedError):
        return None  # ASE says so where a calculator has none


def _reason(error: Exception) -> str:
    """Return what an error says; ASE has some that put their text in quotes."""
    words = " ".join(str(error.args[0] if error.args else error).split())
    return words.rstrip(".") or type(error).__name__


def _method(arguments: Mapping[str, JsonValue]) -> str:
    """Return the arguments that are words, which name the level of theory in most calculators."""
    words = (value for key, value in arguments.items() if isinstance(value, str) and _FOLDER not in value)
    return " ".join(words) or "unknown"


def _calculator(settings: AseEngine, folder: Path) -> Any:
    def placed(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return value.replace(_FOLDER, str(folder))
        if isinstance(value, dict):
            return {key: placed(one) for key, one in value.items()}
        return [placed(one) for one in value] if isinstance(value, list) else value

    arguments = {key: placed(value) for key, value in settings.arguments.items()}
    try:
        calculator = imported(settings.calculator)(**arguments)
    except TypeError as error:
        raise ConfigError(f"{settings.calculator} does not take these arguments ({error}).") from error
    if not hasattr(calculator, "get_potential_energy"):
        raise LabelError(f"{settings.calculator} gave a {type(calculator).__name__} and no calculator of ASE.")
    if hasattr(calculator, "directory"):
        calculator.directory = str(folder / "calculation")  # programs write files where they are told to
    return calculator


def _check(settings: AseEngine) -> None:
    if not settings.trusted:
        raise UntrustedError(
            f"{settings.calculator} runs code of that module: say trusted: true if you know where it comes from."
        )
    imported(settings.calculator)


ENGINE = Engine(AseEngine, label, _check, power=lambda _: 3.0)
