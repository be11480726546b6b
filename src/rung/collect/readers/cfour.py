"""CFOUR: ``The final electronic energy is``, in Hartree, of whatever method was asked for; the geometry in bohr."""

import re
from pathlib import Path

from rung.collect.output import Total
from rung.collect.readers.levels import NUMBER, atoms_in_bohr, energies_by_level
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.errors import DataError

_ENERGY = re.compile(rf"The final electronic energy is +{NUMBER} +a\.u\.")
_FAILED = re.compile(r"finished with status +[1-9]|did not converge", re.IGNORECASE)
_GEOMETRY = re.compile(r"Coordinates \(in bohr\)\n.*\n *-+\n((?: +[A-Z]+ +\d+(?: +-?\d+\.\d+){3} *\n)+) *-+")


def read(path: Path) -> Total:
    """Read an output.

    Raises
    ------
    DataError
        When it did not end, or holds several geometries.
    """
    text = text_of(path)
    if _FAILED.search(text):
        raise DataError(f"{path}: a part of CFOUR failed or did not converge, so its energy is no label.")
    energies = _ENERGY.findall(text)
    if not energies:
        raise DataError(f"{path}: CFOUR did not come to its end; the run is going on, or it failed.")
    blocks = _GEOMETRY.findall(text)
    rows = [tuple(line.split()) for line in blocks[0].splitlines()] if blocks else []
    atoms = atoms_in_bohr(path, [(label, *place) for label, _, *place in rows])
    return Total(path, "CFOUR", energies_by_level(path, [("total", energy) for energy in energies]), atoms)


READER = OutputReader(
    kind="CFOUR output",
    suffixes=(),
    recognises=lambda _, head: b"* CFOUR Coupled-Cluster techniques" in head,
    read=read,
)
