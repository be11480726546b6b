"""What ``rung fit --dry-run`` says of a training, beside what the training then takes.

    OMP_NUM_THREADS=1 python benchmarks/dry_run.py [--rounds 3] [--out docs/how-to/methods.md#dry-run]

Estimate and training run in processes of their own, in turn; ratios are medians over rounds. Times are processor
seconds, so other work on the machine matters little. Memory is the rise of the resident set above what the process
had before, after a training of one epoch on a few rows: libraries are loaded then.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from rung import demo_data, read_structures
from rung.backends import load_base
from rung.data.splits import energies_only, evenly_spread
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods import METHODS
from rung.pages import write_table
from rung.progress import memory_size

CELLS = demo_data.folder("mos2")
SHAPE = {"channels": 16, "max_l": 1, "correlation": 2, "radial_units": [32, 32]}


def molecules(batch_size: int) -> tuple[Lift, dict[str, object]]:
    """Return molecules of three to six atoms to train a new model on."""
    frames = read_structures(demo_data.folder("molecules") / "frames.extxyz")
    some = evenly_spread([one for one in frames if one.info["part"] == "train"], 240)
    training = {"epochs": 20, "batch_size": batch_size}
    lift = Lift(
        [*some[::5], *some[1::5], *some[2::5], *some[3::5]], some[4::5], None, {"gfn2": Fidelity("gfn2")}, "gfn2"
    )
    return lift, {"name": "scratch", "architecture": SHAPE, "training": training}


def cells() -> tuple[Lift, dict[str, object]]:
    """Return cells of 26 to 27 atoms at two fidelities, with more rows an epoch than there are labels."""
    frames = read_structures(CELLS / "train.extxyz")
    base = Base(load_base(CELLS / "base.model", fidelity="pbe"), "pbe")
    fidelities = {name: Fidelity(name) for name in ("pbe", "r2scan")}
    training = {"epochs": 8, "sampling": {"name": "balanced", "least_rows": 64}}
    lift = Lift(frames[:16], frames[16:24], base, fidelities, "r2scan")
    return lift, {"name": "joint", "training": training}


def tangent_of_cells() -> tuple[Lift, dict[str, object]]:
    """Return forty energies of cells of 26 to 27 atoms, for a fit of all layers."""
    lift, _ = cells()
    frames = read_structures(CELLS / "train.extxyz")
    return replace(lift, train=energies_only(frames[:40], "r2scan"), valid=()), {"name": "tangent"}


def tangent_of_molecules() -> tuple[Lift, dict[str, object]]:
    """Return energies of molecules of three to six atoms, for a fit of all layers of a base of few epochs."""
    lift, chosen = molecules(8)
    scratch, short = METHODS["scratch"], {"epochs": 10}
    base = scratch.fit(lift, scratch.settings.model_validate({**chosen, "training": short}), Context()).potential
    train = [replace(one, labels={"mp2": one.labelled("mp2")}) for one in lift.train[::2]]
    fidelities = {name: Fidelity(name) for name in ("gfn2", "mp2")}
    return Lift(energies_only(train, "mp2"), (), Base(base, "gfn2"), fidelities, "mp2"), {"name": "tangent"}


CASES = {
    "molecules, `scratch`, 8 rows a step": lambda: molecules(8),
    "molecules, `scratch`, 32 rows a step": lambda: molecules(32),
    "cells of MoS₂, `joint`, 8 rows a step": cells,
    "cells of MoS₂, `tangent`, 40 energies": tangent_of_cells,
    "molecules, `tangent`, 96 energies": tangent_of_molecules,
}


def resident(key: str) -> int:
    """Return a line of the kernel's account of this process, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def told(case: str) -> tuple[float, float]:
    """Return the seconds and bytes that are expected."""
    time.perf_counter = time.process_time  # what the estimate reads
    lift, chosen = CASES[case]()
    method = METHODS[str(chosen["name"])]
    assert method.expect is not None
    expected = method.expect(lift, method.settings.model_validate(chosen), Context())
    return expected.seconds, expected.memory


def taken(case: str) -> tuple[float, float]:
    """Return the seconds and bytes that the fit takes."""
    lift, chosen = CASES[case]()
    method = METHODS[str(chosen["name"])]
    settings = method.settings.model_validate(chosen)
    short = {"epochs": 1, "batch_size": 1, "sampling": {"name": "proportional"}}
    few = method.settings.model_validate({**chosen, "training": short} if "training" in chosen else chosen)
    method.fit(replace(lift, train=lift.train[:48:4], valid=lift.train[:1]), few, Context())
    Path("/proc/self/clear_refs").write_text("5")
    before, started = resident("VmRSS"), time.process_time()
    method.fit(lift, settings, Context())
    return time.process_time() - started, resident("VmHWM") - before


def in_a_process(what: str, case: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "--only", what, "--case", case]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, n_bytes = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(n_bytes)


def lines(rounds: int) -> list[str]:
    found = [
        "| fit | time told, s | taken, s | told / taken | memory told | taken | told / taken |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        pairs = [(in_a_process("told", case), in_a_process("taken", case)) for _ in range(rounds)]
        columns = []
        for place in (0, 1):
            ratio = statistics.median(one[place] / other[place] for one, other in pairs)
            columns.append((*(statistics.median(pair[side][place] for pair in pairs) for side in (0, 1)), ratio))
        (one, other, ratio), (held, rise, share) = columns
        memory = f"{memory_size(held)} | {memory_size(rise)} | {share:.2f}"
        found.append(f"| {case} | {one:.3g} | {other:.3g} | {ratio:.2f} | {memory} |")
        print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("told", "taken"), help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the table here, too")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.only:
        print(json.dumps((told if chosen.only == "told" else taken)(chosen.case)))
        return
    text = "\n".join([*lines(chosen.rounds), "", "float32, one thread."]) + "\n"
    if chosen.out is not None:
        write_table(chosen.out, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
