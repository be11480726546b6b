"""Static and relaxed hop barriers of the testbed: base, lifted with few and many noisy energies, and the truths.

Each draw of labels takes another subset of the 660 training frames and other noise (20-60 meV a cell). For the first
draw of each number of energies the band is also relaxed again on posterior draws, beside the error bar of first order.
The truth is known: the labels are model-made, not ab initio. What is finished is kept in --work, so that a stopped run
goes on.

    python benchmarks/barrier_table.py --work /tmp/barriers --out docs/results/barriers.md#static  # 15 minutes
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rung import RungCalculator
from rung.backends import load_base
from rung.checkpoint import Checkpoint
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo_data import folder
from rung.evaluate.paths.band import static_barrier
from rung.evaluate.paths.barrier import Barrier, BarrierSettings, relaxed_barrier
from rung.evaluate.paths.refinement import relaxed_draws
from rung.features.cache import DesignCache
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, Lift
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.model.potential import ReadoutPotential
from rung.pages import write_table
from rung.storage import read_json, write_json
from rung.tasks.error_bars import error_bars_of

TARGET = "r2scan"
NUMBERS = (25, 100, 400)
TRUTHS = {"path of the base's level": 1.454, "path of the target": 1.147, "relaxed": 1.147}
BAND = BarrierSettings(images=7, fmax=0.05, max_steps=300)
FILES = {"path of the base's level": "neb_pbe", "path of the target": "neb_r2scan"}


def labelled(frames: Sequence[Structure], exact: np.ndarray, count: int, seed: int) -> list[Structure]:
    random = np.random.default_rng(1000 + seed)
    chosen = set(random.permutation(len(frames))[:count].tolist())
    sigma, noise = random.uniform(0.02, 0.06, len(frames)), random.normal(size=len(frames))
    found = []
    for place, frame in enumerate(frames):
        labels = {"pbe": frame.labelled("pbe")}
        if place in chosen:
            error = float(sigma[place])
            empty = replace(frame, labels={}).labelled(TARGET)
            labels[TARGET] = replace(empty, energy=float(exact[place] + error * noise[place]), energy_stderr=error)
        found.append(replace(frame, labels=labels))
    return found


def lifted(base: ReadoutPotential, frames: Sequence[Structure], context: Context) -> RungCalculator:
    fidelities = {"pbe": Fidelity("pbe"), TARGET: Fidelity(TARGET)}
    result = fit_readout(Lift(frames, (), Base(base, "pbe"), fidelities, TARGET), ReadoutSettings(), context)
    return RungCalculator(Checkpoint(result.potential, result.posterior, {"target": TARGET}), fidelity=TARGET)


def barriers(calculator: RungCalculator, bands: Mapping[str, list], work: Path) -> dict[str, Any]:
    """Return barrier, bar of the weights and total bar of each path, static and relaxed."""
    bars = error_bars_of(calculator)
    row: dict[str, Any] = {}
    for name, images in bands.items():
        found = static_barrier(images, calculator, error_bars=bars)
        row[name] = [found.barrier, found.bar.weights, found.bar.total]
    found = relaxed(calculator, bands, work)
    row["relaxed"] = [found.barrier, found.bar.weights, found.bar.total]
    return row


def relaxed(calculator: RungCalculator, bands: Mapping[str, list], work: Path) -> Barrier:
    guess = bands["path of the base's level"]
    return relaxed_barrier(
        guess[0],
        guess[-1],
        calculator,
        BAND,
        guess_images=guess,
        folder=work / "mean",
        error_bars=error_bars_of(calculator),
    )


def rows(work: Path, seeds: int, draws: int) -> dict[str, list[dict[str, Any]]]:
    data = folder("mos2")
    base = load_base(data / "base.model", fidelity="pbe")
    frames = read_structures(data / "train.extxyz")
    energies = json.loads((data / "train_exact.json").read_text())
    exact = np.array([energies[frame.structure_id] for frame in frames])
    bands = {name: [item.atoms for item in read_structures(data / f"{file}.extxyz")] for name, file in FILES.items()}
    context = Context(cache=DesignCache(work / "cache"))
    found: dict[str, list[dict[str, Any]]] = {}
    for count, seed in [(0, 0), *((count, seed) for seed in range(seeds) for count in NUMBERS)]:
        place = work / f"{count}-{seed}"
        if not (place / "row.json").exists():
            calculator = RungCalculator(base, fidelity="pbe")
            if count:
                calculator = lifted(base, labelled(frames, exact, count, seed), context)
            write_json(place / "row.json", barriers(calculator, bands, place))
        found.setdefault(str(count), []).append(read_json(place / "row.json"))
        print(count, seed, found[str(count)][-1], file=sys.stderr, flush=True)
    for count in NUMBERS if draws else ():
        place = work / f"{count}-0"
        if not (place / "draws.json").exists():
            calculator = lifted(base, labelled(frames, exact, count, 0), context)
            images = relaxed(calculator, bands, place).images
            made = [partial(calculator.draw, index) for index in range(draws)]
            write_json(
                place / "draws.json", relaxed_draws(images, made, BAND, folder=place / "draws").entry().as_json()
            )
        found[str(count)][0]["draws"] = read_json(place / "draws.json")
        print(count, found[str(count)][0]["draws"], file=sys.stderr, flush=True)
    return found


def value(number: float | None) -> float:
    return float("nan") if number is None else number


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield "| barrier, eV | truth | base | " + " | ".join(f"lifted, {count} energies" for count in NUMBERS) + " |"
    yield "| --- | --- | --- | " + " | ".join("---" for _ in NUMBERS) + " |"
    for name, truth in TRUTHS.items():
        cells = [f"{value(found['0'][0][name][0]):.3f}"]
        for count in NUMBERS:
            values = np.array([[value(number) for number in row[name]] for row in found[str(count)]])
            kept = values[np.isfinite(values[:, 0])]
            inside = int((np.abs(kept[:, 0] - truth) < kept[:, 2]).sum())
            spread = f" ± {kept[:, 0].std(ddof=1):.3f}" if len(kept) > 1 else ""
            cells.append(
                f"{kept[:, 0].mean():.3f}{spread}; bar {kept[:, 1].mean():.3f} weights, {kept[:, 2].mean():.3f} all, "
                f"{inside} of {len(kept)} within it" + (f" ({len(values)} tried)" if len(kept) < len(values) else "")
            )
        yield f"| {name} | {truth:.3f} | " + " | ".join(cells) + " |"
    yield ""
    yield "| energies | bar of the weights, first order | spread of posterior draws | draws that relaxed |"
    yield "| --- | --- | --- | --- |"
    for count in NUMBERS:
        first = found[str(count)][0]
        if "draws" in first:
            drawn = first["draws"]
            spread = "–" if drawn["stderr"] is None else f"{drawn['stderr']:.3f}"
            yield (
                f"| {count} | {value(first['relaxed'][1]):.3f} | {spread} | {drawn['n_converged']} of {drawn['n']} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = "\n".join(table(rows(arguments.work, arguments.seeds, arguments.draws))) + "\n"
    print(text)
    if arguments.out:
        write_table(arguments.out, text)


if __name__ == "__main__":
    main()
