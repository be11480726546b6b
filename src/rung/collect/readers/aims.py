"""FHI-aims: ``Total energy uncorrected``, in eV by a Hartree of its own, with geometry (Å) and forces (eV/Å).

FHI-aims takes 27.2113845 eV for a Hartree (CODATA 2002), as the two numbers of its lines ``| Total energy`` show. The
energy that it calls corrected is extrapolated to no smearing, and it says itself to rely on that for metals alone.
"""

import re
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.collect.output import Total
from rung.collect.readers.levels import require
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.units import HARTREE

AIMS_HARTREE = 27.2113845
"""eV."""

_NUMBER = r"(-?\d+\.\d+(?:E[+-]\d+)?)"
_THREE = rf"{_NUMBER} +{_NUMBER} +{_NUMBER}"
_ENDED = re.compile(r"Have a nice day\.")
_CONVERGED = re.compile(r"Self-consistency cycle converged\.")
_BEYOND = re.compile(r"(RPA|MP2|rPT2)[ \w/()+-]*total energy", re.IGNORECASE)
_ENERGY = re.compile(rf"^ +\| Total energy uncorrected +: +{_NUMBER} eV", re.MULTILINE)
_CELL = re.compile(rf"^ +\| Unit cell:.*\n +\| +{_THREE} *\n +\| +{_THREE} *\n +\| +{_THREE}", re.MULTILINE)
_ATOM = re.compile(rf"^ +\| +\d+: Species (\S+) +{_THREE} *$", re.MULTILINE)
_FORCES = re.compile(
    r"^ +Total atomic forces .*\[eV/Ang\]:\n((?: +\| +\d+(?: +-?\d+\.\d+(?:E[+-]\d+)?){3} *\n)+)", re.MULTILINE
)
_FORCES_BEGUN = re.compile(r"^ +Total atomic forces ", re.MULTILINE)


def read(path: Path) -> Total:
    """Read the output of a single calculation.

    Raises
    ------
    DataError
        When it did not end or converge, or holds several geometries.
    """
    text = text_of(path)
    require(path, text, _ENDED, "FHI-aims did not come to its end; the run is going on, or it failed.")
    require(path, text, _CONVERGED, "FHI-aims did not converge, so its energy is no label.")
    if _BEYOND.search(text):
        raise DataError(f"{path} holds an RPA or MP2 energy, which rung does not read; give it in a table.")
    energies = _ENERGY.findall(text)
    if len(energies) != 1:
        raise DataError(
            f"{path} holds {counted(len(energies), 'energy', 'energies')}, not one; write each calculation into a file "
            "of its own."
        )
    scale = HARTREE / AIMS_HARTREE
    atoms = _atoms(path, text)
    return Total(path, "FHI-aims", {"total": scale * float(energies[0])}, atoms, _forces(path, text, len(atoms), scale))


def _atoms(path: Path, text: str) -> Atoms:
    rows, cell = _ATOM.findall(text), _CELL.search(text)
    if not rows:
        raise DataError(f"{path} does not hold its geometry.")
    try:
        atoms = Atoms(
            [symbol for symbol, *_ in rows], positions=[[float(word) for word in place] for _, *place in rows]
        )
    except KeyError as error:
        raise DataError(f"{path}: its geometry holds {error}, which is no element.") from error
    if cell is not None:
        atoms.set_cell(np.array(cell.groups(), dtype=float).reshape(3, 3))
        atoms.set_pbc(True)
    return atoms


def _forces(path: Path, text: str, n_atoms: int, scale: float) -> Array | None:
    if _FORCES_BEGUN.search(text) is None:
        return None
    blocks = _FORCES.findall(text)
    rows = [line.split()[2:5] for line in blocks[-1].splitlines()] if blocks else []
    if len(rows) != n_atoms:
        raise DataError(f"{path}: its forces are not whole.")
    return scale * np.array(rows, dtype=float)


READER = OutputReader(
    kind="FHI-aims output", suffixes=(), recognises=lambda _, head: b"Invoking FHI-aims ..." in head, read=read
)
