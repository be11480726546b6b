"""Energy above the convex hull of several chemical systems, all from one potential.

    python energy_above_hull.py ase.calculators.emt:EMT --fidelity emt --trusted --out hull

For each binary system A-B the fcc elements and the ordered phases A3B and AB3 (L1_2), AB (L1_0 and B2) are built and
relaxed, cell included, and put on one hull with pymatgen's PhaseDiagram. Other structures can be added from a file
(``--structures``), and energies that something else computed as well (``--energies FIDELITY`` takes the labels of that
file as they are): but only of the level of theory that the potential has. Energies of two levels, or corrected ones
beside plain ones, never share a hull; the script refuses them.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import reference_states
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import BFGS
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from rung.errors import DataError, RungError
from rung.tasks.opened import Source, open_calculator
from rung.tasks.reference_energies import reference_energies, stated

mpl.use("Agg")

SYSTEMS = ("Cu-Au", "Ag-Au", "Cu-Pd", "Ni-Al", "Cu-Pt", "Ag-Pd")
"""Binaries whose elements ASE's EMT knows."""


@dataclass(frozen=True)
class Phase:
    """One structure's energy, and what level of theory it is of.

    Parameters
    ----------
    name
        What to call it.
    composition
        Atoms by symbol.
    energy
        eV per cell, as the level gives it.
    level
        The level of theory.
    correction
        What a scheme added to it, eV per cell; 0 for a plain energy.
    """

    name: str
    composition: Mapping[str, int]
    energy: float
    level: str
    correction: float = 0.0


def phase_diagram(phases: Sequence[Phase]) -> tuple[PhaseDiagram, list[PDEntry]]:
    """Return the hull of phases of one level of theory, and its entries in the same order.

    Raises
    ------
    DataError
        When phases are of several levels, or only some are corrected, or an element has no phase of its own.
    """
    levels = sorted({phase.level for phase in phases})
    if len(levels) > 1:
        raise DataError(
            f"The phases are of {len(levels)} levels of theory, {' and '.join(levels)}; energies of different levels "
            "cannot share a hull. Compute all with one."
        )
    if len({phase.correction != 0.0 for phase in phases}) > 1:
        raise DataError(
            "Some energies are corrected and some are not; a hull needs all of them plain, or all corrected."
        )
    present = {frozenset(phase.composition) for phase in phases}
    missing = sorted({symbol for names in present for symbol in names if frozenset([symbol]) not in present})
    if missing:
        raise DataError(f"There is no phase of {', '.join(missing)} alone, which formation energies are counted from.")
    entries = [PDEntry(Composition(dict(phase.composition)), phase.energy, name=phase.name) for phase in phases]
    return PhaseDiagram(entries), entries


def prototypes(first: str, second: str) -> dict[str, Atoms]:
    """Return the fcc elements and L1_2, L1_0 and B2 phases of two metals, at a lattice constant between theirs."""
    a, b = (_fcc_length(symbol) for symbol in (first, second))
    found = {f"{first} fcc": bulk(first, "fcc", a=a), f"{second} fcc": bulk(second, "fcc", a=b)}
    for major, minor, length in ((first, second, (3 * a + b) / 4), (second, first, (a + 3 * b) / 4)):
        cubic = bulk(major, "fcc", a=length, cubic=True)
        cubic.symbols[0] = minor
        found[f"{major}3{minor} L1_2"] = cubic
    layered = bulk(first, "fcc", a=(a + b) / 2, cubic=True)
    layered.symbols[[2, 3]] = second
    found[f"{first}{second} L1_0"] = layered
    found[f"{first}{second} B2"] = bulk(first + second, "cesiumchloride", a=(a + b) / 2 / 2 ** (1 / 3))
    return found


def relaxed_phase(name: str, atoms: Atoms, calculator: Any, level: str, fmax: float = 0.01) -> Phase:
    """Relax a structure and its cell, and return its phase."""
    atoms = atoms.copy()
    atoms.calc = calculator
    with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
        if not optimizer.run(fmax=fmax, steps=300):
            raise DataError(f"{name} did not relax in 300 steps; look at it before it stands on a hull.")
    return Phase(name, atoms.symbols.formula.count(), float(atoms.get_potential_energy()), level)


def labelled_phases(file: Path, fidelity: str) -> list[Phase]:
    """Return the phases whose energies a file has as ``<fidelity>_energy``; ``correction`` and ``name`` as it says."""
    found = []
    for index, atoms in enumerate(read(file, index=":")):
        if f"{fidelity}_energy" not in atoms.info:
            raise DataError(f"Structure {index} of {file} has no label {fidelity}_energy.")
        correction = float(atoms.info.get("correction", 0.0))
        name = str(atoms.info.get("name", f"{atoms.symbols} #{index}"))
        energy = float(atoms.info[f"{fidelity}_energy"]) + correction
        found.append(Phase(name, atoms.symbols.formula.count(), energy, fidelity, correction))
    return found


def _fcc_length(symbol: str) -> float:
    state = reference_states[Atoms(symbol).numbers[0]]
    if state is None or "a" not in state or state["symmetry"] not in ("fcc", "bcc"):
        raise DataError(f"No lattice constant of cubic {symbol} is known here; give structures with --structures.")
    return float(state["a"] * (1.0 if state["symmetry"] == "fcc" else 2 ** (1 / 3)))


def draw(path: Path, systems: Mapping[str, list[dict[str, Any]]]) -> None:
    """Draw formation energies and the hull of every system."""
    import matplotlib.pyplot as plt

    columns = min(3, len(systems))
    rows = -(-len(systems) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3.4 * columns, 2.8 * rows), layout="constrained", squeeze=False)
    for axes, (system, found) in zip(grid.flat, systems.items(), strict=False):
        x, y = (np.array([row[key] for row in found]) for key in ("x", "formation"))
        stable = np.array([row["above_hull"] < 1e-6 for row in found])
        order = np.argsort(x[stable])
        axes.plot(x[stable][order], y[stable][order], "-o", color="#1d5fd1", ms=4)
        axes.plot(x[~stable], y[~stable], "x", color="#d9822b")
        axes.set(title=system, xlabel=f"share of {system.split('-')[1]}", ylabel="formation, meV/atom")
    for axes in list(grid.flat)[len(systems) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def hull_of(system: str, phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """Return each phase's formation energy and energy above the hull, meV/atom."""
    diagram, entries = phase_diagram(phases)
    second = system.split("-")[1]
    return [
        {
            "system": system,
            "phase": phase.name,
            "x": entry.composition.get_atomic_fraction(second),
            "formation": 1000.0 * float(diagram.get_form_energy_per_atom(entry)),
            "above_hull": 1000.0 * float(diagram.get_e_above_hull(entry)),
        }
        for phase, entry in zip(phases, entries, strict=True)
    ]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    said = argparse.ArgumentParser(description="Energy above hull of several chemical systems, of one level of theory.")
    said.add_argument("model", help="model.rung, a backend's file, or package.module:function for an ASE calculator")
    said.add_argument("--fidelity", required=True, help="the fidelity of the model")
    said.add_argument("--systems", nargs="+", default=SYSTEMS, metavar="A-B", help=f"default: {' '.join(SYSTEMS)}")
    said.add_argument("--structures", type=Path, help="more structures, relaxed with the model")
    said.add_argument("--energies", metavar="FIDELITY", help="take these labels of --structures in place of the model")
    said.add_argument("--trusted", action="store_true", help="the model may run code while it loads")
    said.add_argument("--out", type=Path, default=Path("energy_above_hull"), help="folder of table and figure")
    return said


def more_phases(given: argparse.Namespace, calculator: Any) -> list[Phase]:
    """Return the phases of ``--structures``."""
    if given.structures is None:
        return []
    if given.energies:
        return labelled_phases(given.structures, given.energies)
    return [
        relaxed_phase(f"{atoms.symbols} #{index}", atoms, calculator, given.fidelity)
        for index, atoms in enumerate(read(given.structures, index=":"))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write it with the figure, and return the exit code."""
    given = parser().parse_args(arguments)
    systems: dict[str, list[dict[str, Any]]] = {}
    try:
        potential = open_calculator(Source(model=given.model, trusted=given.trusted), given.fidelity)
        others = more_phases(given, potential.calculator)
        for system in given.systems:
            first, second = system.split("-")
            built = prototypes(first, second)
            phases = [relaxed_phase(name, atoms, potential.calculator, given.fidelity) for name, atoms in built.items()]
            phases += [one for one in others if set(one.composition) <= {first, second}]
            systems[system] = hull_of(system, phases)
    except RungError as error:
        print(f"energy_above_hull: {error}", file=sys.stderr)
        return 2
    print(f"Level of theory: {given.fidelity}, for every phase. Formation energies count from the fcc elements.")
    print(f"{'system':<8} {'phase':<14} {'formation':>10} {'above hull':>11}   meV/atom")
    rows = [row for found in systems.values() for row in found]
    for row in rows:
        print(f"{row['system']:<8} {row['phase']:<14} {row['formation']:10.1f} {row['above_hull']:11.1f}")
    print(stated(reference_energies(potential, {s for system in given.systems for s in system.split("-")})))
    given.out.mkdir(parents=True, exist_ok=True)
    draw(given.out / "energy_above_hull.png", systems)
    with (given.out / "energy_above_hull.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"Wrote {given.out / 'energy_above_hull.png'} and energy_above_hull.csv.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
