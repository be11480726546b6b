"""Torsion profile of a molecule and ranking of its conformers, of any model, beside labels where there are some.

    python torsion.py profile ase.calculators.emt:EMT --fidelity emt --trusted --molecule H2O2 --atoms 2 0 1 3
    python torsion.py rank model.rung --fidelity dft conformers.extxyz --labels dft --out ranking

``profile`` turns the bond between the two middle atoms, relaxing everything but that dihedral at each angle
(``--rigid`` turns it as it is). ``rank`` orders structures of one molecule by energy. Both count energies from the
lowest one of the same potential: within one molecule the E0 cancel, and they are printed all the same.
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
from ase.build import molecule
from ase.constraints import FixInternals
from ase.io import read
from ase.neighborlist import build_neighbor_list, natural_cutoffs
from ase.optimize import BFGS
from scipy.stats import kendalltau

from rung.errors import DataError, RungError
from rung.tasks.opened import Opened, Source, open_calculator
from rung.tasks.reference_energies import reference_energies, stated

mpl.use("Agg")


@dataclass(frozen=True)
class Ranking:
    """How a model orders conformers.

    Parameters
    ----------
    found, labels
        Energies from the lowest of the same potential, meV, shape ``(n,)``; labels are NaN where absent.
    kendall_tau
        1 where every pair is in the labels' order, −1 where none is; NaN without labels.
    mean_absolute_error
        Of the energies against the labels after the best common shift, meV.
    lowest_agrees
        Whether the model's lowest conformer is the labels'.
    """

    found: np.ndarray
    labels: np.ndarray
    kendall_tau: float
    mean_absolute_error: float
    lowest_agrees: bool


def turning_atoms(atoms: Atoms, dihedral: Sequence[int]) -> list[int]:
    """Return the atoms on the far side of the middle bond, which turn with the last atom.

    Raises
    ------
    DataError
        When the bond is in a ring, or the middle atoms are not bonded.
    """
    _, second, third, last = dihedral
    neighbours = build_neighbor_list(atoms, natural_cutoffs(atoms, mult=1.15), self_interaction=False, bothways=True)
    bonded = {index: set(map(int, neighbours.get_neighbors(index)[0])) for index in range(len(atoms))}
    if third not in bonded[second]:
        raise DataError(f"Atoms {second} and {third} are not bonded, so nothing turns about them.")
    found, front = {third}, [third]
    while front:
        for neighbour in bonded[front.pop()] - found - {second}:
            found.add(neighbour)
            front.append(neighbour)
    if any(second in bonded[one] for one in found - {third}):
        raise DataError(f"The bond between atoms {second} and {third} is in a ring and cannot turn.")
    if last not in found:
        raise DataError(f"Atom {last} is not bonded to the side of atom {third}.")
    return sorted(found)


def torsion_profile(
    atoms: Atoms,
    calculator: Any,
    dihedral: Sequence[int],
    angles: Sequence[float],
    *,
    rigid: bool = False,
    fmax: float = 0.02,
) -> np.ndarray:
    """Return the energy at each dihedral angle in degrees, eV, shape ``(len(angles),)``.

    Raises
    ------
    DataError
        When the bond cannot turn, or a relaxation does not converge.
    """
    turning = turning_atoms(atoms, dihedral)
    at = atoms.copy()
    energies = []
    for angle in angles:
        # each angle begins with the last one relaxed: the molecule follows
        at.set_constraint()
        at.set_dihedral(*dihedral, angle, indices=turning)
        at.calc = calculator
        if not rigid:
            at.set_constraint(FixInternals(dihedrals_deg=[[angle, list(dihedral)]], epsilon=1e-6))
            with BFGS(at, logfile=None) as optimizer:
                if not optimizer.run(fmax=fmax, steps=300):
                    raise DataError(f"The molecule did not relax in 300 steps at {angle:g} degrees.")
        energies.append(float(at.get_potential_energy()))
        at = at.copy()
    return np.array(energies)


def ranking(structures: Sequence[Atoms], energies: Sequence[float], labels: Sequence[float]) -> Ranking:
    """Compare the order of conformers of one molecule, energies and labels in eV.

    Raises
    ------
    DataError
        When the structures are not of one composition, whose energies alone can be ordered.
    """
    if len({str(atoms.symbols.formula.format("hill")) for atoms in structures}) > 1:
        raise DataError("The structures are of several compositions; only conformers of one molecule can be ranked.")
    found, given = np.asarray(energies, dtype=float), np.asarray(labels, dtype=float)
    relative = 1000.0 * (found - found.min())
    known = np.isfinite(given)
    if known.sum() < 2:
        return Ranking(relative, np.full(len(found), np.nan), float("nan"), float("nan"), False)
    wanted = 1000.0 * (given - given[known].min())
    error = 1000.0 * (found - given)[known]
    return Ranking(
        found=relative,
        labels=wanted,
        kendall_tau=float(kendalltau(found[known], given[known]).statistic),
        mean_absolute_error=float(np.abs(error - np.median(error)).mean()),
        lowest_agrees=bool(np.argmin(found[known]) == np.argmin(given[known])),
    )


def draw(path: Path, x: np.ndarray, y: np.ndarray, x_title: str, y_title: str, style: str) -> None:
    """Draw one curve or cloud."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    axes.plot(x, y, style, color="#1d5fd1")
    if style == "o":
        ends = [0, float(np.nanmax([np.nanmax(x), np.nanmax(y)]))]
        axes.plot(ends, ends, ":", color="#66707f")
    axes.set(xlabel=x_title, ylabel=y_title)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    said = argparse.ArgumentParser(description="Torsion profile of a molecule, or a ranking of its conformers.")
    tasks = said.add_subparsers(dest="task", required=True)
    profile = tasks.add_parser("profile", help="energy against a dihedral angle")
    rank = tasks.add_parser("rank", help="order structures of one molecule by energy")
    for task in (profile, rank):
        task.add_argument("model", help="model.rung, a backend's file, or package.module:function for a calculator")
        task.add_argument("--fidelity", required=True, help="the fidelity of the model")
        task.add_argument("--trusted", action="store_true", help="the model may run code while it loads")
        task.add_argument("--out", type=Path, default=Path("torsion"), help="folder of table and figure")
    what = profile.add_mutually_exclusive_group(required=True)
    what.add_argument("--molecule", help="a name that ase.build.molecule knows")
    what.add_argument("--structure", type=Path, help="a file; its first structure counts")
    profile.add_argument("--atoms", type=int, nargs=4, required=True, help="the four atoms of the dihedral, from 0")
    profile.add_argument("--step", type=float, default=15.0, help="degrees (default 15)")
    profile.add_argument("--rigid", action="store_true", help="turn without relaxing")
    rank.add_argument("structures", type=Path, help="structures of one molecule")
    rank.add_argument("--labels", metavar="FIDELITY", help="compare with these labels")
    return said


def _profile(given: argparse.Namespace, potential: Opened) -> list[dict[str, float]]:
    atoms = molecule(given.molecule) if given.molecule else read(given.structure, index=0)
    angles = np.arange(0.0, 360.0 + given.step / 2, given.step)
    energies = torsion_profile(atoms, potential.calculator, given.atoms, angles, rigid=given.rigid)
    relative = 1000.0 * (energies - energies.min())
    print(f"{atoms.symbols} at {given.fidelity}, dihedral {'-'.join(map(str, given.atoms))}: meV from the lowest")
    for angle, energy in zip(angles, relative, strict=True):
        print(f"{angle:6.0f}° {energy:10.1f}")
    print(f"highest {relative.max():.1f} meV at {angles[relative.argmax()]:g}°")
    print(f"{stated(reference_energies(potential, atoms.symbols))} They cancel here.")
    draw(given.out / "torsion.png", angles, relative, "dihedral angle, degrees", "energy, meV", "-o")
    return [{"angle": float(a), "energy": float(e)} for a, e in zip(angles, relative, strict=True)]


def _rank(given: argparse.Namespace, potential: Opened) -> list[dict[str, float]]:
    structures = read(given.structures, index=":")
    labels = [float(one.info.get(f"{given.labels}_energy", np.nan)) if given.labels else np.nan for one in structures]
    found = ranking(structures, [float(potential.calculator.get_potential_energy(one)) for one in structures], labels)
    print(f"{structures[0].symbols}: {len(structures)} structures at {given.fidelity}, meV from the lowest")
    for place, index in enumerate(np.argsort(found.found)):
        print(f"{place + 1:4d}  structure {index:4d} {found.found[index]:10.1f} {found.labels[index]:10.1f}")
    if np.isfinite(found.kendall_tau):
        print(f"Kendall's tau {found.kendall_tau:.3f}, mean absolute error {found.mean_absolute_error:.1f} meV")
        print(f"The lowest one is {'' if found.lowest_agrees else 'not '}that of the labels.")
        draw(given.out / "ranking.png", found.labels, found.found, f"{given.labels}, meV", "model, meV", "o")
    else:
        draw(given.out / "ranking.png", np.arange(len(structures)), np.sort(found.found), "place", "energy, meV", "-o")
    print(f"{stated(reference_energies(potential, structures[0].symbols))} They cancel here.")
    pairs = zip(found.found, found.labels, strict=True)
    return [{"structure": index, "energy": float(a), "label": float(b)} for index, (a, b) in enumerate(pairs)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write it with the figure, and return the exit code."""
    given = parser().parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        potential = open_calculator(Source(model=given.model, trusted=given.trusted), given.fidelity)
        rows = {"profile": _profile, "rank": _rank}[given.task](given, potential)
    except RungError as error:
        print(f"torsion: {error}", file=sys.stderr)
        return 2
    with (given.out / f"{given.task}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"Wrote the table and the figure to {given.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
