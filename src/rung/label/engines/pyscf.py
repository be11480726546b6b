"""PySCF: Hartree-Fock, density functionals, MP2, CCSD and CCSD(T) of molecules, with forces where they exist."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from rung.data.labels import Array
from rung.errors import ConfigError, UnconvergedError, counted
from rung.label.electrons import Electrons, electrons_of
from rung.label.engine import Engine, Made, Subject
from rung.label.mean_field import MeanField, converged_field, molecule, spin_warning
from rung.label.packages import package
from rung.units import BOHR, HARTREE

Method = Literal["hf", "dft", "mp2", "ccsd", "ccsd(t)"]

POWERS: dict[Method, float] = {"hf": 3.0, "dft": 3.0, "mp2": 5.0, "ccsd": 6.0, "ccsd(t)": 7.0}
"""How the time grows with the number of electrons."""


T1 = "t1_diagnostic"
"""What details call the norm of the singles amplitudes over the root of the correlated electrons."""

MULTIREFERENCE = 0.02
"""T1 above which coupled cluster of one determinant is doubtful (Lee and Taylor, doi:10.1002/qua.560360824)."""

Level = tuple[float, Array | None, Mapping[str, float]]
"""Energy and gradient in atomic units, and diagnostics."""

STEP = 0.002
"""Å by which an atom moves for a difference of energies: its third order is 1e-4 eV/Å, and rounding less."""


class PyscfEngine(MeanField):
    """Make labels of molecules with PySCF."""

    name: Literal["pyscf"] = "pyscf"
    method: Method
    """The level of theory; dft needs xc."""
    xc: str | None = None
    """The density functional, as PySCF calls it, such as pbe or b3lyp; of the method dft."""
    frozen_core: bool = False
    """Whether MP2 and coupled cluster leave core orbitals uncorrelated."""
    forces: bool = True
    """Whether forces are computed, where they are right: not with a frozen core, nor for UCCSD(T)."""
    numerical_forces: bool = False
    """Take the other forces from differences of energies, of which each atom needs six."""
    energy_stderr: float | None = Field(default=None, gt=0)
    """The error of each energy, eV, that thresholds and grids leave; by default labels carry none."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.method == "dft") != (self.xc is not None):
            raise ValueError("xc names the density functional of the method dft, and no other method has one")
        return self


def label(subject: Subject, settings: PyscfEngine, folder: Path) -> Made:
    """Return the energy of a molecule, and its forces.

    Raises
    ------
    UnconvergedError
        When the field, the amplitudes or the equations behind forces do not converge.
    DataError
        When the structure is periodic, or its charge and multiplicity do not go together.
    """
    electrons = electrons_of(subject.structure_id, subject.atoms, settings.charge, settings.multiplicity)
    analytic = settings.forces and _is_right(settings, electrons)
    with molecule(subject.atoms, electrons, settings, folder, "pyscf") as mole:
        field = converged_field(mole, settings, lambda one: _field(one, electrons, settings))
        warnings, details = spin_warning(field, electrons)
        level = _LEVELS[settings.method] if _correlated(field) else _of_field
        energy, gradient, diagnostics = level(field, settings, analytic)
    if (t1 := diagnostics.get(T1, 0.0)) > MULTIREFERENCE:
        warnings += (f"the T1 diagnostic is {t1:.3f}: above {MULTIREFERENCE} one determinant may not do",)
    details |= {"scf_energy": float(field.e_tot) * HARTREE, **diagnostics}
    forces = None if gradient is None else -np.asarray(gradient) * HARTREE / BOHR
    if settings.forces and settings.numerical_forces and not analytic:
        forces = _differences(subject, electrons, settings, folder)
    for what, value in (("energy", energy), ("forces", forces)):
        if value is not None and not np.isfinite(value).all():
            raise UnconvergedError(f"PySCF gave {what} that are not finite.")
    details |= {"charge": float(electrons.charge), "multiplicity": float(electrons.multiplicity)}
    stderr = float("nan") if settings.energy_stderr is None else settings.energy_stderr
    return Made(
        energy * HARTREE, "PySCF", _level(settings, electrons), stderr, forces, warnings=warnings, details=details
    )


def _field(mole: Any, electrons: Electrons, settings: PyscfEngine) -> Any:
    unrestricted = settings.unrestricted(electrons)
    if settings.method != "dft":
        scf = package("pyscf.scf", "pyscf")
        return scf.UHF(mole) if unrestricted else scf.RHF(mole)
    dft = package("pyscf.dft", "pyscf")
    field = dft.UKS(mole) if unrestricted else dft.RKS(mole)
    field.xc, field.grids.level = settings.xc, settings.grid_level
    return field


def _of_field(field: Any, settings: PyscfEngine, forces: bool) -> Level:
    gradient = field.nuc_grad_method() if forces else None
    if gradient is not None and settings.method == "dft":
        gradient.grid_response = True  # or forces are not the derivative of the energy on a grid
    return float(field.e_tot), None if gradient is None else gradient.kernel(), {}


def _correlated(field: Any) -> bool:
    """Return whether there is anything to correlate: PySCF stumbles over one electron, and over no empty orbital."""
    return field.mol.nelectron > 1 and bool((np.asarray(field.mo_occ) == 0).any())


def _mp2(field: Any, settings: PyscfEngine, forces: bool) -> Level:
    mp = package("pyscf.mp", "pyscf").MP2(field, frozen=_frozen(field, settings))
    mp.kernel()
    if not getattr(mp, "converged", True):
        raise UnconvergedError("MP2 did not converge.")
    return float(mp.e_tot), mp.nuc_grad_method().kernel() if forces else None, {}


def _ccsd(field: Any, settings: PyscfEngine, forces: bool) -> Level:
    cc, eris = _amplitudes(field, settings)
    if not forces:
        return float(cc.e_tot), None, _diagnostics(cc)
    cc.solve_lambda(eris=eris)
    if not cc.converged_lambda:
        raise UnconvergedError("The lambda equations of CCSD, behind its forces, did not converge.")
    return float(cc.e_tot), cc.nuc_grad_method().kernel(eris=eris), _diagnostics(cc)


def _triples(field: Any, settings: PyscfEngine, forces: bool) -> Level:
    cc, eris = _amplitudes(field, settings)
    energy = float(cc.e_tot + cc.ccsd_t(eris=eris))
    if not forces:
        return energy, None, _diagnostics(cc)
    word = "uccsd_t" if np.ndim(field.mo_coeff[0]) == 2 else "ccsd_t"
    solver = package(f"pyscf.cc.{word}_lambda", "pyscf")
    converged, l1, l2 = solver.kernel(cc, eris, cc.t1, cc.t2, max_cycle=cc.max_cycle, tol=cc.conv_tol_normt)
    if not converged:
        raise UnconvergedError("The lambda equations of CCSD(T), behind its forces, did not converge.")
    gradients = package(f"pyscf.grad.{word}", "pyscf").Gradients(cc)
    return energy, gradients.kernel(cc.t1, cc.t2, l1, l2, eris=eris), _diagnostics(cc)


def _diagnostics(cc: Any) -> dict[str, float]:
    """Return what amplitudes say of themselves; T1 is defined where both spins share orbitals."""
    return {T1: float(cc.get_t1_diagnostic())} if np.ndim(cc.t1[0]) == 1 else {}


def _amplitudes(field: Any, settings: PyscfEngine) -> tuple[Any, Any]:
    cc = package("pyscf.cc", "pyscf").CCSD(field, frozen=_frozen(field, settings))
    cc.conv_tol, cc.conv_tol_normt, cc.max_cycle = settings.conv_tol, 1e-6, settings.max_cycle
    eris = cc.ao2mo()
    cc.kernel(eris=eris)
    if not cc.converged:
        raise UnconvergedError(f"The amplitudes of CCSD did not converge in {counted(settings.max_cycle, 'cycle')}.")
    return cc, eris


def _is_right(settings: PyscfEngine, electrons: Electrons) -> bool:
    """Return whether PySCF has a gradient that is the derivative of its energy.

    That of UCCSD(T) in PySCF 2.14 is 0.03 to 0.09 eV/Å off for CH3, and those of a frozen core are not tested here.
    """
    if settings.method in ("hf", "dft"):
        return True
    return not settings.frozen_core and not (settings.method == "ccsd(t)" and settings.unrestricted(electrons))


def _differences(subject: Subject, electrons: Electrons, settings: PyscfEngine, folder: Path) -> Array:
    """Return forces by central differences of energies, shape ``(n, 3)``, eV/Å."""

    def energy(atoms: Atoms) -> float:
        with molecule(atoms, electrons, settings, folder / "displaced", "pyscf") as mole:
            field = converged_field(mole, settings, lambda one: _field(one, electrons, settings))
            level = _LEVELS[settings.method] if _correlated(field) else _of_field
            return level(field, settings, False)[0] * HARTREE

    forces = np.zeros_like(subject.atoms.positions)
    for place in np.ndindex(forces.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = subject.atoms.copy()
            moved.positions[place] += sign * STEP
            ends.append(energy(moved))
        forces[place] = -(ends[0] - ends[1]) / (2.0 * STEP)
    return forces


def _frozen(field: Any, settings: PyscfEngine) -> int | None:
    """Return how many orbitals are not correlated; None for none."""
    return int(package("pyscf.data.elements", "pyscf").chemcore(field.mol)) if settings.frozen_core else None


_LEVELS = {"hf": _of_field, "dft": _of_field, "mp2": _mp2, "ccsd": _ccsd, "ccsd(t)": _triples}


def _level(settings: PyscfEngine, electrons: Electrons) -> str:
    method = str(settings.xc if settings.method == "dft" else settings.method).upper()
    letter = "U" if settings.unrestricted(electrons) else "R"
    core = ", frozen core" if settings.frozen_core and settings.method not in ("hf", "dft") else ""
    return f"{letter}-{method}/{settings.basis}{f', {settings.ecp}' if settings.ecp else ''}{core}"


def _check(settings: PyscfEngine) -> None:
    package("pyscf", "pyscf")
    if settings.xc is not None:
        libxc = package("pyscf.dft.libxc", "pyscf")
        try:
            libxc.parse_xc(settings.xc)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ConfigError(f"PySCF knows no density functional {settings.xc!r} ({error}).") from error


ENGINE = Engine(PyscfEngine, label, _check, packages=("pyscf",), power=lambda settings: POWERS[settings.method])
