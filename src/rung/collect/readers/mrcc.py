"""MRCC: ``Total CCSD(T) energy [au]``, and ``***FINAL HARTREE-FOCK ENERGY``; Hartree.

A level is what stands after ``Total``, in small letters; ``+mp2`` where local methods add their MP2 correction. How
MRCC prints a geometry was not seen, so none is read.
"""

import re
from pathlib import Path

from rung.collect.output import Total
from rung.collect.readers.levels import NUMBER, energies_by_level, require
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of

_ENDED = re.compile(r"Normal termination of mrcc\.")
_CONVERGED = re.compile(r"THE SCF ITERATION HAS CONVERGED")
_SCF = re.compile(rf"\*\*\*FINAL (?:HARTREE-FOCK|KOHN-SHAM) ENERGY: +{NUMBER} \[AU\]")
_ENERGY = re.compile(rf"^ Total (\S+) energy( with MP2 corrections)? \[au\]: +{NUMBER}", re.MULTILINE)


def read(path: Path) -> Total:
    """Read an output.

    Raises
    ------
    DataError
        When it did not end or converge, or holds several calculations.
    """
    text = text_of(path)
    require(path, text, _ENDED, "MRCC did not come to its end; the run is going on, or it failed.")
    require(path, text, _CONVERGED, "SCF of MRCC did not converge, so its energy is no label.")
    found = [("scf", energy) for energy in _SCF.findall(text)]
    found += [(level + ("+mp2" if corrected else ""), energy) for level, corrected, energy in _ENERGY.findall(text)]
    return Total(path, "MRCC", energies_by_level(path, found))


READER = OutputReader(
    kind="MRCC output",
    suffixes=(),
    recognises=lambda _, head: b"MRCC program system" in head or b"***FINAL HARTREE-FOCK ENERGY" in head,
    read=read,
)
