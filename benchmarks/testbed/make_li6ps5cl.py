"""Make the testbed of the argyrodite Li6PS5Cl: target labels on ordered, cold frames only.

Cells of 52 atoms. Ordered ones (Cl and free S on sites of their own) are run at 300 K and carry energies of the target
beside energy and forces of the low level; disordered ones, with Cl and free S exchanged, are run at 1000 and 1200 K and
carry the low level alone. The test holds hot and cold frames of other starts at both levels. The low level drives
all dynamics. Labels come from pretrained potentials (see ``levels.py``), not from ab initio calculations.

    OMP_NUM_THREADS=1 labels/bin/python make_li6ps5cl.py li6ps5cl       # about 20 minutes on one core
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from levels import HIGH, LOW, calculators, dynamics, label, plain, relaxed, say, write_frames

RNG = np.random.default_rng(20260602)
LATTICE = 10.1
"""Å, before the cell is relaxed at the low level."""
SITES = {
    "P": (0.0, 0.0, 0.5),
    "S": (0.119, -0.119, 0.619),
    "Cl": (0.0, 0.0, 0.0),
    "free S": (0.25, 0.25, 0.75),
    "Li": (0.308, 0.024, 0.692),
}
"""Fractional coordinates in F-43m: Wyckoff 4b, 16e, 4a, 4d and 48h, the last half filled."""


def ordered() -> Atoms:
    """Return Li24P4S20Cl4: one Li, at random, of each pair of 48h sites that lie too close for two."""
    cubic: dict[str, Any] = {"spacegroup": 216, "cellpar": [LATTICE] * 3 + [90] * 3}
    framework = crystal(["P", "S", "Cl", "S"], [SITES[k] for k in ("P", "S", "Cl", "free S")], **cubic)
    lithium = crystal(["Li"], [SITES["Li"]], **cubic)
    distances = lithium.get_all_distances(mic=True) + 1e3 * np.eye(len(lithium))
    partner = distances.argmin(axis=1)
    pairs = {tuple(sorted((k, int(other)))) for k, other in enumerate(partner)}
    if len(lithium) != 48 or len(pairs) != 24:
        raise RuntimeError(f"{len(lithium)} lithium sites in {len(pairs)} pairs; expected 48 in 24.")
    chosen = [pair[RNG.integers(2)] for pair in sorted(pairs)]
    found = framework + lithium[chosen]
    return Atoms(numbers=found.numbers, positions=found.positions, cell=found.cell.array, pbc=True)


def exchanged(atoms: Atoms, count: int) -> Atoms:
    """Return the structure with ``count`` Cl exchanged for free S: those S without P within 2.8 Å."""
    atoms = atoms.copy()
    phosphorus = np.flatnonzero(atoms.numbers == 15)
    sulfur = [
        k for k in np.flatnonzero(atoms.numbers == 16) if atoms.get_distances(k, phosphorus, mic=True).min() > 2.8
    ]
    chlorine = np.flatnonzero(atoms.numbers == 17)
    atoms.numbers[RNG.permutation(sulfur)[:count]] = 17
    atoms.numbers[RNG.permutation(chlorine)[:count]] = 16
    return atoms


def run(start: Atoms, calculator: Any, temperature: float, count: int, **info: Any) -> list[Atoms]:
    """Return ``count`` frames of one trajectory, 12 to 16 fs apart after some settling."""
    every, settle = (6, 40) if temperature < 500 else (8, 60)
    frames = dynamics(start, calculator, temperature, RNG, settle=settle, count=count, every=every)
    found = [plain(frame, temperature=temperature, **info) for frame in frames]
    say(f"{count} frames at {temperature} K, {info}")
    return found


def main() -> None:
    """Write train and test frames, and the target's energy of every training frame."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    calc = calculators()
    cold = [relaxed(ordered(), calc[LOW], steps=60, cell=True, fmax=0.05) for _ in range(3)]
    say("relaxed three ordered cells, lengths", [np.round(one.cell.lengths(), 2).tolist() for one in cold])

    def hot(start: Atoms, count: int) -> Atoms:
        stretched = exchanged(start, count)
        stretched.set_cell(stretched.cell.array * 1.015, scale_atoms=True)
        return relaxed(stretched, calc[LOW], steps=10, cell=False)

    train = run(cold[0], calc[LOW], 300, 30, exchanged=0) + run(cold[1], calc[LOW], 300, 30, exchanged=0)
    train += [
        f for k, t in ((1, 1000), (2, 1200), (3, 1000)) for f in run(hot(cold[k % 2], k), calc[LOW], t, 30, exchanged=k)
    ]
    tests = {
        "test_cold": run(cold[2], calc[LOW], 300, 20, exchanged=0),
        "test_hot": run(hot(cold[2], 1), calc[LOW], 1200, 20, exchanged=1)
        + run(hot(cold[2], 2), calc[LOW], 1000, 20, exchanged=2),
    }
    train = [train[k] for k in RNG.permutation(len(train))]
    exact = {}
    for place, frame in enumerate(train):
        label(frame, LOW, calc[LOW], forces=True)
        label(frame, HIGH, calc[HIGH], forces=False)
        exact[f"train-{place:03d}"] = frame.info[f"{HIGH}_energy"]
        if frame.info["exchanged"]:
            del frame.info[f"{HIGH}_energy"]
    for frame in tests["test_cold"] + tests["test_hot"]:
        for level in (LOW, HIGH):
            label(frame, level, calc[level], forces=True)
    (out / "train_exact.json").write_text(json.dumps(exact, indent=1) + "\n")
    for name, frames in {"train": train, **tests}.items():
        write_frames(out / f"{name}.extxyz", frames, lambda place, name=name: f"{name}-{place:03d}")


if __name__ == "__main__":
    main()
