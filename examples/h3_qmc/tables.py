"""The tables of the study, and its picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from lifts import CHEAP, CHECK, METHODS, NUMBERS, TARGET, Frames, labelled_barrier
from matplotlib.figure import Figure
from saddles import energy

from geometries import path_point
from rung import RungCalculator
from rung.results.campaign import CampaignResult
from rung.storage import write_table

TITLES = {CHEAP: "PBE", CHECK: "UCCSD(T)", TARGET: "DMC"}
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


def draw_profiles(frames: Frames, base: RungCalculator, lifted: RungCalculator, title: str, file: Path) -> None:
    """Draw energies along the path of bond orders less those of H2 + H, with error bars of one sigma."""
    matplotlib.rcParams["svg.hashsalt"] = "h3"  # the same picture is the same file
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    for (name, text), style in zip(TITLES.items(), "s^o", strict=True):
        points = sorted(labelled_points(frames, name))
        x, y, error = (np.array(column) for column in zip(*points, strict=True))
        axes.errorbar(x, y, yerr=error if error.any() else None, fmt=style, markersize=5, capsize=3, label=text)
    far = frames.pool[0].atoms
    orders = 1.0 / (1.0 + np.exp(np.linspace(-7.0, 7.0, 141)))
    dense = [path_point(order) for order in orders]
    x = np.array([coordinate(one) for one in dense])
    for calculator, text, style in ((base, "base, trained on PBE", "--"), (lifted, title, "-")):
        zero = energy(calculator, far.positions)
        y = np.array([energy(calculator, one) for one in dense]) - zero
        (line,) = axes.plot(x, y, style, label=text)
        if calculator.has_error_bars:
            bar = np.array([calculator.energy_difference_stderr(moved(far, one), far) for one in dense])
            axes.fill_between(x, y - bar, y + bar, alpha=0.2, color=line.get_color(), linewidth=0)
    axes.set_xlabel("difference of the two bonds, Å")
    axes.set_ylabel("energy less that of H2 + H, eV")
    axes.set_xlim(-1.95, 1.95)
    axes.set_ylim(top=0.6)
    axes.legend(fontsize=8, loc="upper left", ncols=2)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def draw_curves(before: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw errors against the number of energies: means, and standard deviations over draws as bars."""
    matplotlib.rcParams["svg.hashsalt"] = "h3"
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    pair = figure.subplots(1, 2)
    for axes, (key, title, _) in zip(pair, COLUMNS[:2], strict=True):
        axes.axhline(before[key], color="black", linestyle=":", label="base")
        for shift, method in enumerate(METHODS):
            chosen = {
                number: [row[key] for row in rows if (row["method"], row["number"]) == (method, number)]
                for number in NUMBERS
            }
            axes.errorbar(
                [number + 0.4 * (shift - 1.5) for number in chosen],
                [np.mean(values) for values in chosen.values()],
                yerr=[np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in chosen.values()],
                marker="o",
                markersize=4,
                capsize=2,
                label=method,
            )
        axes.set_xlabel("DMC energies")
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0.0)
    pair[0].legend(fontsize=7, loc="center right")
    figure.savefig(file, metadata={"Date": None})


def labelled_points(frames: Frames, fidelity: str) -> list[tuple[float, float, float]]:
    """Return (difference of bonds, energy, its error) of the labels of the path and of their mirror images."""
    far = frames.pool[0].labelled(fidelity)
    found = []
    for one in frames.path:
        labels = one.labelled(fidelity)
        error = 0.0 if np.isnan(labels.energy_stderr) else float(np.hypot(labels.energy_stderr, far.energy_stderr))
        place = coordinate(one.atoms.positions)
        found += [(side, labels.energy - far.energy, error) for side in {place, -place}]
    return found


def coordinate(positions: np.ndarray) -> float:
    """Return the second bond less the first, Å."""
    first, second = (float(np.linalg.norm(positions[k + 1] - positions[k])) for k in (0, 1))
    return second - first


def moved(atoms: Any, positions: np.ndarray) -> Any:
    """Return a copy of a molecule with other positions."""
    atoms = atoms.copy()
    atoms.positions = positions
    return atoms
