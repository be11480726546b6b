"""Charge and multiplicity of a structure: what settings or its file say, and never a guess between two meanings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, ground_state_magnetic_moments

from rung.data.attributes import CHARGES, MOMENTS
from rung.errors import DataError, counted

_WHOLE = 1e-3


@dataclass(frozen=True)
class Electrons:
    """The state of the electrons.

    Parameters
    ----------
    charge
        Of the molecule, in units of the elementary charge.
    multiplicity
        2S + 1.
    """

    charge: int
    multiplicity: int

    @property
    def unpaired(self) -> int:
        """2S."""
        return self.multiplicity - 1


def electrons_of(name: str, atoms: Atoms, charge: int | None = None, multiplicity: int | None = None) -> Electrons:
    """Return the state of the electrons of a molecule.

    Without a word of it, a molecule is neutral and has the lowest multiplicity that its number of electrons allows; a
    single atom has that of its ground state.

    Parameters
    ----------
    name
        What messages call the structure.
    atoms
        ``info`` may hold ``charge`` or ``total_charge`` and ``multiplicity`` or ``spin_multiplicity``; columns may hold
        initial charges and magnetic moments, whose sums count.
    charge, multiplicity
        What settings say; None leaves it to the structure.

    Raises
    ------
    DataError
        When two of these say different things, ``spin`` alone is given, whose meaning differs between programs, or the
        number of electrons does not allow the multiplicity.
    """
    told = _one(name, "charge", charge, atoms.info, ("charge", "total_charge"), _sum(name, atoms, CHARGES))
    total = 0 if told is None else told
    n_electrons = int(atoms.numbers.sum()) - total
    if n_electrons < 1:
        raise DataError(f"{name}: a charge of {total} leaves no electron.")
    moments = _sum(name, atoms, MOMENTS)
    by_moments = None if moments is None else abs(moments) + 1
    told = _one(name, "multiplicity", multiplicity, atoms.info, ("multiplicity", "spin_multiplicity"), by_moments)
    if told is None:
        _require_no_spin(name, atoms.info)
        told = _usual(atoms, total, n_electrons)
    if told < 1 or (n_electrons - (told - 1)) % 2 or told - 1 > n_electrons:
        raise DataError(
            f"{name}: {counted(n_electrons, 'electron does', 'electrons do')} not have the multiplicity {told}; it is "
            f"2S + 1, so {'odd' if n_electrons % 2 == 0 else 'even'} here."
        )
    return Electrons(total, told)


def _usual(atoms: Atoms, charge: int, n_electrons: int) -> int:
    if len(atoms) == 1 and charge == 0:
        return round(ground_state_magnetic_moments[atoms.numbers[0]]) + 1
    return 1 + n_electrons % 2


def _one(
    name: str, what: str, setting: int | None, info: Mapping[str, Any], keys: tuple[str, ...], summed: int | None
) -> int | None:
    """Return the only value that is said; None where nothing is."""
    said = {key: _whole(f"{name}: {key}", info[key]) for key in keys if key in info}
    if setting is not None:
        said["the engine's settings"] = setting
    if summed is not None and not said:
        said["its columns"] = summed
    if len(set(said.values())) > 1:
        listed = ", ".join(f"{value} by {key}" for key, value in said.items())
        raise DataError(f"{name} has more than one {what} ({listed}); say one.")
    return next(iter(said.values()), None)


def _require_no_spin(name: str, info: Mapping[str, Any]) -> None:
    for key in ("spin", "total_spin"):
        if key in info and info[key] != 0:
            raise DataError(
                f"{name} has {key}={info[key]}, which some programs take for S, some for 2S and some for 2S + 1; call "
                "it multiplicity (2S + 1) in the file, or give the multiplicity to the engine."
            )


def _sum(name: str, atoms: Atoms, column: str) -> int | None:
    if column not in atoms.arrays:
        return None
    values = np.asarray(atoms.arrays[column])
    if values.ndim > 1:
        raise DataError(f"{name} has magnetic moments of three directions, which no engine but ase takes.")
    return _whole(f"{name}: the sum of {column}", float(values.sum()))


def _whole(what: str, value: Any) -> int:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or abs(float(value) - round(float(value))) > _WHOLE:
        raise DataError(f"{what} is {value}, and should be a whole number.")
    return round(float(value))


def symbol(number: int) -> str:
    """Return the symbol of an element."""
    return str(chemical_symbols[number])
