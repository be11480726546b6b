"""Molpro: ``!CCSD(T) total energy``, before 2012 ``!CCSD(T) STATE 1.1 ENERGY``, in Hartree; the geometry in bohr.

A level is what stands in front, in small letters; RHF, UHF, RKS and UKS are ``scf``.
"""

import re
from pathlib import Path

from rung.collect.output import Total
from rung.collect.readers.levels import NUMBER, atoms_in_bohr, energies_by_level, require
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.errors import DataError

_ENDED = re.compile(r"^ (?:Molpro calculation terminated|Variable memory released)", re.MULTILINE)
_FAILED = re.compile(r"no convergence|not converged", re.IGNORECASE)
_ENERGY = re.compile(rf"^ [ !](\S+) (?:total energy|STATE +1\.1 (?:ENERGY|Energy)) +{NUMBER} *$", re.MULTILINE)
_SCF = {"RHF", "UHF", "RKS", "UKS"}
_GEOMETRY = re.compile(r"^ ATOMIC COORDINATES\n\n.*\n\n((?: +\d+ +\S+ +[\d.]+(?: +-?\d+\.\d+){3} *\n)+)", re.MULTILINE)


def read(path: Path) -> Total:
    """Read an output.

    Raises
    ------
    DataError
        When it did not end or converge, or holds several geometries or states.
    """
    text = text_of(path)
    require(path, text, _ENDED, "Molpro did not come to its end; the run is going on, or it failed.")
    if _FAILED.search(text):
        raise DataError(f"{path}: Molpro did not converge, so its energy is no label.")
    found = [("scf" if level in _SCF else level, energy) for level, energy in _ENERGY.findall(text)]
    geometries = _GEOMETRY.findall(text)
    if len(set(geometries)) > 1:
        raise DataError(f"{path} holds {len(geometries)} geometries; write each calculation into a file of its own.")
    rows = [tuple(line.split()) for line in geometries[0].splitlines()] if geometries else []
    atoms = atoms_in_bohr(path, [(label, *place) for _, label, _, *place in rows])
    return Total(path, "Molpro", energies_by_level(path, found), atoms)


READER = OutputReader(
    kind="Molpro output", suffixes=(), recognises=lambda _, head: b"PROGRAM SYSTEM MOLPRO" in head, read=read
)
