"""The electrons' state that frames speak of: charge, spin and multiplicity, under any of their keys."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.attributes import CHARGES, is_usual, unusual
from rung.data.labels import Array
from rung.data.readers.structures import reading_of
from rung.data.structure import Structure
from rung.errors import DataError

STATES = "states"
"""Entry of a checkpoint's metadata: :func:`common_states` of the labels."""

SPELLINGS = {
    "charge": ("charge", "total_charge"),
    "spin": ("spin", "total_spin"),
    "multiplicity": ("multiplicity", "spin_multiplicity"),
}
"""Keys of ``info`` that say one thing of the state, by what a sentence calls it."""

WHOLE = 0.1
"""e: charges of single atoms that add up to no whole number within it are of a model of the density, and no state."""


def said_of(structure: Structure, name: str) -> Any:
    """Return what a structure says of its charge, spin or multiplicity; None where it says nothing."""
    return _said(structure.info, reading_of(structure).columns.get(CHARGES), name)


def state_in(atoms: Atoms) -> dict[str, str]:
    """Return what ``atoms`` says of its state beyond a neutral singlet, by name; empty where nothing."""
    return _unusual({name: _said(atoms.info, atoms.arrays.get(CHARGES), name) for name in SPELLINGS})


def unusual_state(structure: Structure) -> dict[str, str]:
    """Return what a structure says of its state beyond a neutral singlet, by name; empty where nothing."""
    return _unusual({name: said_of(structure, name) for name in SPELLINGS})


def common_states(structures: Iterable[Structure]) -> dict[str, dict[str, str]]:
    """Return the state of each composition whose structures are all of one charge or open shell, by formula."""
    found: dict[str, dict[str, str]] = {}
    mixed = set()
    for structure in structures:
        state = unusual_state(structure)
        if found.setdefault(structure.formula, state) != state:
            mixed.add(structure.formula)
    return {formula: state for formula, state in found.items() if state and formula not in mixed}


def refuse_strange_states(named: Iterable[tuple[str, Atoms]], metadata: Mapping[str, object], source: str) -> None:
    """Refuse structures with a charge, a spin or magnetic moments of which a model that sees geometries knows nothing.

    Parameters
    ----------
    named
        What a sentence calls each structure, and the structure with all that its file says.
    metadata
        Of the model: the state that all labels of a composition had is taken.
    source
        What the model is called.

    Raises
    ------
    DataError
        Names what the structure has.
    """
    states = metadata.get(STATES)
    for name, atoms in named:
        if not (said := unusual(atoms)):
            continue
        known = states.get(atoms.get_chemical_formula(mode="hill")) if isinstance(states, Mapping) else None
        if isinstance(known, Mapping) and known and state_in(atoms) == known:
            continue
        words = ", ".join(f"{what} {value}" for what, value in known.items()) if isinstance(known, Mapping) else ""
        raise DataError(
            f"{name} has {said}, and {source} sees geometries alone: its one surface is that of its "
            + (f"labels, of {words}." if words else "labels.")
            + " If these were of that state, say --ignore-state, or take it out of the file."
        )


def as_text(value: Any) -> str:
    """Return a value as text, alike for 1, 1.0 and the text 1."""
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)


def _unusual(said: Mapping[str, Any]) -> dict[str, str]:
    return {name: as_text(value) for name, value in said.items() if value is not None and not is_usual(name, value)}


def _said(info: Mapping[str, Any], charges: Array | None, name: str) -> Any:
    for key in SPELLINGS[name]:
        if key in info:
            return info[key]
    if name != "charge" or charges is None:
        return None
    total = float(np.sum(charges))
    whole = np.rint(total) + 0.0  # no -0
    return whole if abs(total - whole) < WHOLE else None
