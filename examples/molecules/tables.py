"""Write what the levels of the molecules differ by: labels, energies, forces, barriers and harmonic modes.

python examples/molecules/tables.py DATA docs/results/molecules.md#levels
"""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from rung import read_structures
from rung.data.structure import Structure
from rung.pages import write_table

LEVELS = {"gfn2": "GFN2-xTB", "mp2": "MP2", "b3lyp": "B3LYP", "ccsdt": "CCSD(T)"}

COORDINATES = {
    "NH3": "inversion of NH₃",
    "HCN": "HCN to HNC",
    "H2O2": "torsion of H₂O₂",
    "HONO": "torsion of HONO",
    "CH3OH": "torsion of CH₃OH",
}


def row(*cells: object) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def counts(frames: Sequence[Structure]) -> Iterator[str]:
    """Yield how many labels there are of each molecule."""
    levels = [name for name in LEVELS if any(one.labelled(name).has_energy for one in frames)]
    yield row("molecule", *(LEVELS[name] for name in levels), "forces of CCSD(T)", "largest T1", "highest, eV")
    yield row(*["---"] * (len(levels) + 4))
    for molecule in dict.fromkeys(str(one.info["molecule"]) for one in frames):
        members = [one for one in frames if one.info["molecule"] == molecule]
        energies = [one.labelled("ccsdt").energy for one in members]
        yield row(
            molecule,
            *(sum(one.labelled(name).has_energy for one in members) for name in levels),
            sum(one.labelled("ccsdt").has_forces for one in members),
            f"{max(float(one.info['t1_diagnostic']) for one in members):.3f}",
            f"{max(energies) - min(energies):.1f}",
        )


def distances(frames: Sequence[Structure]) -> Iterator[str]:
    """Yield how far each pair of levels is apart: energies less a constant a molecule, and forces, r.m.s."""
    yield row("pair", "energies, meV/atom", "forces, meV/Å")
    yield row("---", "---", "---")
    for low, high in combinations(LEVELS, 2):
        both = [one for one in frames if one.labelled(low).has_energy and one.labelled(high).has_energy]
        if not both:
            continue
        forces = [
            (one.labelled(high).forces - one.labelled(low).forces).ravel()
            for one in both
            if one.labelled(low).has_forces and one.labelled(high).has_forces
        ]
        force = f"{1e3 * np.sqrt(np.mean(np.concatenate(forces) ** 2)):.0f}" if forces else "–"
        yield row(f"{LEVELS[low]} → {LEVELS[high]}", f"{1e3 * energy_distance(both, low, high):.0f}", force)


def energy_distance(frames: Sequence[Structure], low: str, high: str) -> float:
    """Return the r.m.s. difference of two levels, eV/atom, less its mean over each molecule."""
    squares: list[float] = []
    for molecule in {str(one.info["molecule"]) for one in frames}:
        members = [one for one in frames if one.info["molecule"] == molecule]
        values = np.array([(one.labelled(high).energy - one.labelled(low).energy) / len(one) for one in members])
        squares += ((values - values.mean()) ** 2).tolist()
    return float(np.sqrt(np.mean(squares)))


def barriers(paths: dict[str, Any]) -> Iterator[str]:
    """Yield the highest point of each path above its lowest one."""
    levels = [name for name in LEVELS if any(name in path["barrier"] for path in paths.values())]
    yield row("path", *(LEVELS[name] for name in levels))
    yield row(*["---"] * (len(levels) + 1))
    for name, path in paths.items():
        values = (path["barrier"].get(level) for level in levels)
        yield row(COORDINATES[name], *("–" if value is None else f"{value:.3f}" for value in values))


def modes(equilibria: dict[str, Any]) -> Iterator[str]:
    """Yield the harmonic wavenumbers of each minimum by level."""
    levels = [name for name in LEVELS if name in equilibria]
    yield row("minimum", *(LEVELS[name] for name in levels))
    yield row(*["---"] * (len(levels) + 1))
    for molecule in equilibria["mp2"]:
        for place in range(len(equilibria["mp2"][molecule])):
            cells = [equilibria[level][molecule][place] if molecule in equilibria[level] else None for level in levels]
            shown = ["–" if one is None else " ".join(f"{mode:.0f}" for mode in one["wavenumbers"]) for one in cells]
            yield row(f"{molecule}{', second' if place else ''}", *shown)


def main(data: Path, out: Path) -> None:
    """Write the tables."""
    frames = read_structures(data / "frames.extxyz")
    references = json.loads((data / "references.json").read_text())
    parts = [list(counts(frames)), list(distances(frames)), list(barriers(references["paths"]))]
    if "mp2" in references["equilibria"]:
        parts.append(list(modes(references["equilibria"])))
    titles = ("Labels", "Distances between levels", "Barriers, eV", "Harmonic modes, cm⁻¹")
    blocks = (f"**{title}**\n\n" + "\n".join(lines) for title, lines in zip(titles, parts, strict=False))
    write_table(out, "\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
