"""What it is worth that a process keeps the memory that it frees: time and peak memory with and without, in turn.

    OMP_NUM_THREADS=1 python benchmarks/freed_memory.py [--rounds 5] [--out docs/results/speed.md#memory]

Each case runs in a process of its own, once as glibc does it and once as ``rung`` does, round after round.
Times are processor seconds; a ratio is the median over rounds, so other work on the machine matters little.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from training_batches import started

from rung import RungCalculator, demo_data, read_structures
from rung.backends import load_base
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.memory import keep_freed_memory
from rung.pages import write_table

HOP = demo_data.folder("mos2")


def trained(frames: list[Structure], fidelity: str, batch_size: int) -> Callable[[], object]:
    """Return one epoch over some frames."""
    rows, model = started(frames, fidelity)
    settings = TrainingSettings(epochs=1, batch_size=batch_size, schedule=Constant())
    return lambda: train(model, rows, None, settings, seed=0)


def molecules() -> Callable[[], object]:
    """Return an epoch over molecules of three to six atoms."""
    frames = read_structures(demo_data.folder("molecules") / "frames.extxyz")
    return trained([one for one in frames if one.info["part"] == "train"][:192], "gfn2", 16)


def cells() -> Callable[[], object]:
    """Return an epoch over cells of 26 to 27 atoms."""
    return trained(read_structures(HOP / "train.extxyz")[:24], "pbe", 4)


def designs() -> Callable[[], object]:
    """Return full designs of such cells."""
    base = load_base(HOP / "base.model", fidelity="pbe")
    frames = read_structures(HOP / "train.extxyz")[:6]
    readout = base.surface("pbe").readout
    return lambda: build_designs(frames, base.backbone, readout, forces=True, fidelity="pbe", kind="summed")


def forces() -> Callable[[], object]:
    """Return forces of a slab of 243 atoms, four times."""
    atoms = read_structures(HOP / "train.extxyz")[0].atoms * (3, 3, 1)
    atoms.calc = RungCalculator(HOP / "base.model", fidelity="pbe")

    def work() -> None:
        for number in range(4):
            atoms.rattle(0.01, seed=number)
            atoms.get_forces()

    return work


CASES = {
    "an epoch of training, 192 molecules of 3 to 6 atoms": molecules,
    "an epoch of training, 24 cells of 26 to 27 atoms": cells,
    "full force designs of six such cells": designs,
    "forces of a slab of 234 to 243 atoms, four times": forces,
}


def child(case: str, how: str) -> None:
    """Print the processor seconds of a case and the peak memory of its process, GB."""
    if how == "kept" and not keep_freed_memory():
        raise SystemExit("Nothing to compare: the environment sets the allocator, or this is no glibc.")
    torch.set_num_threads(1)
    work = CASES[case]()
    work()  # the first time compiles
    before = time.process_time()
    work()
    print(time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def measured(case: str, how: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, __file__, "--case", case, how], capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def lines(rounds: int) -> list[str]:
    """Return the table."""
    found = [
        "| case | given back, s | kept, s | kept over given back | given back, GB | kept, GB |",
        "|---|" + "---:|" * 5,
    ]
    for case in CASES:
        pairs = np.array([[measured(case, how) for how in ("given back", "kept")] for _ in range(rounds)])
        (back, kept), (back_peak, kept_peak) = np.median(pairs[..., 0], axis=0), np.median(pairs[..., 1], axis=0)
        ratio = np.median(pairs[:, 1, 0] / pairs[:, 0, 0])
        found.append(f"| {case} | {back:.2f} | {kept:.2f} | {ratio:.2f} | {back_peak:.2f} | {kept_peak:.2f} |")
        print(found[-1], flush=True)
    return [*found, "", f"Medians of {rounds} rounds; one thread."]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.case:
        child(*chosen.case)
        return
    text = "\n".join(lines(chosen.rounds)) + "\n"
    if chosen.out is not None:
        write_table(chosen.out, text)


if __name__ == "__main__":
    main()
