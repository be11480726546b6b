"""CP2K: ``ENERGY| Total FORCE_EVAL``, Hartree, with coordinates in Å and forces in Hartree/bohr, before 2025 and since.

The vectors of the cell have three decimals, which is enough to recognise a structure. Whether RPA totals stand in that
line was not seen.
"""

import re
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.collect.output import Total
from rung.collect.readers.levels import energies_by_level, require
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.units import BOHR, HARTREE

_NUMBER = r"(-?\d+\.\d+(?:E[+-]\d+)?)"
_ENDED = re.compile(r"PROGRAM ENDED AT")
_FAILED = re.compile(r"SCF run NOT converged", re.IGNORECASE)
_ENERGY = re.compile(
    rf"^ ENERGY\| Total FORCE_EVAL \( \w+ \) energy [\[(](?:a\.u\.|hartree)[\])]:? +{_NUMBER}", re.MULTILINE
)
_VECTOR = re.compile(rf"^ CELL\| Vector [abc] \[angstrom\]: +{_NUMBER} +{_NUMBER} +{_NUMBER}", re.MULTILINE)
_BLOCK = re.compile(
    r"ATOMIC COORDINATES IN angstrom\n\n +Atom +Kind.*\n\n?((?: +\d+ +\d+ +[A-Z][a-z]? +\d+(?: +-?\d+\.\d+){3} .*\n)+)"
)
_FORCES_BEGUN = re.compile(r"ATOMIC FORCES in|FORCES\| Atomic forces")
_OLD_FORCES = re.compile(r"ATOMIC FORCES in \[a\.u\.\]\n\n # Atom.*\n((?: +\d+ +\d+ +\S+(?: +-?\d+\.\d+){3} *\n)+)")
_NEW_FORCE = re.compile(rf"^ FORCES\| +\d+ +{_NUMBER} +{_NUMBER} +{_NUMBER} +\S+ *$", re.MULTILINE)


def read(path: Path) -> Total:
    """Read the output of a single calculation.

    Raises
    ------
    DataError
        When it did not end or converge, or holds several geometries.
    """
    text = text_of(path)
    require(path, text, _ENDED, "CP2K did not come to its end; the run is going on, or it failed.")
    if _FAILED.search(text):
        raise DataError(f"{path}: SCF of CP2K did not converge, so its energy is no label.")
    atoms = _atoms(path, text)
    energies = energies_by_level(path, [("total", energy) for energy in _ENERGY.findall(text)])
    return Total(path, "CP2K", energies, atoms, _forces(path, text, len(atoms)))


def _atoms(path: Path, text: str) -> Atoms:
    blocks, vectors = _BLOCK.findall(text), _VECTOR.findall(text)
    if len(set(blocks)) != 1 or len(vectors) < 3:
        raise DataError(
            f"{path} holds {counted(len(blocks), 'geometry', 'geometries')} and {counted(len(vectors), 'vector')} of "
            "cells, not one and three."
        )
    rows = [line.split() for line in blocks[0].splitlines()]
    # with a pseudopotential the charge is not the element: the element's number stands beside its symbol
    numbers = [int(words[3]) for words in rows]
    positions = [[float(word) for word in words[4:7]] for words in rows]
    return Atoms(numbers, positions=positions, cell=np.array(vectors[:3], dtype=float), pbc=True)


def _forces(path: Path, text: str, n_atoms: int) -> Array | None:
    blocks = _OLD_FORCES.findall(text)
    rows = [line.split()[3:6] for line in blocks[-1].splitlines()] if blocks else _NEW_FORCE.findall(text)
    if not rows and _FORCES_BEGUN.search(text) is None:
        return None
    if len(rows) != n_atoms:
        raise DataError(f"{path}: its forces are not whole.")
    return HARTREE / BOHR * np.array(rows, dtype=float)


READER = OutputReader(
    kind="CP2K output",
    suffixes=(),
    recognises=lambda _, head: b"CP2K| version string:" in head or b"PROGRAM STARTED AT  " in head,
    read=read,
)
