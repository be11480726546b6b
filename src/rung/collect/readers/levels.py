"""What readers of coupled-cluster programs share: energies by level, each once, and a geometry in bohr."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.errors import DataError
from rung.units import BOHR, HARTREE

NUMBER = r"(-?\d+\.\d+)"
"""A number in Hartree or bohr, as these programs print it."""


def energies_by_level(path: Path, found: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return energies in eV by the names of their levels, in small letters, in the order of the file.

    Parameters
    ----------
    path
        What messages call the file.
    found
        Each level with its energy in Hartree, as the file has it.

    Raises
    ------
    DataError
        When there is none, or one level has two energies: the file is of several geometries or states.
    """
    energies: dict[str, float] = {}
    for name, text in found:
        level, energy = name.lower(), HARTREE * float(text)
        if energies.setdefault(level, energy) != energy:
            raise DataError(
                f"{path} holds several energies of {level}, of other geometries or states; write each calculation "
                "into a file of its own."
            )
    if not energies:
        raise DataError(f"{path} holds no energy.")
    return energies


def atoms_in_bohr(path: Path, rows: Sequence[tuple[str, ...]]) -> Atoms:
    """Return a molecule of rows of a label (``H1``) and three coordinates in bohr.

    Raises
    ------
    DataError
        When there is no row, or a label is no element.
    """
    if not rows:
        raise DataError(f"{path} does not hold its geometry.")
    symbols = [re.sub(r"[^A-Za-z].*", "", label).capitalize() for label, *_ in rows]
    positions = BOHR * np.array([[float(word) for word in words] for _, *words in rows])
    try:
        return Atoms(symbols, positions=positions)
    except KeyError as error:
        raise DataError(f"{path}: its geometry holds {error}, which is no element.") from error


def require(path: Path, text: str, pattern: re.Pattern[str], what: str) -> None:
    """Raise a :class:`DataError` where ``pattern`` is not in ``text``."""
    if pattern.search(text) is None:
        raise DataError(f"{path}: {what}")
