"""How far energies of deterministic calculations are off for reasons of numbers, not of physics.

    python benchmarks/label_errors.py --geometries 8 --out docs/how-to/which-sigma.md#calculations

Rattled geometries of small molecules by PySCF (``pip install 'rung[pyscf]'``). Each row is a setting against a tighter
one: the error of an energy less its mean over the geometries of a molecule, which reference energies absorb, and the
mean itself; r.m.s. over molecules and geometries, meV. What is left of one geometry's error is what a label's
``energy_stderr`` should hold.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from pyscf import cc, dft, gto, mp, scf
from pyscf.gw.rpa import RPA

from rung.pages import write_table
from rung.units import HARTREE, MILLI

MOLECULES = ("H2O", "NH3", "HCN")
SMALLEST = 0.001
"""meV below which nothing is told apart."""
RATTLED = 0.08
"""Å, by which each coordinate leaves the equilibrium, r.m.s."""

Energy = Callable[[Atoms], float]
"""From a geometry to Hartree."""


def built(atoms: Atoms, basis: str) -> gto.Mole:
    """Return the molecule for PySCF."""
    return gto.M(atom=[*zip(atoms.symbols, atoms.positions.tolist(), strict=True)], basis=basis, verbose=0)


def hartree_fock(
    basis: str = "cc-pvdz", tolerance: float = 1e-11, *, fitted: bool = False
) -> Callable[[Atoms], scf.hf.RHF]:
    """Return what converges the Hartree-Fock equations of a geometry."""

    def solved(atoms: Atoms) -> scf.hf.RHF:
        field = scf.RHF(built(atoms, basis))
        field = field.density_fit() if fitted else field
        field.conv_tol = tolerance
        field.kernel()
        return field

    return solved


@cache
def scf_energy(tolerance: float) -> Energy:
    """Return Hartree-Fock to a threshold."""
    return lambda atoms: float(hartree_fock(tolerance=tolerance)(atoms).e_tot)


@cache
def pbe(grid: int) -> Energy:
    """Return PBE on a grid of PySCF's levels."""

    def energy(atoms: Atoms) -> float:
        field = dft.RKS(built(atoms, "cc-pvdz"), xc="pbe")
        field.grids.level, field.conv_tol = grid, 1e-10
        return float(field.kernel())

    return energy


@cache
def mp2(basis: str, *, fitted: bool = False, frozen: bool = True) -> Energy:
    """Return MP2, exact or with fitted densities; core electrons are frozen or not."""

    def energy(atoms: Atoms) -> float:
        field = hartree_fock(basis, fitted=fitted)(atoms)
        return float(mp.MP2(field, frozen=core(atoms) if frozen else None).run(verbose=0).e_tot)

    return energy


@cache
def coupled_cluster(basis: str, tolerance: float = 1e-9, *, frozen: bool = True) -> Energy:
    """Return CCSD(T) with its amplitudes to a threshold."""

    def energy(atoms: Atoms) -> float:
        solver = cc.CCSD(hartree_fock(basis)(atoms), frozen=core(atoms) if frozen else None)
        solver.conv_tol, solver.conv_tol_normt, solver.max_cycle = tolerance, 100 * tolerance, 100
        solver.kernel()
        return float(solver.e_tot + solver.ccsd_t())

    return energy


@cache
def rpa(basis: str, points: int) -> Energy:
    """Return the random-phase approximation on PBE orbitals with an integral of so many frequencies."""

    def energy(atoms: Atoms) -> float:
        field = dft.RKS(built(atoms, basis), xc="pbe").density_fit()
        field.conv_tol = 1e-10
        field.kernel()
        found = RPA(field)
        found.verbose = 0
        found.kernel(nw=points)
        return float(found.e_tot)

    return energy


def core(atoms: Atoms) -> int:
    """Return how many orbitals are frozen: the 1s of all but hydrogen."""
    return int((atoms.numbers > 2).sum())


SETTINGS: Mapping[str, tuple[Energy, Energy]] = {
    "SCF threshold 1e-5 Ha, against 1e-11": (scf_energy(1e-5), scf_energy(1e-11)),
    "SCF threshold 1e-7 Ha": (scf_energy(1e-7), scf_energy(1e-11)),
    "SCF threshold 1e-9 Ha (PySCF's default)": (scf_energy(1e-9), scf_energy(1e-11)),
    "PBE, grid level 1, against 8": (pbe(1), pbe(8)),
    "PBE, grid level 3 (PySCF's default)": (pbe(3), pbe(8)),
    "PBE, grid level 5": (pbe(5), pbe(8)),
    "CCSD(T) threshold 1e-4 Ha, against 1e-9": (coupled_cluster("cc-pvdz", 1e-4), coupled_cluster("cc-pvdz")),
    "CCSD(T) threshold 1e-5 Ha": (coupled_cluster("cc-pvdz", 1e-5), coupled_cluster("cc-pvdz")),
    "CCSD(T) threshold 1e-7 Ha (PySCF's default)": (coupled_cluster("cc-pvdz", 1e-7), coupled_cluster("cc-pvdz")),
    "MP2/TZ, fitted densities, against exact": (mp2("cc-pvtz", fitted=True), mp2("cc-pvtz")),
    "MP2/TZ, frozen core, against all electrons": (mp2("cc-pvtz"), mp2("cc-pvtz", frozen=False)),
    "RPA/DZ, 8 frequencies, against 80": (rpa("cc-pvdz", 8), rpa("cc-pvdz", 80)),
    "RPA/DZ, 16 frequencies": (rpa("cc-pvdz", 16), rpa("cc-pvdz", 80)),
    "RPA/DZ, 40 frequencies (PySCF's default)": (rpa("cc-pvdz", 40), rpa("cc-pvdz", 80)),
    "MP2/DZ, against TZ": (mp2("cc-pvdz"), mp2("cc-pvtz")),
    "CCSD(T)/DZ, against TZ": (coupled_cluster("cc-pvdz"), coupled_cluster("cc-pvtz")),
    "RPA/DZ, against TZ": (rpa("cc-pvdz", 40), rpa("cc-pvtz", 40)),
}


def geometries(count: int) -> dict[str, list[Atoms]]:
    """Return rattled geometries of each molecule."""
    random = np.random.default_rng(0)
    found: dict[str, list[Atoms]] = {}
    for name in MOLECULES:
        for _ in range(count):
            atoms = molecule(name)
            atoms.positions += random.normal(scale=RATTLED, size=atoms.positions.shape)
            found.setdefault(name, []).append(atoms)
    return found


def errors(loose: Energy, tight: Energy, count: int, known: dict[tuple[int, str, int], float]) -> tuple[float, float]:
    """Return the r.m.s. error about each molecule's mean, and that of the means, meV."""

    def at(energy: Energy, name: str, number: int, atoms: Atoms) -> float:
        key = (id(energy), name, number)
        if key not in known:
            known[key] = energy(atoms)
        return known[key]

    spread, means = [], []
    for name, members in geometries(count).items():
        apart = np.array([at(loose, name, k, one) - at(tight, name, k, one) for k, one in enumerate(members)])
        spread.append(np.sum((apart - apart.mean()) ** 2) / (len(apart) - 1))
        means.append(apart.mean())
    size = MILLI * HARTREE
    return size * float(np.sqrt(np.mean(spread))), size * float(np.sqrt(np.mean(np.square(means))))


def shown(value: float) -> str:
    """Return meV; less than a microelectronvolt is nothing here."""
    return f"{value:.2g}" if value >= SMALLEST else f"< {SMALLEST}"


def main() -> None:
    """Print the table, row by row, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geometries", type=int, default=8)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = ["| calculation | left, meV | in reference energies, meV |", "|---|---|---|"]
    known: dict[tuple[int, str, int], float] = {}
    for name, (loose, tight) in SETTINGS.items():
        if arguments.only not in name:
            continue
        left, mean = errors(loose, tight, arguments.geometries, known)
        lines.append(f"| {name} | {shown(left)} | {shown(mean)} |")
        print(lines[-1], flush=True)
    if arguments.out is not None:
        write_table(arguments.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
