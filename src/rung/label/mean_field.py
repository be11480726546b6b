"""A molecule and its self-consistent field in PySCF, which the engines ``pyscf`` and ``pyqmc`` begin with."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
from ase import Atoms
from pydantic import Field

from rung.errors import ConfigError, DataError, UnconvergedError, counted
from rung.label.electrons import Electrons, symbol
from rung.label.packages import package
from rung.settings import Settings
from rung.units import BOHR

LOG = "pyscf.log"

CONTAMINATED = 0.1
"""Departure of <S²> from its exact value that is worth a word."""


class MeanField(Settings):
    """The molecule and its self-consistent field."""

    basis: str
    """The basis, as PySCF calls it, such as cc-pvtz."""
    ecp: str | None = None
    """The effective core potential, such as ccecp; by default all electrons."""
    charge: int | None = None
    """Of every molecule; by default what its file says, else 0."""
    multiplicity: int | None = Field(default=None, ge=1)
    """2S + 1 of every molecule; by default what its file says, else the lowest that its electrons allow."""
    reference: Literal["auto", "restricted", "unrestricted"] = "auto"
    """Whether both spins share orbitals; auto shares them in singlets."""
    grid_level: int = Field(default=4, ge=0, le=9)
    """How fine the grid of a density functional is, as PySCF counts it."""
    conv_tol: float = Field(default=1e-9, gt=0, le=1e-5)
    """Change of the energy, Hartree, at which the field is converged."""
    max_cycle: int = Field(default=100, ge=1)
    """Cycles after which the field counts as not converged; then Newton's method is tried."""

    def unrestricted(self, electrons: Electrons) -> bool:
        """Return whether each spin has its own orbitals.

        Raises
        ------
        DataError
            When orbitals are to be shared and the spins differ.
        """
        if self.reference == "restricted" and electrons.unpaired:
            raise DataError(
                f"reference: restricted takes no multiplicity of {electrons.multiplicity}; leave it auto, or "
                "unrestricted."
            )
        return self.reference == "unrestricted" or electrons.unpaired > 0


@contextmanager
def molecule(atoms: Atoms, electrons: Electrons, settings: MeanField, folder: Path, engine: str) -> Iterator[Any]:
    """Yield a molecule of PySCF, which writes its log into ``folder``.

    Raises
    ------
    DataError
        When the structure is periodic.
    ConfigError
        When PySCF knows no such basis or core potential for an element.
    MissingExtraError
        When PySCF is not installed.
    """
    if atoms.pbc.any():
        raise DataError("It is periodic, and this engine computes molecules; use ase or files for crystals.")
    gto = package("pyscf.gto", engine)
    mole = gto.Mole()
    # Bohr by rung's own constant: PySCF's is of another year
    mole.atom = [(symbol(number), tuple(place / BOHR)) for number, place in zip(*_parts(atoms), strict=True)]
    mole.unit, mole.charge, mole.spin = "Bohr", electrons.charge, electrons.unpaired
    mole.basis, mole.ecp = settings.basis, settings.ecp or {}
    folder.mkdir(parents=True, exist_ok=True)
    lib = package("pyscf.lib", engine)
    with (
        (folder / LOG).open("w", encoding="utf-8") as log,
        redirect_stderr(_Aside(log, sys.stderr)),
        lib.with_omp_threads(int(os.environ.get("OMP_NUM_THREADS", "1"))),
    ):
        mole.verbose, mole.output, mole.stdout = 4, log.name, log  # or build() opens the file itself and says so
        _build(mole, settings)
        yield mole


class _Aside(io.TextIOBase):
    """A stderr whose lines of PySCF's own go to its log, for it writes warnings there that every radical gives."""

    def __init__(self, log: TextIO, stderr: TextIO) -> None:
        self._log, self._stderr = log, stderr

    def write(self, text: str) -> int:
        """Write a text where it belongs."""
        return (self._log if text.startswith(("WARN: ", "ERROR: ")) else self._stderr).write(text)

    def flush(self) -> None:
        """Flush what was there before."""
        self._stderr.flush()

    def isatty(self) -> bool:
        """Return what the stderr of before says."""
        return self._stderr.isatty()

    def fileno(self) -> int:
        """Return that of the stderr of before."""
        return self._stderr.fileno()


def _build(mole: Any, settings: MeanField) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # where else a basis may be found; the error says enough
            mole.build(dump_input=True, parse_arg=False)
    except (KeyError, RuntimeError, ValueError, OSError, AssertionError) as error:  # as its parsers raise
        raise ConfigError(
            f"PySCF cannot set up the basis {settings.basis!r} with the core potential {settings.ecp!r} "
            f"({' '.join(str(error).split()) or type(error).__name__})."
        ) from error


def converged_field(mole: Any, settings: MeanField, kind: Callable[[Any], Any]) -> Any:
    """Return a converged field; where the usual way does not converge, Newton's method goes on from there.

    Parameters
    ----------
    mole
        The molecule.
    settings
        Of the field.
    kind
        Makes the field of a molecule: Hartree-Fock, or a density functional.

    Raises
    ------
    UnconvergedError
        When neither way converges, or the energy is not finite.
    """
    field = kind(mole)
    field.conv_tol, field.max_cycle, field.chkfile = settings.conv_tol, settings.max_cycle, None
    field.kernel()
    if not field.converged:
        field = field.newton()
        field.kernel(field.mo_coeff, field.mo_occ)
    if not field.converged or not np.isfinite(field.e_tot):
        raise UnconvergedError(
            f"The self-consistent field did not converge in {counted(settings.max_cycle, 'cycle')}, nor by Newton's "
            "method."
        )
    return field


def spin_warning(field: Any, electrons: Electrons) -> tuple[tuple[str, ...], dict[str, float]]:
    """Return what is to be said of <S²>, and its value."""
    squared = float(field.spin_square()[0])
    exact = electrons.unpaired / 2 * (electrons.unpaired / 2 + 1)
    if abs(squared - exact) <= CONTAMINATED:
        return (), {"s_squared": squared}
    return (f"<S²> is {squared:.2f} and should be {exact:.2f}: the spin is contaminated",), {"s_squared": squared}


def _parts(atoms: Atoms) -> tuple[list[int], list[Any]]:
    return [int(number) for number in atoms.numbers], list(atoms.positions)
