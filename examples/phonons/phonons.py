"""Phonons of a crystal by finite displacements: bands, density of states, zero-point energy; phonopy on any model.

    python phonons.py ase.calculators.emt:EMT --fidelity emt --element Cu --trusted --out phonons

Imaginary frequencies are printed as negative ones and end the script with exit code 1: the structure is no minimum of
this potential, and no thermal property of it means anything. A lifted potential whose labels were energies alone should
be looked at this way before its dynamics are believed: phonons are second derivatives, which no energy label saw.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import BFGS
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from rung.errors import DataError, RungError
from rung.tasks.opened import Source, open_calculator
from rung.tasks.reference_energies import reference_energies, stated

mpl.use("Agg")

THZ_TO_MEV = 4.135667696
"""Planck's constant in meV per THz."""

IMAGINARY = -0.05
"""THz: what a finite displacement leaves at Γ is smaller."""


@dataclass(frozen=True)
class Phonons:
    """What was found.

    Parameters
    ----------
    distances, frequencies
        Along the path of ASE's bands: Å⁻¹, shape ``(q,)``, and THz, shape ``(q, 3n)``; imaginary ones are negative.
    labels
        Distance and name of the path's special points.
    mesh_frequencies, mesh_weights
        On a mesh of the whole zone: THz, shape ``(m, 3n)``, and how many points each stands for.
    """

    distances: np.ndarray
    frequencies: np.ndarray
    labels: list[tuple[float, str]]
    mesh_frequencies: np.ndarray
    mesh_weights: np.ndarray

    @property
    def lowest(self) -> float:
        """The lowest frequency anywhere, THz."""
        return float(min(self.frequencies.min(), self.mesh_frequencies.min()))

    @property
    def zero_point_energy(self) -> float:
        """Half the sum of all h ν, eV per cell; NaN where a frequency is imaginary."""
        if self.lowest < IMAGINARY:
            return float("nan")
        each = 0.5 * THZ_TO_MEV * np.maximum(self.mesh_frequencies, 0.0).sum(axis=1) / 1000
        return float(np.average(each, weights=self.mesh_weights))


def relaxed(atoms: Atoms, calculator: Any, fmax: float = 1e-3) -> Atoms:
    """Return the structure with cell and positions relaxed: a phonon is about a minimum."""
    atoms = atoms.copy()
    atoms.calc = calculator
    with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
        if not optimizer.run(fmax=fmax, steps=500):
            raise DataError("The structure did not relax in 500 steps, so there is no minimum to vibrate about.")
    return atoms


def force_constants(atoms: Atoms, calculator: Any, repeats: Sequence[int], displacement: float = 0.01) -> Phonopy:
    """Return phonopy with the force constants of a supercell, by displacements of ``displacement`` Å."""
    cell = PhonopyAtoms(
        symbols=list(atoms.symbols), scaled_positions=atoms.get_scaled_positions(), cell=atoms.cell.array
    )
    phonon = Phonopy(cell, supercell_matrix=np.diag(list(repeats)), primitive_matrix=np.eye(3), log_level=0)
    phonon.generate_displacements(distance=displacement)
    forces = []
    for moved in phonon.supercells_with_displacements:
        supercell = Atoms(moved.symbols, cell=moved.cell, scaled_positions=moved.scaled_positions, pbc=True)
        forces.append(np.array(calculator.get_forces(supercell), dtype=float))
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


def phonons(atoms: Atoms, calculator: Any, *, repeats: Sequence[int] = (4, 4, 4), mesh: int = 12) -> Phonons:
    """Return bands along ASE's path for the lattice, and frequencies on a mesh."""
    phonon = force_constants(atoms, calculator, repeats)
    path = atoms.cell.bandpath(npoints=120)
    distances, places, names = path.get_linear_kpoint_axis()
    phonon.run_mesh([mesh, mesh, mesh], is_gamma_center=True)
    return Phonons(
        distances=distances,
        frequencies=frequencies_at(phonon, path.kpts),
        labels=list(zip([float(at) for at in places], names, strict=True)),
        mesh_frequencies=np.asarray(phonon.mesh.frequencies),
        mesh_weights=np.asarray(phonon.mesh.weights),
    )


def frequencies_at(phonon: Phonopy, points: np.ndarray) -> np.ndarray:
    """Return the frequencies at reduced wave vectors, THz, shape ``(q, 3n)``."""
    phonon.run_qpoints(np.asarray(points))
    return np.asarray(phonon.qpoints.frequencies)


def draw(path: Path, found: Phonons, name: str) -> None:
    """Draw bands and density of states."""
    import matplotlib.pyplot as plt

    figure, (bands, density) = plt.subplots(
        1, 2, figsize=(7, 3.8), width_ratios=(3, 1), sharey=True, layout="constrained"
    )
    bands.plot(found.distances, found.frequencies, color="#1d5fd1", lw=1)
    for at, _ in found.labels:
        bands.axvline(at, color="#cfd5de", lw=0.7)
    bands.axhline(0, color="#66707f", lw=0.7)
    bands.set_xticks([at for at, _ in found.labels], [label.replace("G", "Γ") for _, label in found.labels])
    bands.set(title=name, ylabel="frequency, THz", xlim=(found.distances[0], found.distances[-1]))
    weights = np.repeat(found.mesh_weights, found.mesh_frequencies.shape[1])
    density.hist(found.mesh_frequencies.ravel(), bins=60, weights=weights, orientation="horizontal", color="#98a2b3")
    density.set(xlabel="density of states", xticks=[])
    figure.savefig(path, dpi=160)
    plt.close(figure)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    said = argparse.ArgumentParser(description="Phonon bands, density of states and zero-point energy of a crystal.")
    said.add_argument("model", help="model.rung, a backend's file, or package.module:function for an ASE calculator")
    said.add_argument("--fidelity", required=True, help="the fidelity of the model")
    what = said.add_mutually_exclusive_group(required=True)
    what.add_argument("--element", help="symbol: its crystal as ASE builds it")
    what.add_argument("--structure", type=Path, help="a file; its first structure counts")
    said.add_argument("--repeats", type=int, nargs=3, default=(4, 4, 4), help="supercell (default 4 4 4)")
    said.add_argument("--mesh", type=int, default=12, help="points of the zone along each axis (default 12)")
    said.add_argument("--keep-cell", action="store_true", help="do not relax: the structure is a minimum already")
    said.add_argument("--trusted", action="store_true", help="the model may run code while it loads")
    said.add_argument("--out", type=Path, default=Path("phonons"), help="folder of table and figure")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found, write table and figure, and return the exit code."""
    given = parser().parse_args(arguments)
    try:
        atoms = bulk(given.element) if given.element else read(given.structure, index=0)
        potential = open_calculator(Source(model=given.model, trusted=given.trusted), given.fidelity)
        atoms = atoms if given.keep_cell else relaxed(atoms, potential.calculator)
        found = phonons(atoms, potential.calculator, repeats=given.repeats, mesh=given.mesh)
        references = reference_energies(potential, atoms.symbols)
    except RungError as error:
        print(f"phonons: {error}", file=sys.stderr)
        return 2
    print(f"{atoms.symbols} at {given.fidelity}, supercell {' x '.join(map(str, given.repeats))}")
    print(f"{'point':<8} frequencies, THz (negative: imaginary)")
    for at, label in dict.fromkeys(found.labels):
        row = found.frequencies[int(np.abs(found.distances - at).argmin())]
        print(f"{label.replace('G', 'Γ'):<8} " + " ".join(f"{one:7.2f}" for one in row))
    print(f"zero-point energy {1000 * found.zero_point_energy / len(atoms):.1f} meV/atom")
    print(f"{stated(references)} They do not enter.")
    given.out.mkdir(parents=True, exist_ok=True)
    draw(given.out / "phonons.png", found, f"{atoms.symbols}, {given.fidelity}")
    with (given.out / "phonons.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["distance", *(f"frequency_{band}" for band in range(found.frequencies.shape[1]))])
        writer.writerows([at, *row] for at, row in zip(found.distances, found.frequencies, strict=True))
    print(f"Wrote {given.out / 'phonons.png'} and phonons.csv.")
    if found.lowest < IMAGINARY:
        print(
            f"phonons: the lowest frequency is {found.lowest:.2f} THz: this structure is no minimum.", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
