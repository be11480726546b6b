"""Formation energies and energies above the hull of six binary systems, from SevenNet-MF-0's PBE and its lifts.

Elements and ordered prototypes are relaxed with the base, cells too, and three more frames of each are strained and
rattled. Labels are energies of the modality R2SCAN of forty of the first two of these; the third is for tests, and no
phase itself has a label. Every hull is of one potential, with plain energies: none is corrected, and none is mixed with
another level's. Geometries are those of the base for every potential.

    .venv-sevenn/bin/python benchmarks/sevennet_bases/hulls.py --work runs/sevennet_bases \\
        --write docs/results/sevennet-bases.md#hulls
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.phasediagram import PhaseDiagram
from lifts import Numbers, Study, energies, errors, options_of, table, truths
from modalities import CHECKPOINT, LOW, labelled_once

from rung import RungCalculator
from rung.backends import load_base
from rung.data.labels import Array
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import DataError
from rung.model.potential import ReadoutPotential
from rung.pages import write_table

SYSTEMS = ("Ni-Al", "Cu-Au", "Ti-Al", "Li-Al", "Mg-Si", "Mg-Ge")
ORDERED = {"L1_2": (3, 1), "L1_0": (2, 2), "B2": (1, 1), "rocksalt": (1, 1), "zincblende": (1, 1), "fluorite": (1, 2)}
"""Prototypes and the atoms of each element in them; the first element takes the first place."""

COPIES, STRAIN, RATTLE = 3, 0.03, 0.06
N_LABELS, NOISE = 40, 0.01
NEAR = 100.0
"""meV/atom above the target's own hull: phases that may form."""
COLUMNS = {
    "formation": ("formation energy, MAE, meV/atom", 1),
    "above": ("above hull, MAE, meV/atom", 1),
    "near": (f"the same, of phases within {NEAR:g} of it", 1),
    "systems": ("systems with the right stable phases, of 6", 1),
    "energy": ("E, strained, meV/atom", 1),
    "forces": ("F, strained, meV/Å", 0),
}


def prototypes() -> Iterator[tuple[str, Atoms]]:
    """Yield every element in its own structure once, and the ordered phases of each system, with their names."""
    for symbol in dict.fromkeys(symbol for system in SYSTEMS for symbol in system.split("-")):
        yield symbol, bulk(symbol)
    for system in SYSTEMS:
        first, second = system.split("-")
        for prototype, (many, few) in ORDERED.items():
            yield f"{system} {prototype}", _ordered(prototype, first, second)
            if many != few:
                yield f"{second}-{first} {prototype}", _ordered(prototype, second, first)


def _ordered(prototype: str, first: str, second: str) -> Atoms:
    """Return a phase at a length that covalent radii suggest; the cell is relaxed afterwards."""
    bond = sum(float(covalent_radii[Atoms(symbol).numbers[0]]) for symbol in (first, second))
    if prototype in ("L1_2", "L1_0"):
        atoms = bulk(first, "fcc", a=bond * np.sqrt(2), cubic=True)
        atoms.symbols[[0] if prototype == "L1_2" else [2, 3]] = second
        return atoms
    factor = {"B2": 2 / np.sqrt(3), "rocksalt": 2.0, "zincblende": 4 / np.sqrt(3), "fluorite": 4 / np.sqrt(3)}
    name = {"B2": "cesiumchloride"}.get(prototype, prototype)
    symbols = first + second + (second if prototype == "fluorite" else "")
    return bulk(symbols, name, a=bond * factor[prototype])


def relaxed_phases(path: Path, base: ReadoutPotential) -> list[Structure]:
    """Return the phases relaxed with the base, and strained copies of each; ``path`` keeps them."""
    if not path.exists():
        rng, found = np.random.default_rng(0), []
        for name, atoms in prototypes():
            atoms.calc = RungCalculator(base, fidelity=LOW)
            with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
                if not optimizer.run(fmax=0.02, steps=200):
                    raise DataError(f"{name} did not relax in 200 steps.")
            for copy in range(COPIES + 1):
                moved = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
                if copy:
                    moved.set_cell(moved.cell.array @ (np.eye(3) + rng.uniform(-STRAIN, STRAIN, (3, 3))), True)
                    moved.positions += rng.normal(0.0, RATTLE, moved.positions.shape)
                found.append(Structure(moved, f"{name} {copy}".replace(" ", "_"), {}, {"phase": name, "copy": copy}))
            print(name, len(atoms), flush=True)
        write_structures(path, found)
    return read_structures(path)


@dataclass(frozen=True)
class Hulls:
    """What is asked of a potential: the hulls of the phases, and errors of the frames that no draw takes."""

    frames: Sequence[Structure]

    def __call__(self, potential: ReadoutPotential, fidelity: str) -> Numbers:
        """Return mean absolute errors, and how many systems have the right stable phases."""
        phases = [one for one in self.frames if not one.info["copy"]]
        formation, above, near, right = [], [], [], 0
        for system in SYSTEMS:
            mine = [one for one in phases if set(one.atoms.symbols) <= set(system.split("-"))]
            true = hull(mine, truths(mine))
            found = hull(mine, energies(potential, fidelity, mine))
            compounds = [place for place, one in enumerate(mine) if len(set(one.atoms.symbols)) > 1]
            formation += list(np.abs(found[0] - true[0])[compounds])
            above += list(np.abs(found[1] - true[1])[compounds])
            near += [abs(found[1][place] - true[1][place]) for place in compounds if true[1][place] < NEAR]
            right += int(np.array_equal(found[1] < 1e-6, true[1] < 1e-6))
        numbers = {"formation": float(np.mean(formation)), "above": float(np.mean(above))}
        numbers |= {"near": float(np.mean(near)), "systems": float(right)}
        said = errors(potential, fidelity, [one for one in self.frames if one.info["copy"] == COPIES])
        return {**numbers, "forces": said["forces"], **({} if fidelity == LOW else {"energy": said["energy"]})}


def hull(phases: Sequence[Structure], values: Array) -> tuple[Array, Array]:
    """Return formation energies and energies above the hull, meV/atom, of phases of one level."""
    entries = [(one.atoms.get_chemical_formula(), value) for one, value in zip(phases, values, strict=True)]
    elements = {
        one.atoms.get_chemical_symbols()[0]: value / len(one.atoms)
        for one, value in zip(phases, values, strict=True)
        if len(set(one.atoms.symbols)) == 1
    }
    diagram = PhaseDiagram(entries, verbose=False)
    formation, above = [], []
    for (formula, value), one in zip(entries, phases, strict=True):
        counts = one.atoms.symbols.formula.count()
        formation.append((value - sum(n * elements[symbol] for symbol, n in counts.items())) / len(one.atoms))
        above.append((value - diagram.decompose(formula)[0]) / len(one.atoms))
    return 1000.0 * np.array(formation), 1000.0 * np.array(above)


def main() -> None:
    """Make what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = options_of(parser)
    place = options.work / "hulls"
    base = load_base(CHECKPOINT, fidelity=LOW, head="PBE")
    frames = labelled_once(place / "labelled.extxyz", relaxed_phases(place / "phases.extxyz", base))
    train = [replace(one, labels={LOW: one.labels[LOW]}) if one.info["copy"] == 0 else one for one in frames]
    train = [one for one in train if one.info["copy"] != COPIES]
    study = Study("hulls", place, place / "cache", train, N_LABELS, NOISE, Hulls(frames), options.draws)
    study.make(options.methods)
    lines = [
        f"{N_LABELS} energies with noise of {1000 * NOISE:g} meV a cell:",
        "",
        *table(study.made(options.write), COLUMNS),
    ]
    print("\n".join(lines))
    if options.write:
        write_table(options.write, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
