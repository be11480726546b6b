"""Equation of state and bulk modulus of a crystal: matcalc's EOSCalc, beside ASE's fit and the model's own stress.

    python equation_of_state.py ase.calculators.emt:EMT --fidelity emt --element Cu --trusted --out eos

Three answers from one potential, which should agree: a Birch–Murnaghan fit to energies (matcalc), ASE's fit of a cubic
in V^(-1/3) to the same energies, and −V dp/dV from the stress. Where they do not, energies and stress are not of one
surface.
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
from ase.eos import EquationOfState
from ase.io import read
from ase.units import GPa
from matcalc import EOSCalc

from rung.errors import DataError, RungError
from rung.tasks.opened import Source, open_calculator
from rung.tasks.reference_energies import reference_energies, stated

mpl.use("Agg")


@dataclass(frozen=True)
class EquationsOfState:
    """What the three ways give.

    Parameters
    ----------
    volumes, energies
        The points of the fits, Å³ and eV, per atom.
    volume_birch, bulk_birch
        Birch–Murnaghan: equilibrium volume, Å³/atom, and bulk modulus, GPa.
    volume_ase, bulk_ase
        ASE's cubic in V^(-1/3).
    bulk_stress
        −V dp/dV at ASE's volume, GPa; NaN where the calculator gives no stress.
    """

    volumes: np.ndarray
    energies: np.ndarray
    volume_birch: float
    bulk_birch: float
    volume_ase: float
    bulk_ase: float
    bulk_stress: float


def equations_of_state(atoms: Atoms, calculator: Any, *, strain: float = 0.03, points: int = 11) -> EquationsOfState:
    """Return the equations of state of ``atoms``, relaxed first.

    Parameters
    ----------
    strain
        Largest change of a length.
    points
        Volumes.
    """
    found = EOSCalc(calculator, max_abs_strain=strain, n_points=points, fmax=0.005, allow_shape_change=False).calc(
        atoms
    )
    volumes, energies = (np.asarray(found["eos"][name], dtype=float) for name in ("volumes", "energies"))
    order = np.argsort(volumes)
    volumes, energies = volumes[order], energies[order]
    volume, _, bulk_modulus = EquationOfState(volumes, energies).fit(warn=False)
    if not volumes[0] < volume < volumes[-1]:
        raise DataError(
            "The lowest energy is beyond the volumes that were tried; start nearer to it or strain further."
        )
    size = len(atoms)
    relaxed = found["final_structure"].to_ase_atoms(msonable=False)
    return EquationsOfState(
        volumes=volumes / size,
        energies=energies / size,
        volume_birch=_birch_volume(volumes, energies) / size,
        bulk_birch=float(found["bulk_modulus_bm"]),
        volume_ase=volume / size,
        bulk_ase=bulk_modulus / GPa,
        bulk_stress=bulk_modulus_of_stress(relaxed, calculator, volume),
    )


def _birch_volume(volumes: np.ndarray, energies: np.ndarray) -> float:
    return float(EquationOfState(volumes, energies, eos="birchmurnaghan").fit(warn=False)[0])


def bulk_modulus_of_stress(atoms: Atoms, calculator: Any, volume: float, step: float = 1e-3) -> float:
    """Return −V dp/dV at ``volume``, Å³, by central differences of the pressure, GPa; NaN without a stress."""
    if "stress" not in calculator.implemented_properties:
        return float("nan")
    pressures = []
    for factor in (1 - step, 1 + step):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array * (factor * volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
        strained.calc = calculator
        pressures.append(-strained.get_stress(voigt=False).trace() / 3)
    return float(-(pressures[1] - pressures[0]) / (2 * step) / GPa)


def draw(path: Path, found: EquationsOfState, name: str) -> None:
    """Draw energies against volumes with the fit."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    fit = EquationOfState(found.volumes, found.energies)
    fit.fit(warn=False)
    line = np.linspace(found.volumes[0], found.volumes[-1], 200)
    axes.plot(line, np.polyval(np.poly1d(fit.fit0), line ** -(1 / 3)), color="#66707f", lw=1)
    axes.plot(found.volumes, found.energies, "o", color="#1d5fd1")
    axes.set(title=name, xlabel="volume, Å³/atom", ylabel="energy, eV/atom")
    figure.savefig(path, dpi=160)
    plt.close(figure)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    said = argparse.ArgumentParser(description="Equation of state of a crystal, three ways.")
    said.add_argument("model", help="model.rung, a backend's file, or package.module:function for an ASE calculator")
    said.add_argument("--fidelity", required=True, help="the fidelity of the model")
    what = said.add_mutually_exclusive_group(required=True)
    what.add_argument("--element", help="symbol: its crystal as ASE builds it")
    what.add_argument("--structure", type=Path, help="a file; its first structure counts")
    said.add_argument("--strain", type=float, default=0.03, help="largest change of a length (default 0.03)")
    said.add_argument("--points", type=int, default=11, help="volumes (default 11)")
    said.add_argument("--trusted", action="store_true", help="the model may run code while it loads")
    said.add_argument("--out", type=Path, default=Path("equation_of_state"), help="folder of table and figure")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write it with the figure, and return the exit code."""
    given = parser().parse_args(arguments)
    try:
        atoms = bulk(given.element) if given.element else read(given.structure, index=0)
        potential = open_calculator(Source(model=given.model, trusted=given.trusted), given.fidelity)
        found = equations_of_state(atoms, potential.calculator, strain=given.strain, points=given.points)
        references = reference_energies(potential, atoms.symbols)
    except RungError as error:
        print(f"equation_of_state: {error}", file=sys.stderr)
        return 2
    print(f"{atoms.symbols} at {given.fidelity}")
    print(f"{'way':<34} {'V0, Å³/atom':>12} {'B, GPa':>8}")
    for name, volume, modulus in (
        ("Birch–Murnaghan (matcalc)", found.volume_birch, found.bulk_birch),
        ("cubic in V^(-1/3) (ASE)", found.volume_ase, found.bulk_ase),
        ("−V dp/dV of the stress", found.volume_ase, found.bulk_stress),
    ):
        print(f"{name:<34} {volume:12.3f} {modulus:8.1f}")
    print(stated(references))
    given.out.mkdir(parents=True, exist_ok=True)
    draw(given.out / "equation_of_state.png", found, f"{atoms.symbols}, {given.fidelity}")
    with (given.out / "equation_of_state.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["volume_per_atom", "energy_per_atom"])
        writer.writerows(zip(found.volumes, found.energies, strict=True))
    print(f"Wrote {given.out / 'equation_of_state.png'} and equation_of_state.csv.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
