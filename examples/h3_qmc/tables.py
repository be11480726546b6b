"""The tables of the study."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lifts import METHODS, Frames, labelled_barrier
from pictures import TITLES

from rung.pages import write_table
from rung.results.campaign import CampaignResult

COLUMNS = (
    ("energy_std", "energies to UCCSD(T), meV", "{:.0f}"),
    ("force_rmse", "forces to UCCSD(T), meV/Å", "{:.0f}"),
    ("rest_rmse", "to unseen {target}, meV", "{:.0f}"),
    ("rest_pull", "in units of its bar", "{:.2f}"),
    ("saddle", "saddle of the path, eV", "{:.3f}"),
    ("saddle_stderr", "its bar, eV", "{:.3f}"),
    ("relaxed", "relaxed barrier, eV", "{:.3f}"),
    ("mode", "imaginary mode, i cm⁻¹", "{:.0f}"),
    ("seconds", "CPU seconds", "{:.1f}"),
)


def write_tables(before: Mapping[str, float], rows: Sequence[Mapping[str, Any]], target: str, file: Path) -> None:
    """Write mean and standard deviation over draws of each method and number of energies of a target."""
    titles = [title.replace("{target}", TITLES[target]) for _, title, _ in COLUMNS]
    lines = [["energies", "method", *titles]]
    lines.append(["0", "base", *(cell([before], key, shape) for key, _, shape in COLUMNS)])
    for number in sorted({row["number"] for row in rows}):
        for method in METHODS:
            chosen = [row for row in rows if (row["number"], row["method"]) == (number, method)]
            if chosen:
                lines.append([str(number), method, *(cell(chosen, key, shape) for key, _, shape in COLUMNS)])
    write_table(file, markdown(lines))


def cell(rows: Sequence[Mapping[str, Any]], key: str, shape: str) -> str:
    """Return mean ± standard deviation; a dash where no row has the number."""
    values = np.array([row[key] for row in rows if np.isfinite(row.get(key, np.nan))])
    if not len(values):
        return "–"
    text = shape.format(values.mean())
    return text if len(rows) == 1 else f"{text} ± {shape.format(values.std(ddof=1))}"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a table whose first line is its head."""
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *body]) + "\n"


def write_barriers(
    frames: Frames, data: Path, before: Mapping[str, float], row: Mapping[str, float], file: Path
) -> None:
    """Write the barrier of each level beside that of the base and of one lift."""
    saddles = json.loads((data / "saddles.json").read_text())
    lines = [["", "saddle of the path, eV", "relaxed barrier, eV", "bonds there, Å", "imaginary mode, cm⁻¹"]]
    for name, title in TITLES.items():
        height, error = labelled_barrier(frames, name)
        text = f"{height:.3f} ± {error:.3f}" if error else f"{height:.3f}"
        if name not in saddles:
            lines.append([title, text, "–", "–", "–"])
            continue
        found = saddles[name]
        mode = -min(found["wavenumbers"])
        lines.append([title, text, f"{found['barrier']:.3f}", f"{found['bond']:.3f}", f"{mode:.0f}i"])
    for title, one in (("base", before), (f"readout, {row['number']:.0f} DMC energies", row)):
        text = f"{one['saddle']:.3f}" + (f" ± {one['saddle_stderr']:.3f}" if "saddle_stderr" in one else "")
        lines.append([title, text, f"{one['relaxed']:.3f}", f"{one['bond']:.3f}", f"{one['mode']:.0f}i"])
    write_table(file, markdown(lines))


def write_course(course: CampaignResult, file: Path) -> None:
    """Write the answer of each round."""
    lines = [["round", "DMC energies", "barrier, eV", "of it the model's own error", "domain"]]
    for one in course.rounds:
        for answer in one.answers:
            bar = f"{answer.value:.3f} ± {answer.bar:.3f}"
            lines.append([str(one.number), str(one.n_energies), bar, f"{answer.model_error:.3f}", answer.domain])
    write_table(file, markdown(lines))
