"""The vacancy hop of the MoS2 testbed from SevenNet-MF-0's PBE, which is the testbed's low level itself.

Two targets: the modality R2SCAN of the same file, and CHGNet's r2SCAN, whose labels the testbed has, so that the small
MACE of ``benchmarks/testbed_table.py`` had the same ones. Labels have noise of 20 to 60 meV a cell. The static barrier
is the highest image less the first of the band that the low level relaxed; then every lift relaxes the band itself.

    .venv-sevenn/bin/python benchmarks/sevennet_bases/hop.py --work runs/sevennet_bases \\
        --write docs/results/sevennet-bases.md#mos2
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lifts import Numbers, Study, energies, errors, options_of, table, truths
from modalities import CHECKPOINT, HIGH, LOW, labelled_once

from rung import RungCalculator
from rung.backends import load_base
from rung.data.readers.structures import read_structures
from rung.data.splits import with_energies
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.evaluate.paths.barrier import BarrierSettings, relaxed_barrier
from rung.model.potential import ReadoutPotential
from rung.pages import write_table
from rung.storage import read_json, write_json

BAND = BarrierSettings(images=7, fmax=0.05, max_steps=300)
NOISE = (0.02, 0.06)
CHGNET_BARRIER = 1.147
COLUMNS = {
    "energy": ("E, test, meV/atom", 1),
    "forces": ("F, test, meV/Å", 0),
    "static": ("barrier on the low level's band, eV", 3),
    "relaxed": ("barrier, relaxed, eV", 3),
}


def frames(name: str, target: str, work: Path, every: int) -> list[Structure]:
    """Return every so many frames of a file, with exact labels of a target."""
    read = read_structures(folder("mos2") / f"{name}.extxyz")
    if target == "CHGNet":
        chosen = read if name != "train" else with_energies(read, HIGH, read_json(folder("mos2") / "train_exact.json"))
        return list(chosen[::every])
    return labelled_once(work / f"{name}.extxyz", read[::every], forces=name == "test")


def barrier(values: Sequence[float]) -> float:
    """Return the highest energy less the first."""
    return float(np.max(values) - values[0])


@dataclass(frozen=True)
class Hop:
    """What is asked of a potential: errors on ``test``, and barriers of ``band``."""

    test: Sequence[Structure]
    band: Sequence[Structure]

    def __call__(self, potential: ReadoutPotential, fidelity: str) -> Numbers:
        """Return errors and both barriers."""
        found = errors(potential, fidelity, self.test)
        as_is = {} if fidelity == LOW else {"energy": found["energy"]}
        static = barrier(energies(potential, fidelity, self.band))
        return {**as_is, "forces": found["forces"], "static": static, "relaxed": self.relaxed(potential, fidelity)}

    def relaxed(self, potential: ReadoutPotential, fidelity: str) -> float:
        """Return the barrier of the band that the potential relaxes."""
        images = [one.atoms for one in self.band]
        calculator = RungCalculator(potential, fidelity=fidelity)
        return relaxed_barrier(images[0], images[-1], calculator, BAND, guess_images=images).barrier


def truth(hop: Hop, target: str, place: Path) -> Numbers:
    """Return the barriers of the target itself."""
    path = place / "truth.json"
    if not path.exists():
        relaxed = CHGNET_BARRIER
        if target != "CHGNet":
            relaxed = hop.relaxed(load_base(CHECKPOINT, fidelity=HIGH, head="R2SCAN"), HIGH)
        write_json(path, {"static": barrier(truths(hop.band)), "relaxed": relaxed})
    return read_json(path)


def main() -> None:
    """Make what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[25])
    parser.add_argument("--targets", nargs="+", choices=("R2SCAN", "CHGNet"), default=("R2SCAN", "CHGNet"))
    options = options_of(parser)
    lines = []
    for target in options.targets:
        place = options.work / "mos2" / target
        train = frames("train", target, place, 6)
        hop = Hop(frames("test", target, place, 3), frames("neb_pbe", target, place, 1))
        true = truth(hop, target, place)
        for count in options.labels:
            cache = options.work / "mos2" / "cache"
            study = Study(f"mos2 {target} {count}", place / str(count), cache, train, count, NOISE, hop, options.draws)
            study.make(options.methods)
            lines += [f"Target {target}; {count} energies with noise of 20 to 60 meV a cell:", ""]
            lines += [*table({"truth": [true], **study.made(options.write)}, COLUMNS), ""]
            print("\n".join(lines), flush=True)
    if options.write:
        write_table(options.write, "\n".join(lines))


if __name__ == "__main__":
    main()
