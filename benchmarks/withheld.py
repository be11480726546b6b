r"""Methods on geometries and compositions that have no label of the target: errors there, and mixing energies.

    OMP_NUM_THREADS=1 python benchmarks/withheld.py benchmarks/testbed/ingan/study.yaml \
        --out docs/results/withheld.md#ingan

``--curves FILE.svg`` draws the course of the trainings beside it, of the runs that are there.

Reads the config of a study (``rung compare`` takes the same file), makes one run a method and seed in the folder that
it names, so that a second call does only what is missing, and prints a table: mean and standard deviation over seeds.
What is withheld stands under ``split.withhold``. A split called ``relaxed`` with ``x`` in its frames also gives mixing
energies, E(x) - x E(1) - (1 - x) E(0) per cation.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from study_table import shown

from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels, holding
from rung.data.structure import Structure
from rung.fit.methods import method_of
from rung.pages import write_table
from rung.run.folder import RunFolder
from rung.run.stages import run_fit
from rung.storage import read_json
from rung.study.config import StudyConfig, load_study_config

mpl.use("Agg")

CATIONS = (31, 49)
"""Ga and In."""


def run_of(config: StudyConfig, row: str, n_labels: int, seed: int) -> RunConfig:
    """Return the run of one method and seed; its training file holds the labels that the seed draws."""
    folder = config.run / "draws"
    drawn = folder / f"train-n{n_labels}-s{seed}.extxyz"
    if not drawn.exists():
        noise = None if config.noise is None else config.noise.energy_stderr
        structures = read_structures(config.data.train)
        write_structures(drawn, draw_labels(structures, config.target, n_labels, seed, noise=noise))
    method = config.methods()[row]
    values = {name: getattr(config, name) for name in RunConfig.model_fields}
    base = None if method_of(method).base == "none" else config.base
    data = config.data.model_copy(update={"train": (drawn,)})
    place = config.run / f"{row.replace(' ', '-')}-n{n_labels}-s{seed}"
    return RunConfig(**{**values, "run": place, "method": method, "seed": seed, "data": data, "base": base})


def numbers_of(config: StudyConfig, run: RunConfig) -> dict[str, float]:
    """Return what the table says of one run."""
    folder = RunFolder(run.run)
    metrics = read_json(folder.metrics)
    found: dict[str, float] = {}
    for split, paths in config.data.evaluate.items():
        structures = read_structures(paths)
        predictions = read_json(folder.predictions(split))
        if split == "relaxed":
            found |= mixing(structures, predictions, config)
            continue
        known = [one for one in config.split.withhold if all(one in item.info for item in structures)]
        wanted = {name: config.split.withhold[name] for name in known}
        chosen = set(holding(structures, wanted)) if wanted else set()
        parts = {f"{split}, withheld": chosen, f"{split}, seen": set(range(len(structures))) - chosen}
        for name, rows in parts.items():
            if rows:
                found |= errors(name, predictions, sorted(rows))
        low = config.base.fidelity if config.base is not None else ""
        before = (metrics["base"] or {}).get(split, {}).get(low, {}).get("force_rmse")
        after = metrics["splits"][split].get(low, {}).get("force_rmse")
        if before and after:
            found[f"{low} forces on {split}, after / before"] = after / before
    return {**found, "seconds": metrics["fit"]["seconds"]}


def errors(name: str, predictions: dict[str, Any], rows: Sequence[int]) -> dict[str, float]:
    """Return the r.m.s. error of energies (meV/atom) and forces (meV/Å) of some structures."""
    energy = [(predictions["energy"][k] - predictions["energy_label"][k]) / predictions["n_atoms"][k] for k in rows]
    forces = np.concatenate(
        [np.ravel(np.subtract(predictions["forces"][k], predictions["forces_label"][k])) for k in rows]
    )
    return {
        f"E, {name}": 1e3 * float(np.sqrt(np.mean(np.square(energy)))),
        f"F, {name}": 1e3 * float(np.sqrt(np.mean(forces**2))),
    }


def mixing(structures: Sequence[Structure], predictions: dict[str, Any], config: StudyConfig) -> dict[str, float]:
    """Return R² and mean absolute error (meV a cation) of mixing energies at withheld x."""
    x = np.array([float(one.info["x"]) for one in structures])
    cations = np.array([np.isin(one.atoms.numbers, CATIONS).sum() for one in structures])
    withheld = list(holding(structures, {"x": config.split.withhold["x"]}))
    said, known = (
        mixing_energies(x, np.array(predictions[key]) / cations)[withheld] for key in ("energy", "energy_label")
    )
    left = float(np.sum((said - known) ** 2) / np.sum((known - known.mean()) ** 2))
    return {"mixing R²": 1.0 - left, "mixing MAE": 1e3 * float(np.mean(np.abs(said - known)))}


def mixing_energies(x: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Return energies less the straight line between the means at x = 0 and x = 1, in the same unit."""
    zero, one = (energies[x == end].mean() for end in (0.0, 1.0))
    return energies - x * one - (1.0 - x) * zero


def table(found: dict[str, list[dict[str, float]]], n_labels: int, command: str) -> str:
    """Return mean ± standard deviation over seeds as Markdown."""
    columns = list(dict.fromkeys(name for rows in found.values() for row in rows for name in row))
    lines = [f"| method | seeds | {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) + 1)}"]
    for method, rows in found.items():
        cells = []
        for name in columns:
            values = [row[name] for row in rows if name in row]
            digits = 3 if "R²" in name else 2 if "before" in name else 1 if "MAE" in name or name[0] == "E" else 0
            cells.append(shown(values, digits))
        lines.append(f"| {method} | {len(rows)} | {' | '.join(cells)} |")
    note = (
        f"{n_labels} target energies, no target forces; mean ± standard deviation over seeds; energies meV/atom, "
        "forces meV/Å, mixing energies meV a cation, seconds of the fit without designs. Labels are model-made."
    )
    return "\n".join([*lines, "", note, "", f"```sh\n{command}\n```", ""])


def draw_curves(config: StudyConfig, n_labels: int, out: Path) -> None:
    """Draw the target's validation error of energies over the epochs of each training.

    A method is a colour, a seed a line; the dot is the epoch that was kept.
    """
    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    colours = iter(plt.rcParams["axes.prop_cycle"].by_key()["color"])
    for row in config.methods():
        runs = [RunFolder(run_of(config, row, n_labels, seed).run) for seed in config.seeds]
        fits = [read_json(run.fit) for run in runs if run.metrics.exists()]
        courses = [(fit["details"]["epochs"], fit["diagnostics"]["best_epoch"]) for fit in fits
                   if fit["details"].get("epochs")]  # fmt: skip
        if not courses or row == "delta":  # whose training learns the difference, on another scale
            continue
        colour, most = next(colours), max(len(epochs) for epochs, _ in courses)
        for number, (epochs, best) in enumerate(courses):
            done = np.array([one["epoch"] for one in epochs])
            error = np.array([one.get(f"{config.target}_energy_rmse", one["energy_rmse"]) for one in epochs])
            share, kept = done / done[-1], int(np.flatnonzero(done == best)[0])
            axes.semilogy(share, error, color=colour, lw=1, label="" if number else f"{row}, {most} epochs")
            axes.plot(share[kept], error[kept], "o", ms=4, color=colour)
    axes.set_xlabel("share of the epochs")
    axes.set_ylabel("target energies on validation, meV/atom", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(out)
    plt.close(figure)


def main() -> None:
    """Do every run that is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--rows", nargs="*", help="methods by name; all by default")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--curves", type=Path, help="picture of the trainings")
    parser.add_argument("--finished", action="store_true", help="make no run, tell of those that are there")
    options = parser.parse_args()
    config = load_study_config(options.config)
    n_labels = max(config.labels)
    found: dict[str, list[dict[str, float]]] = {}
    for row in options.rows or config.methods():
        for seed in config.seeds:
            run, started = run_of(config, row, n_labels, seed), time.monotonic()
            if options.finished and not RunFolder(run.run).metrics.exists():
                continue
            run_fit(run)
            shutil.rmtree(run.run / "checkpoints", ignore_errors=True)
            found.setdefault(row, []).append(numbers_of(config, run))
            said = json.dumps({key: round(value, 3) for key, value in found[row][-1].items()}, ensure_ascii=False)
            print(f"{row}, seed {seed}: {time.monotonic() - started:.0f} s {said}", flush=True)
    out = f" --out {options.out}" if options.out else ""
    command = f"OMP_NUM_THREADS=1 python benchmarks/withheld.py {options.config}{out}"
    if options.curves:
        draw_curves(config, n_labels, options.curves)
    text = table(found, n_labels, command)
    print(text)
    if options.out:
        write_table(options.out, text)


if __name__ == "__main__":
    main()
