"""Inputs of other programs from Jinja templates, which see a structure and nothing of this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ConfigError, DataError
from rung.label.electrons import electrons_of, symbol
from rung.label.engine import Subject
from rung.label.packages import package
from rung.units import BOHR, HARTREE

SUFFIXES = (".j2", ".jinja", ".jinja2")


def values_of(subject: Subject, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template sees: the structure, and the user's own variables.

    ``structure_id``, ``fidelity``, ``seed``; ``atoms``, each with ``symbol``, ``number``, ``position`` (Å) and
    ``bohr``; ``cell`` and ``cell_bohr``; ``pbc``; ``charge``, ``multiplicity``, ``n_electrons``; and where an error is
    asked for, ``stderr`` (eV) and ``stderr_hartree``.

    Raises
    ------
    ConfigError
        When a variable is called like one of these.
    """
    atoms = subject.atoms
    electrons = electrons_of(subject.structure_id, atoms)
    values: dict[str, Any] = {
        "structure_id": subject.structure_id,
        "fidelity": subject.fidelity,
        "seed": subject.seed,
        "atoms": [
            {"symbol": symbol(int(number)), "number": int(number), "position": place, "bohr": [x / BOHR for x in place]}
            for number, place in zip(atoms.numbers, atoms.positions.tolist(), strict=True)
        ],
        "cell": atoms.cell.array.tolist(),
        "cell_bohr": (atoms.cell.array / BOHR).tolist(),
        "pbc": atoms.pbc.tolist(),
        "charge": electrons.charge,
        "multiplicity": electrons.multiplicity,
        "n_electrons": int(atoms.numbers.sum()) - electrons.charge,
    }
    if np.isfinite(subject.stderr):
        values |= {"stderr": subject.stderr, "stderr_hartree": subject.stderr / HARTREE}
    if clash := sorted(values.keys() & variables.keys()):
        raise ConfigError(f"A variable of a template is called {clash[0]!r}, which is the structure's own; rename it.")
    return {**values, **variables}


def rendered(template: Path, values: Mapping[str, Any]) -> str:
    """Return the text of a template.

    Raises
    ------
    ConfigError
        When the template uses a name that nobody defines, is no template, or reaches for what it may not.
    DataError
        When it is no text.
    MissingExtraError
        When Jinja is not installed.
    """
    jinja, sandbox = package("jinja2", "templates"), package("jinja2.sandbox", "templates")
    environment = sandbox.SandboxedEnvironment(undefined=jinja.StrictUndefined, keep_trailing_newline=True)
    try:
        return str(environment.from_string(template.read_text(encoding="utf-8")).render(values))
    except (jinja.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise DataError(f"{template} is no text in UTF-8.") from error
        line = getattr(error, "lineno", None)
        where = f"{template}, line {line}" if line else str(template)
        raise ConfigError(f"{where}: {' '.join(str(error).split())}.") from error


def name_of(template: Path) -> str:
    """Return the name of the input that a template makes: its own, without ``.j2``."""
    return template.stem if template.suffix in SUFFIXES else template.name
