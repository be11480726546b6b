"""PySCF: the log of ``verbose = 4``, with geometry, SCF, MP2, CCSD and CCSD(T) energies and a gradient; Hartree.

An energy enters where the log says that it converged. Forces are less the gradient, of the level that it is headed
with. A log of several calculations says nothing of which geometry an energy belongs to, and is refused.
"""

import re
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.collect.output import Total
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.data.labels import Array
from rung.errors import DataError
from rung.units import BOHR, HARTREE

_NUMBER = r"(-?\d+\.\d+(?:[eE][+-]?\d+)?|-?\d+)"
_COUNT = re.compile(r"^\[INPUT\] num\. atoms = (\d+)", re.MULTILINE)
_ATOM = re.compile(rf"^\[INPUT\]\s+\d+ (\S+)\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER} AA ", re.MULTILINE)
_SCF = re.compile(rf"^converged SCF energy = {_NUMBER}", re.MULTILINE)
_NO_SCF = re.compile(r"^SCF not converged", re.MULTILINE)
_MP2 = re.compile(rf"^E\([RUG]?MP2\) = {_NUMBER}", re.MULTILINE)
_CCSD = re.compile(rf"^[RUG]?CCSD (not )?converged\nE\([RUG]?CCSD\) = {_NUMBER}", re.MULTILINE)
_TRIPLES = re.compile(rf"^[RUG]?CCSD\(T\) correction = {_NUMBER}", re.MULTILINE)
_BEGUN = re.compile(r"^-+ (.+) gradients -+$", re.MULTILINE)
_GRADIENT = re.compile(rf"^-+ .+ gradients -+\n.*\n((?:\d+ \S+(?: +{_NUMBER}){{3}}\n)+)-+$", re.MULTILINE)
_GRADIENTS_OF = {
    "scf": re.compile(r"\w*(HF|KS)"),
    "mp2": re.compile(r"\w*MP2"),
    "ccsd": re.compile(r"\w*CCSD"),
}
"""The level of a gradient, by the class that PySCF heads it with: RKS, DFUHF, CCSD."""


def read(path: Path) -> Total:
    """Read a log.

    Raises
    ------
    DataError
        When something in it did not converge or did not end, or when it holds several calculations.
    """
    text = text_of(path)
    for pattern, what in ((_COUNT, "geometries"), (_SCF, "SCF"), (_MP2, "MP2"), (_CCSD, "CCSD"), (_TRIPLES, "CCSD(T)")):
        count = len(pattern.findall(text))
        if count > 1:
            raise DataError(f"{path} holds {count} calculations ({what}); write each into a log of its own.")
    scf, ccsd = _SCF.search(text), _CCSD.search(text)
    if scf is None or _NO_SCF.search(text):
        raise DataError(f"{path}: SCF did not converge, or is going on, so its energy is no label.")
    if ccsd is not None and ccsd[1]:
        raise DataError(f"{path}: CCSD did not converge, so its energy is no label.")
    energies = {"scf": float(scf[1])}
    if (mp2 := _MP2.search(text)) is not None:
        energies["mp2"] = float(mp2[1])
    if ccsd is not None:
        energies["ccsd"] = float(ccsd[2])
    elif "CCSD nocc" in text or "Init E_corr(" in text:
        raise DataError(f"{path}: CCSD began and did not end, so the log is of a run that goes on or failed.")
    if (triples := _TRIPLES.search(text)) is not None and ccsd is not None:
        energies["ccsd(t)"] = energies["ccsd"] + float(triples[1])
    atoms = _atoms(path, text)
    forces_of, forces, notes = _forces(path, text, len(atoms))
    in_ev = {level: HARTREE * energy for level, energy in energies.items()}
    return Total(path, "PySCF", in_ev, atoms, forces, forces_of=forces_of, notes=notes)


def _atoms(path: Path, text: str) -> Atoms:
    count, rows = _COUNT.search(text), _ATOM.findall(text)
    if count is None or len(rows) != int(count[1]):
        raise DataError(f"{path} does not hold its geometry; run PySCF with verbose = 4 or more, on a molecule.")
    # PySCF tells atoms of one element apart by digits: H1, H2
    symbols = [re.sub(r"[^A-Za-z].*", "", symbol).capitalize() for symbol, *_ in rows]
    try:
        return Atoms(symbols, positions=[[float(word) for word in words] for _, *words in rows])
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: its geometry cannot be read ({error}).") from error


def _forces(path: Path, text: str, n_atoms: int) -> tuple[str, Array | None, tuple[str, ...]]:
    """Return the level of the forces, the forces, and a note where no heading tells the level, as of CASSCF."""
    begun = _BEGUN.findall(text)
    if not begun:
        return "", None, ()
    if len(begun) > 1:
        raise DataError(f"{path} holds {len(begun)} gradients; write each calculation into a log of its own.")
    levels = [level for level, heading in _GRADIENTS_OF.items() if heading.fullmatch(begun[0])]
    if not levels or (levels == ["ccsd"] and _TRIPLES.search(text)):  # PySCF heads that of CCSD(T) so, too
        return "", None, ("its gradient is left out: the log does not say of which level it is",)
    block = _GRADIENT.search(text)
    rows = [line.split()[2:5] for line in block[1].splitlines()] if block else []
    if len(rows) != n_atoms:
        raise DataError(f"{path}: its gradient is not whole.")
    gradient = np.array(rows, dtype=float)
    return levels[0], -gradient * HARTREE / BOHR, ()


READER = OutputReader(
    kind="PySCF log",
    suffixes=(),
    recognises=lambda _, head: b"\nPySCF version " in head or (head.startswith(b"PySCF version ")),
    read=read,
)
