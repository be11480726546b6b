"""PySCF: the log of ``verbose = 4``, with geometry, energies from SCF to CCSD(T), RPA and CASSCF, a gradient; Hartree.

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
_MP2 = re.compile(rf"^E\((?:DF)?[RUG]?MP2\) = {_NUMBER}", re.MULTILINE)
_RPA = re.compile(rf"^E\(RPA\) = {_NUMBER}", re.MULTILINE)
_CASSCF = re.compile(rf"^CASSCF energy = {_NUMBER}", re.MULTILINE)
_CASCI = re.compile(rf"^CASCI E = {_NUMBER}", re.MULTILINE)
_NO_ACTIVE = re.compile(r"(CASSCF|CASCI) not converged")
_OTHER = re.compile(
    r"^E\((?!(?:SCS-)?(?:DF)?[RUG]?MP2\)|[RUG]?CCSD\)|[RUG]?CCSD\(T\)|RPA\)|CI\))([^)\n]+)\) =", re.MULTILINE
)
_LATTICE = re.compile(r"^lattice vectors ", re.MULTILINE)
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
    _refuse(path, text)
    energies = _energies(path, text)
    atoms = _atoms(path, text)
    forces_of, forces, notes = _forces(path, text, len(atoms))
    in_ev = {level: HARTREE * energy for level, energy in energies.items()}
    return Total(path, "PySCF", in_ev, atoms, forces, forces_of=forces_of, notes=notes)


_ONCE = (
    (_COUNT, "geometries"),
    (_SCF, "SCF"),
    (_MP2, "MP2"),
    (_CCSD, "CCSD"),
    (_TRIPLES, "CCSD(T)"),
    (_RPA, "RPA"),
    (_CASSCF, "CASSCF"),
)
"""What a log of one calculation holds once."""


def _refuse(path: Path, text: str) -> None:
    """Refuse what is no single calculation of a molecule that rung reads and that came to its end."""
    for pattern, what in _ONCE:
        count = len(pattern.findall(text))
        if count > 1:
            raise DataError(f"{path} holds {count} calculations ({what}); write each into a log of its own.")
    if _LATTICE.search(text):
        raise DataError(f"{path} is of a crystal (pyscf.pbc), which rung does not read; give its energy in a table.")
    if _NO_ACTIVE.search(text):
        raise DataError(f"{path}: its active-space calculation did not converge, so its energy is no label.")
    if _SCF.search(text) is None or _NO_SCF.search(text):
        raise DataError(f"{path}: SCF did not converge, or is going on, so its energy is no label.")
    if other := _OTHER.search(text):
        raise DataError(f"{path} holds an energy of {other[1]}, which rung does not read, and no other is its label.")


def _energies(path: Path, text: str) -> dict[str, float]:
    """Return the energies by level, Hartree, the SCF's first."""
    found = {level: pattern.search(text) for level, pattern in (("scf", _SCF), ("mp2", _MP2), ("rpa", _RPA))}
    energies = {level: float(one[1]) for level, one in found.items() if one is not None}
    if (casscf := _CASSCF.search(text)) is not None:
        energies["casscf"] = float(casscf[1])
    elif casci := _CASCI.findall(text):  # CASSCF says it of its steps, too
        energies["casci"] = float(casci[-1])
    ccsd = _CCSD.search(text)
    if ccsd is None:
        if "CCSD nocc" in text or "Init E_corr(" in text:
            raise DataError(f"{path}: CCSD began and did not end, so the log is of a run that goes on or failed.")
        return energies
    if ccsd[1]:
        raise DataError(f"{path}: CCSD did not converge, so its energy is no label.")
    energies["ccsd"] = float(ccsd[2])
    if (triples := _TRIPLES.search(text)) is not None:
        energies["ccsd(t)"] = energies["ccsd"] + float(triples[1])
    return energies


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
