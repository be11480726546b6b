"""Make the testbed of In(x)Ga(1-x)N: compositions that have no label of the target.

Wurtzite supercells of 16 and 32 atoms over x from 0 to 1, their cations placed at random, strained, rattled and in part
relaxed a little. Every frame has energy and forces of the low level; the target's energy stands only where x is 0, 1/2
or 1. The other x are withheld from the target: the test and the mixing energies ask for them. Labels come from
pretrained potentials (see ``levels.py``), not from ab initio calculations.

    OMP_NUM_THREADS=1 labels/bin/python make_ingan.py ingan       # a few minutes on one core
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from levels import HIGH, LOW, calculators, label, plain, relaxed, say, write_frames

RNG = np.random.default_rng(20260601)
OFFERED = (0.0, 0.5, 1.0)
"""Compositions with target energies in the training file."""
SMALL, LARGE = (2, 2, 1), (2, 2, 2)
GAN, INN = (3.21, 5.23), (3.58, 5.79)
"""Lattice constants a and c, Å."""


def alloy(x: float, size: tuple[int, int, int]) -> Atoms:
    """Return a wurtzite supercell by Vegard's rule, In on ``x`` of the cation sites at random."""
    a, c = (1 - x) * np.array(GAN) + x * np.array(INN)
    atoms = bulk("GaN", "wurtzite", a=float(a), c=float(c)) * size
    cations = np.flatnonzero(atoms.numbers == 31)
    atoms.numbers[RNG.permutation(cations)[: round(x * len(cations))]] = 49
    return atoms


def disturbed(atoms: Atoms) -> Atoms:
    """Return the structure strained by up to 3 % a component and rattled."""
    strain = RNG.uniform(-0.03, 0.03, (3, 3)) * (0.35 + 0.65 * np.eye(3))
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
    atoms.positions += RNG.normal(0, RNG.choice([0.03, 0.06, 0.1]), atoms.positions.shape)
    return atoms


def frames_of(calculator: object, xs: list[float], size: tuple[int, int, int], count: int) -> list[Atoms]:
    """Return ``count`` frames of each x, every third relaxed by a few steps at the low level."""
    found = []
    for x in xs:
        for number in range(count):
            atoms = disturbed(alloy(x, size))
            if number % 3 == 2:
                atoms = relaxed(atoms, calculator, steps=8, cell=False)
            found.append(plain(atoms, x=x))
        say(f"x = {x:.4f}: {count} frames of {len(found[-1])} atoms")
    return found


def main() -> None:
    """Write train, test and relaxed frames, and the target's energy of every training frame."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    calc = calculators()
    eighths = [k / 8 for k in range(9)]
    train = frames_of(calc[LOW], eighths, SMALL, 24) + frames_of(calc[LOW], [0.25, 0.5, 0.75], LARGE, 8)
    test = frames_of(calc[LOW], eighths, SMALL, 6) + frames_of(calc[LOW], [k / 16 for k in (3, 7, 9, 13)], LARGE, 3)
    ends = [(x, 1) for x in (0.0, 1.0)]
    still = [
        plain(relaxed(alloy(x, SMALL), calc[LOW], steps=50, cell=True), x=x)
        for x, count in ends + [(x, 4) for x in eighths[1:-1]]
        for _ in range(count)
    ]
    say(f"relaxed {len(still)} cells at the low level")
    train = [train[k] for k in RNG.permutation(len(train))]
    exact = {}
    for place, frame in enumerate(train):
        label(frame, LOW, calc[LOW], forces=True)
        label(frame, HIGH, calc[HIGH], forces=False)
        exact[f"train-{place:03d}"] = frame.info[f"{HIGH}_energy"]
        if frame.info["x"] not in OFFERED:
            del frame.info[f"{HIGH}_energy"]
    for frame in test + still:
        for level in (LOW, HIGH):
            label(frame, level, calc[level], forces=True)
    (out / "train_exact.json").write_text(json.dumps(exact, indent=1) + "\n")
    for name, frames in (("train", train), ("test", test), ("relaxed", still)):
        write_frames(out / f"{name}.extxyz", frames, lambda place, name=name: f"{name}-{place:03d}")


if __name__ == "__main__":
    main()
