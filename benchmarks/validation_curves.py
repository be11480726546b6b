"""Print how the target's energy error on validation fell while each method of a finished study trained.

    python benchmarks/validation_curves.py runs/compare --trials --out docs/results/pm6-dft.md#validation

Reads ``epochs.csv`` of every fit with the most target energies: mean over seeds after a quarter, a half, three quarters
and all of the epochs, and which epoch each training kept. A training whose last quarter still gains much would gain
from more epochs. Closed-form fits have no epochs and no row. With --trials a table of the trials
of every method comes first.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rung.pages import write_table
from rung.storage import read_json

SHARES = (0.25, 0.5, 0.75, 1.0)


def errors_by_epoch(file: Path, target: str) -> list[float]:
    """Return the target's r.m.s. energy error on validation after each epoch, meV/atom."""
    with file.open() as stream:
        rows = list(csv.DictReader(stream))
    return [float(row.get(f"{target}_energy_rmse") or row["energy_rmse"]) for row in rows]


def trainings(study: Path, target: str) -> dict[str, list[tuple[list[float], int]]]:
    """Return curve and kept epoch of each method, one a seed, at the largest number of target energies."""
    found: dict[str, dict[int, list[tuple[list[float], int]]]] = {}
    for file in sorted((study / "fits").glob("*/checkpoints/epochs.csv")):
        fit = file.parents[1]
        task = read_json(fit / "task.json")["arguments"]
        kept = int(read_json(fit / "metrics.json")["fit"]["hyperparameters"]["best_epoch"])
        by_number = found.setdefault(task["row"], {})
        by_number.setdefault(task["n_labels"], []).append((errors_by_epoch(file, target), kept))
    return {row: by_number[max(by_number)] for row, by_number in found.items()}


def curves(found: Mapping[str, list[tuple[list[float], int]]]) -> Iterator[str]:
    yield "| method | " + " | ".join(f"after {share:.0%} of the epochs" for share in SHARES) + " | kept epoch |"
    yield "|---|" + "---:|" * (len(SHARES) + 1)
    for row, lines in found.items():
        after = [[line[max(round(share * len(line)) - 1, 0)] for line, _ in lines] for share in SHARES]
        kept = [f"{epoch} of {len(line)}" for line, epoch in lines]
        cells = [f"{np.mean(values):.1f}" for values in after]
        yield f"| {row} | " + " | ".join(cells) + f" | {', '.join(kept)} |"


def trials(tuning: list[dict[str, Any]]) -> Iterator[str]:
    yield "| method | tried | energy error on validation, meV/atom | |"
    yield "|---|---|---:|---|"
    for trial in tuning:
        score = "failed" if trial["failed"] else f"{trial['score']:.1f}"
        change = trial["change"].replace("|", " and ")  # a bar would end the cell
        yield f"| {trial['method']} | `{change}` | {score} | {'chosen' if trial['chosen'] else ''} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    parser.add_argument("--target", default="dft")
    parser.add_argument("--trials", action="store_true", help="the table of trials, too")
    parser.add_argument("--out", type=Path, help="write the tables here, too")
    chosen = parser.parse_args()
    lines = list(curves(trainings(chosen.study, chosen.target)))
    if chosen.trials:
        lines = [*trials(read_json(chosen.study / "study.json")["tuning"]), "", *lines]
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.out is not None:
        write_table(chosen.out, text)


if __name__ == "__main__":
    main()
