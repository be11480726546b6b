"""Print the table of a finished study as Markdown: mean ± standard deviation over seeds, and ratios of two methods.

    python benchmarks/study_table.py runs/compare --split test --out docs/results/pm6-dft.md#methods
    python benchmarks/study_table.py runs/label-matrix --split test --ratio joint/HL-E joint/HL-EF

A ratio is taken seed by seed, so that what makes a draw hard for both cancels.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rung.pages import write_table

Values = Mapping[tuple[str, int, str, str], Mapping[str, float]]
"""By method, number of labels, split and metric: the value of each draw."""

COLUMNS = (
    ("energy", "energy_rmse", 0),
    ("energy, one offset per composition", "energy_rmse_rel", 1),
    ("forces", "force_rmse", 0),
)
LOW = ("low_energy_rmse", "low_force_rmse")


def read(folder: Path) -> Values:
    values: dict[tuple[str, int, str, str], dict[str, float]] = defaultdict(dict)
    with (folder / "study.csv").open() as file:
        for row in csv.DictReader(file):
            key = (row["method"], int(row["n_labels"]), row["split"], row["metric"])
            values[key][f"{row['seed']}-{row['fold']}"] = float(row["value"])
    return values


def shown(numbers: Sequence[float], digits: int) -> str:
    if not numbers:
        return "–"
    spread = f" ± {np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return f"{np.mean(numbers):.{digits}f}{spread}"


def ratios(values: Values, one: tuple[str, int, str, str], other: tuple[str, int, str, str]) -> list[float]:
    mine, theirs = values.get(one, {}), values.get(other, {})
    return [mine[draw] / theirs[draw] for draw in mine if draw in theirs]


def table(values: Values, split: str) -> Iterator[str]:
    methods = list(dict.fromkeys(method for method, *_ in values))
    numbers = sorted({number for _, number, *_ in values})
    based = any(method == "base" for method in methods)
    low = based and any(values.get((method, n, split, LOW[0])) for method in methods for n in numbers)
    heads = ["energies", "method", *(head for head, _, _ in COLUMNS)]
    heads += ["cheap level, energy and forces after / before"] * low + ["seconds"]
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for number in numbers:
        for method in methods:
            cells = [
                shown(list(values.get((method, number, split, metric), {}).values()), digits)
                for _, metric, digits in COLUMNS
            ]
            if low:
                kept = [ratios(values, (method, number, split, name), ("base", number, split, name)) for name in LOW]
                cells.append(" / ".join(shown(found, 2) for found in kept) if method != "base" and kept[0] else "–")
            cells.append(shown(list(values.get((method, number, "fit", "seconds"), {}).values()), 0))
            yield f"| {number} | {method} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    parser.add_argument("--split", default="test")
    parser.add_argument("--ratio", nargs="*", default=[], metavar="A/B", help="force error of row A over that of row B")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    chosen = parser.parse_args()
    values = read(chosen.study)
    lines = list(table(values, chosen.split))
    for pair in chosen.ratio:
        one, other = pair.split("/")
        for number in sorted({number for _, number, *_ in values}):
            keys = [(row, number, chosen.split, "force_rmse") for row in (one, other)]
            found = ratios(values, keys[0], keys[1])
            lines += ["", f"Force error of {one} over that of {other} with {number} energies: {shown(found, 2)}."]
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.out is not None:
        write_table(chosen.out, text)


if __name__ == "__main__":
    main()
