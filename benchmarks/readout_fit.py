"""Time to a readout fit: rung's closed form on cached designs against mace-torch's own readout-only training.

Both sides minimise one plain objective, on the same structures of the bundled testbed, in float32 and on one thread:

    J = mean_s (E_s − E*_s)² / (N_s σ/N)²  +  (P / n) · mean_c 3 (F_c − F*_c)² / τ²

over n structures s and components c of forces, N the mean number of atoms: the fit's own objective with E* the target's
energies less a change of reference energies that is fixed beforehand, F* the base's forces (the default anchor), one σ
and τ for all, no prior of the weights (α = ∞), no model error (s = 0) and no scale of the anchor (c = 1).

mace-torch runs as its users run it: ``mace_run_train --freeze 6``. That trains the tensors of both readouts, the first
matrix of the non-linear one included, which rung keeps; mace may therefore go below rung's minimum, and its time is
taken when it is within one per cent of it, from above. Its clock counts its optimiser's steps alone: neither its start,
nor its data loading, nor its evaluations. rung's clock counts everything after reading the files: designs, writing
them to the cache, the fit.

    OMP_NUM_THREADS=1 python benchmarks/readout_fit.py              the whole comparison, about 15 minutes
    OMP_NUM_THREADS=1 python benchmarks/readout_fit.py --help       smaller ones
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from readout_mace import Theirs, run_mace
from readout_memory import memory_in_a_process
from readout_task import LOW, Task, designs_of, load_task, objective, reference_minimum, rows_of, solve

from rung.features.cache import DesignCache
from rung.pages import write_table

LEARNING_RATES = (0.1, 0.03, 0.01)
N_FITS = 60
ASKED_ONE, ASKED_STUDY, ASKED_GIGABYTES = 10, 200, 3


@dataclass(frozen=True)
class Ours:
    """Seconds of rung's side, and what it found."""

    designs: float
    solve: float
    objective: float
    start: float
    reference: float


@dataclass(frozen=True)
class Study:
    """Seconds of 60 fits, and of them those of designs."""

    total: float
    designs: float


def run_ours(task: Task, cache: DesignCache) -> Ours:
    started = time.perf_counter()
    designs = designs_of(task, cache)
    built = time.perf_counter()
    rows = rows_of(task, designs)
    change = solve(task, rows)
    solved = time.perf_counter()
    return Ours(
        designs=built - started,
        solve=solved - built,
        objective=objective(task, rows, change),
        start=objective(task, rows, np.zeros(len(change))),
        reference=reference_minimum(task, rows),
    )


def run_study(task: Task, folder: Path) -> Study:
    """Fit 60 new draws of the labels' noise.

    Every fit reads its designs from the cache again, as separate runs would; the first finds it empty.
    """
    cache, random = DesignCache(folder), np.random.default_rng(0)
    started = time.perf_counter()
    designing = 0.0
    for _ in range(N_FITS):
        drawn = replace(task, energies=task.energies + task.energy_stderr * random.standard_normal(len(task.energies)))
        before = time.perf_counter()
        designs = designs_of(drawn, cache)
        designing += time.perf_counter() - before
        solve(drawn, rows_of(drawn, designs))
    return Study(time.perf_counter() - started, designing)


def check(ours: Ours, theirs: Sequence[Theirs]) -> None:
    """Stop unless both sides mean the same by J and rung is at its minimum."""
    if ours.objective > ours.reference * (1 + 1e-6):
        raise SystemExit(f"rung's J {ours.objective} is above the minimum {ours.reference}.")
    for run in theirs:
        if abs(run.first / ours.start - 1) > 1e-3:
            raise SystemExit(f"mace-torch starts at J = {run.first}, rung at {ours.start}: not the same objective.")


def fit_table(task: Task, ours: Ours, theirs: Sequence[Theirs]) -> list[str]:
    n_weights = len(task.base.surface(LOW).readout.weights)
    lines = [
        f"{len(task.structures)} structures of {task.sizes.min():.0f} to {task.sizes.max():.0f} atoms,"
        f" {n_weights} weights, float32, one thread, torch {torch.__version__}, {platform.machine()},"
        f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| | seconds | J | epochs |",
        "|---|---|---|---|",
        f"| the base, before any fit | | {ours.start:.4f} | |",
        f"| rung, designs and cache included | {ours.designs + ours.solve:.2f} | {ours.objective:.4f} | |",
        f"| numpy's least squares on the same designs | | {ours.reference:.4f} | |",
    ]
    for run in theirs:
        seconds = f"{run.seconds:.0f}" if run.seconds is not None else f"> {run.spent:.0f}"
        name = f"mace_run_train --freeze 6, learning rate {run.learning_rate:g}"
        lines.append(f"| {name} | {seconds} | {run.best:.4f} | {run.epochs} |")
    return lines


def factors(ours: Ours, theirs: Sequence[Theirs], study: Study) -> list[str]:
    reached = [run.seconds for run in theirs if run.seconds is not None]
    best, sign = (min(reached), "") if reached else (min(run.spent for run in theirs), "> ")
    one, sixty = best / (ours.designs + ours.solve), N_FITS * best / study.total
    return [
        "",
        f"One fit: {sign}{one:.0f} times the speed of mace-torch's best of {len(theirs)} learning rates"
        f" (asked for: {ASKED_ONE}).",
        "",
        f"A study of {N_FITS} fits to new draws of the noise: rung {study.total:.1f} s, measured; mace-torch"
        f" {sign}{N_FITS * best:.0f} s, its one fit *multiplied* by {N_FITS}; {sign}{sixty:.0f} times"
        f" (asked for: {ASKED_STUDY}).",
    ]


def bounds(ours: Ours, study: Study) -> list[str]:
    total = ours.designs + ours.solve
    solving = 1000 * (study.total - study.designs) / N_FITS
    return [
        "",
        f"What bounds one fit: designs {100 * ours.designs / total:.1f} %, assembling and solving"
        f" {100 * ours.solve / total:.1f} %. What bounds the study: making designs once and reading them"
        f" {N_FITS - 1} times {100 * study.designs / study.total:.0f} %; assembling and solving take {solving:.1f} ms a"
        f" fit.",
    ]


def memory_line(memory: dict[str, float], n_structures: int, n_computed: int) -> list[str]:
    return [
        "",
        f"Peak memory of designs and fit of {n_structures} structures of 27 atoms: {memory['fit']:.2f} GB (asked for:"
        f" under {ASKED_GIGABYTES}). It was {memory['before']:.2f} GB before the first batch of them and"
        f" {memory['designs']:.2f} GB with all designs. {n_computed} designs were computed, the others read from the"
        " cache.",
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=25, help="structures with energies to fit (at most 100)")
    parser.add_argument("--limit", type=float, default=200.0, help="seconds of steps that mace gets per learning rate")
    parser.add_argument("--learning-rates", type=float, nargs="*", default=LEARNING_RATES, help="none skips mace")
    parser.add_argument(
        "--memory-structures", type=int, default=1000, help="structures to measure memory with; 0 skips"
    )
    parser.add_argument("--memory-computed", type=int, default=60, help="how many of these to compute")
    parser.add_argument("--write", type=Path, help="also write the table to this file, or to page.md#name")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("Both sides run on one thread: say 'make benchmark', or set OMP_NUM_THREADS=1.")
    torch.set_num_threads(1)
    with as_file(files("rung") / "demo_data" / "mos2") as data, tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        task = load_task(data, args.structures)  # also warms torch up, for mace's clock starts warm
        ours = run_ours(task, DesignCache(work / "cache"))
        study = run_study(task, work / "study-cache")
        theirs = []
        for rate in args.learning_rates:
            folder = work / f"learning-rate-{rate:g}"
            theirs.append(run_mace(task, data / "base.model", folder, rate, ours.objective, args.limit))
            print(theirs[-1], file=sys.stderr, flush=True)
        check(ours, theirs)
        lines = fit_table(task, ours, theirs)
        lines += factors(ours, theirs, study) if theirs else []
        lines += bounds(ours, study)
        if args.memory_structures:
            memory = memory_in_a_process(args.memory_structures, args.memory_computed)
            lines += memory_line(memory, args.memory_structures, args.memory_computed)
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write is not None:
        write_table(args.write, text)


if __name__ == "__main__":
    main()
