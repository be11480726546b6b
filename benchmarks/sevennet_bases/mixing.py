"""Mixing energies of InGaN from SevenNet-MF-0's PBE, lifted with sixty energies at x = 0, 1/2 and 1.

Two targets: the modality R2SCAN of the same file, and CHGNet's r2SCAN, whose labels the testbed has, so that the small
MACE of ``benchmarks/withheld.py`` had the same ones. Mixing energies are taken at cells relaxed at the low level.

    .venv-sevenn/bin/python benchmarks/sevennet_bases/mixing.py --work runs/sevennet_bases \\
        --write docs/results/sevennet-bases.md#ingan
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from lifts import Numbers, Study, energies, errors, options_of, table, truths
from modalities import LOW, labelled_once

from rung.data.labels import Array
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.model.potential import ReadoutPotential
from rung.pages import write_table

TESTBED = Path(__file__).parent.parent / "testbed" / "ingan"
SEEN = (0.0, 0.5, 1.0)
CATIONS = (31, 49)
COLUMNS = {
    "r2": ("mixing R²", 3),
    "mae": ("mixing MAE, meV a cation", 1),
    "energy": ("E, other x, meV/atom", 1),
    "forces": ("F, other x, meV/Å", 0),
}


def frames(name: str, target: str, work: Path) -> list[Structure]:
    """Return the frames of a file with the labels of a target."""
    read = read_structures(TESTBED / f"{name}.extxyz")
    return read if target == "CHGNet" else labelled_once(work / f"{name}.extxyz", read, forces=name == "test")


def mixing(structures: Sequence[Structure], values: Array) -> Array:
    """Return mixing energies, meV a cation: E(x) - x E(1) - (1 - x) E(0)."""
    x = np.array([one.info["x"] for one in structures])
    cations = np.array([np.isin(one.atoms.numbers, CATIONS).sum() for one in structures])
    each = values / cations
    return 1000.0 * (each - x * each[x == 1.0].mean() - (1 - x) * each[x == 0.0].mean())[(x > 0) & (x < 1)]


def measure(
    relaxed: Sequence[Structure], test: Sequence[Structure], potential: ReadoutPotential, fidelity: str
) -> Numbers:
    """Return how mixing energies agree with the target's, and errors at compositions without a label."""
    true = mixing(relaxed, truths(relaxed))
    error = mixing(relaxed, energies(potential, fidelity, relaxed)) - true
    r2 = 1.0 - float(error @ error) / float(np.sum((true - true.mean()) ** 2))
    found = errors(potential, fidelity, test)
    as_is = {} if fidelity == LOW else {"energy": found["energy"]}  # the zeros of two levels differ
    return {"r2": r2, "mae": float(np.abs(error).mean()), "forces": found["forces"], **as_is}


def study(target: str, work: Path, draws: int) -> Study:
    """Return the study of one target: training frames at x = 0, 1/2 and 1, and every fourth of the others."""
    place = work / "ingan" / target
    train = frames("train", target, place)
    seen = [one for one in train if one.info["x"] in SEEN]
    others = [replace(one, labels={LOW: one.labels[LOW]}) for one in train if one.info["x"] not in SEEN]
    test = [one for one in frames("test", target, place) if one.info["x"] not in SEEN][::2]
    asked = partial(measure, frames("relaxed", target, place), test)
    return Study(f"ingan {target}", place, work / "ingan" / "cache", [*seen, *others[::4]], 60, None, asked, draws)


def main() -> None:
    """Make what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = options_of(parser)
    lines = []
    for target in ("R2SCAN", "CHGNet"):
        one = study(target, options.work, options.draws)
        one.make(options.methods)
        lines += [
            f"Target {target}; 60 exact energies at x = 0, 1/2 and 1:",
            "",
            *table(one.made(options.write), COLUMNS),
            "",
        ]
        print("\n".join(lines))
    if options.write:
        write_table(options.write, "\n".join(lines))


if __name__ == "__main__":
    main()
