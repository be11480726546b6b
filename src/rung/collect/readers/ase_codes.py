"""VASP, Quantum ESPRESSO, GPAW and ORCA, whose outputs ASE reads: the last geometry with its energy.

ASE reads what a calculation that failed leaves, too. So each code has words here that say that it came to its end and
converged, and without them an output is refused.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import create_units

from rung.collect.output import Total
from rung.collect.readers.reader import OutputReader
from rung.collect.readers.rows import text_of
from rung.data.labels import Array
from rung.data.readers.ase import frames_through_ase
from rung.errors import DataError
from rung.units import HARTREE

_SAME = 1.0
_HEAD = 8192
"""Bytes in which the mark of a code stands."""


@dataclass(frozen=True)
class _Code:
    """What tells whether an output of one code can be used.

    Parameters
    ----------
    program
        Its name.
    form
        What ASE calls the format.
    mark
        What stands at the beginning of its outputs.
    ended
        A pattern without which the run did not end.
    unconverged
        Returns why the last energy did not converge, from the text; empty where it did.
    scale
        By what ASE's energies, forces and stress are multiplied, where it takes another Hartree than CODATA 2014.
    strange
        Returns what an output holds besides the energy that ASE reads, so that this is no label; empty if nothing.
    energy
        Returns the last energy, eV, from the text, where ASE reads another one; None where it does not.
    """

    program: str
    form: str
    mark: bytes
    ended: re.Pattern[str]
    unconverged: Callable[[str], str]
    scale: float = _SAME
    strange: Callable[[str], str] = lambda _: ""
    energy: Callable[[str], float | None] = lambda _: None

    def read(self, path: Path) -> Total:
        """Read an output.

        Raises
        ------
        DataError
            When it did not end or converge, or ASE cannot read it.
        """
        text = text_of(path)
        if self.ended.search(text) is None:
            raise DataError(f"{path}: {self.program} did not come to its end; the run is going on, or it failed.")
        why = self.unconverged(text)
        if why:
            raise DataError(f"{path}: {self.program} did not converge ({why}), so its energy is no label.")
        if strange := self.strange(text):
            raise DataError(f"{path}: {self.program} {strange}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE's own of ORCA's gradients names no file and is wrong
            frames = frames_through_ase(path, path.absolute(), format=self.form, do_not_split_by_at_sign=True)
        if not frames:
            raise DataError(f"{path}: ASE finds no calculation in this output of {self.program}.")
        atoms = frames[-1]
        results = dict(atoms.calc.results) if atoms.calc is not None else {}
        energy = self.energy(text)
        if energy is None:
            energy = self.scale * float(results.get("energy", np.nan))
        if not np.isfinite(energy):
            raise DataError(f"{path}: ASE finds no energy in this output of {self.program}.")
        plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        scaled = {
            name: self.scale * np.asarray(results[name], float) for name in ("forces", "stress") if name in results
        }
        return Total(
            path,
            self.program,
            {"total": energy},
            plain,
            _finite(scaled.get("forces")),
            _finite(scaled.get("stress")),
        )


def _finite(values: Array | None) -> Array | None:
    return values if values is not None and np.isfinite(values).all() else None


def _unless(pattern: str, why: str) -> Callable[[str], str]:
    found = re.compile(pattern)
    return lambda text: "" if found.search(text) else why


def _if(pattern: str, why: str) -> Callable[[str], str]:
    found = re.compile(pattern)
    return lambda text: why if found.search(text) else ""


def _vasp_steps(text: str) -> str:
    """Return whether the last ionic step of a vasprun.xml took as many electronic steps as it was allowed."""
    most = re.search(r'<i type="int" name="NELM">\s*(\d+)', text)
    last = text.rpartition("<calculation>")[2]
    taken = last.count("<scstep>")
    return f"{taken} electronic steps of {most[1]}" if most and taken >= int(most[1]) else ""


def _outcar_loop(text: str) -> str:
    """Return whether the electronic loop of the last ionic step of an OUTCAR ended before EDIFF was reached.

    VASP 5 says that EDIFF is reached also where the loop ended because it had taken NELM steps.
    """
    last = re.split(r"Iteration\s+\d+\(\s*1\)", text)[-1]
    if "aborting loop because EDIFF is reached" not in last:
        return "EDIFF was not reached"
    most = re.search(r"NELM\s*=\s*(\d+)", text)
    taken = max([1, *map(int, re.findall(r"Iteration\s+\d+\(\s*(\d+)\)", last))])
    return f"{taken} electronic steps of {most[1]}" if most and taken >= int(most[1]) else ""


def _espresso_energy(text: str) -> float | None:
    """Return the last total energy, eV: that of a hybrid is marked by !! and follows one without exact exchange."""
    found = re.findall(r"(?m)^!!?\s+total energy\s+=\s+(-?\d+\.\d+)\s+Ry", text)
    return float(found[-1]) * HARTREE / 2.0 if found else None


_WITH_EXCHANGE = re.compile(r"(?m)^!!\s+total energy")


def _espresso_strange(text: str) -> str:
    if _WITH_EXCHANGE.search(text) or not re.search(r"EXX-fraction|est\. exchange err|EXX: now go back", text):
        return ""
    return "is of a hybrid functional, and its energy with exact exchange (!!) is not there"


def _orca_jobs(text: str) -> str:
    jobs = set(re.findall(r"\$+\s+JOB NUMBER\s+(\d+)", text))
    return f"holds {len(jobs)} jobs; write each calculation into a file of its own" if len(jobs) > 1 else ""


_RPA = r"HF\+RPA corr\. energy|RPA total energy|ALGO\s*=\s*ACFDT"
"""What outputs say that hold an energy of the random-phase approximation beside that of the functional."""

_NOT_RPA = _if(_RPA, "holds an RPA energy, which rung does not read, and no other is its label; give it in a table")

_ESPRESSO_RYDBERG = float(create_units("2006")["Rydberg"])
"""eV: what ASE's reader of Quantum ESPRESSO multiplies by (ase/io/espresso.py), of CODATA 2006."""

VASP_XML = _Code("VASP", "vasp-xml", b"<modeling>", re.compile(r"</modeling>\s*$"), _vasp_steps, strange=_NOT_RPA)
OUTCAR = _Code(
    "VASP",
    "vasp-out",
    b"\n executed on ",
    re.compile(r"General timing and accounting informations"),
    _outcar_loop,
    strange=_NOT_RPA,
)
ESPRESSO = _Code(
    "Quantum ESPRESSO",
    "espresso-out",
    b"Program PWSCF",
    re.compile(r"JOB DONE\."),
    _if(r"convergence NOT achieved", "convergence was not achieved"),
    HARTREE / (2.0 * _ESPRESSO_RYDBERG),
    _espresso_strange,
    _espresso_energy,
)
GPAW = _Code(
    "GPAW",
    "gpaw-out",
    b"  ___ ___ ___ _ _ _",
    re.compile(r"(?m)^Total:\s+[\d.]+ 100\.0%"),
    _unless(r"Converged after", "its SCF cycle"),
)
ORCA = _Code(
    "ORCA",
    "orca-output",
    b"* O   R   C   A *",
    re.compile(r"ORCA TERMINATED NORMALLY"),
    _if(r"SCF NOT CONVERGED|did not converge|not fully converged", "its SCF or correlation"),
    strange=_orca_jobs,
)


def misread(path: Path) -> str:
    """Return why the energy that ASE reads from a file is not that of its level; empty where nothing says so.

    Of a hybrid functional of Quantum ESPRESSO ASE takes the energy without exact exchange.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for code in (VASP_XML, OUTCAR, ESPRESSO, ORCA):
        if code.mark in head:
            text = text_of(path)
            hybrid = code is ESPRESSO and _WITH_EXCHANGE.search(text)
            return code.strange(text) or ("is of a hybrid, of which ASE takes another energy" if hybrid else "")
    return ""


def _reader(code: _Code, kind: str, *suffixes: str) -> OutputReader:
    return OutputReader(kind, suffixes, lambda _, head: code.mark in head, code.read)


READERS = (
    _reader(VASP_XML, "VASP vasprun.xml", "vasprun.xml"),
    _reader(OUTCAR, "VASP OUTCAR", "OUTCAR"),
    _reader(ESPRESSO, "Quantum ESPRESSO output"),
    _reader(GPAW, "GPAW output"),
    _reader(ORCA, "ORCA output"),
)
