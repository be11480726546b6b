"""PBE and UCCSD(T) of three hydrogen atoms by PySCF, as ASE calculators with analytic forces."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from pyscf import cc, dft, gto, scf

BASIS, ECP = "ccecp-ccpvtz", "ccecp"


def molecule(atoms: Atoms) -> Any:
    """Return the doublet of PySCF."""
    geometry = list(zip(atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True))
    return gto.M(atom=geometry, unit="Ang", spin=1, basis=BASIS, ecp=ECP, verbose=0)


class Pbe(Calculator):
    """Unrestricted PBE; the settings are those of the orbitals of the DMC."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate the energy, and the forces where they are asked for."""
        super().calculate(atoms, properties, system_changes)
        field = dft.UKS(molecule(self.atoms))
        field.xc, field.grids.level, field.conv_tol = "pbe", 3, 1e-9
        field.kernel()
        if not field.converged:
            field = field.newton()
            field.kernel()
        require(field.converged, "PBE")
        self.results["energy"] = field.e_tot * units.Hartree
        if "forces" in properties:
            gradient = field.nuc_grad_method()
            gradient.verbose = 0
            self.results["forces"] = -gradient.kernel() * units.Hartree / units.Bohr


class CoupledCluster(Calculator):
    """UCCSD(T) on a UHF reference, all electrons correlated.

    Forces are differences of energies: the analytic gradient of UCCSD(T) in PySCF 2.14 is up to 0.2 eV/Å off for H3.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Calculate the energy, and the forces where they are asked for."""
        super().calculate(atoms, properties, system_changes)
        start = self._cluster(self.atoms, None)
        self.results["energy"] = self._energy(start)
        if "forces" in properties:

            def near(positions: np.ndarray) -> float:
                moved = self.atoms.copy()
                moved.positions = positions
                return self._energy(self._cluster(moved, start))

            self.results["forces"] = planar_forces(near, self.atoms.positions)

    def _cluster(self, atoms: Atoms, start: Any) -> Any:
        """Return converged UCCSD, begun with the orbitals and amplitudes of a geometry nearby where there is one."""
        field = scf.UHF(molecule(atoms))
        field.conv_tol = 1e-10
        field.kernel(None if start is None else start._scf.make_rdm1())
        cluster = cc.UCCSD(field)
        cluster.conv_tol, cluster.conv_tol_normt = 1e-8, 1e-7
        cluster.kernel(*(() if start is None else (start.t1, start.t2)))
        require(field.converged and cluster.converged, "UCCSD")
        return cluster

    def _energy(self, cluster: Any) -> float:
        return float((cluster.e_tot + cluster.ccsd_t()) * units.Hartree)


STEP = 0.005
"""Å: on H2 central differences of this step are off by 1 meV/Å."""


def planar_forces(energy: Callable[[np.ndarray], float], positions: np.ndarray) -> np.ndarray:
    """Return the forces on three atoms, eV/Å, by six energies: no force leaves their plane, adds up or turns them.

    Of the six components in the plane three are measured: the first atom along its bond to the second and across it,
    and the third atom along its bond.
    """
    first, third = positions[0] - positions[1], positions[2] - positions[1]
    along, outward = first / np.linalg.norm(first), third / np.linalg.norm(third)
    normal = np.cross(along, outward)
    if np.linalg.norm(normal) < 1e-6:  # on a line any plane will do
        normal = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    normal /= np.linalg.norm(normal)

    def slope(atom: int, direction: np.ndarray) -> float:
        moves = np.zeros((3, 3))
        moves[atom] = STEP * direction
        return -(energy(positions + moves) - energy(positions - moves)) / (2.0 * STEP)

    across = np.cross(normal, along)
    forces = np.zeros((3, 3))
    forces[0] = slope(0, along) * along + slope(0, across) * across
    turning = np.cross(first, forces[0]) @ normal  # about the second atom; the third one takes it back
    forces[2] = slope(2, outward) * outward - turning / np.linalg.norm(third) * np.cross(normal, outward)
    forces[1] = -forces[0] - forces[2]
    return forces


def require(converged: bool, what: str) -> None:
    """Raise where a calculation did not converge: it is no label."""
    if not converged:
        raise RuntimeError(f"{what} did not converge.")


LEVELS: dict[str, type[Calculator]] = {"pbe": Pbe, "ccsdt": CoupledCluster}
