"""The pictures of the study and of the README: the barrier before and after a lift, and errors by number of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from lifts import CHEAP, CHECK, METHODS, NUMBERS, TARGET, Frames
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from saddles import energy

from geometries import path_point
from rung import RungCalculator

TITLES = {CHEAP: "PBE", CHECK: "UCCSD(T)", TARGET: "DMC"}
INK, PAPER = "#1b1b1f", "#fdfdfe"
COLOURS = {
    CHEAP: "#3b82d6", CHECK: "#e08a1e", TARGET: "#22a05a", "base": "#d1495b", "lifted": "#8b6cd9",
    "offset": "#808890", "energies alone": "#2a9db0", "readout": "#8b6cd9", "tangent": "#c25fa8",
}  # fmt: skip
DARK = {INK: "#d8d8dc", PAPER: "#17181c"}
ENERGIES, FORCES = "energies to UCCSD(T), meV", "forces to UCCSD(T), meV/Å"
Curve = Mapping[int, tuple[float, float]]
"""Mean and standard deviation by number of energies."""


@dataclass(frozen=True)
class Profiles:
    """Energies along the path of bond orders less those of H2 + H, eV.

    Parameters
    ----------
    labels
        (difference of bonds in Å, energy, its error) of each level.
    x
        Differences of bonds, Å.
    base, lifted, bar
        Energies there, and the error bar of the lifted ones.
    """

    labels: Mapping[str, np.ndarray]
    x: np.ndarray
    base: np.ndarray
    lifted: np.ndarray
    bar: np.ndarray

    @classmethod
    def of(cls, frames: Frames, base: RungCalculator, lifted: RungCalculator) -> "Profiles":
        """Ask both potentials along the path."""
        far = frames.pool[0].atoms
        dense = [path_point(order) for order in 1.0 / (1.0 + np.exp(np.linspace(-7.0, 7.0, 141)))]
        heights = [
            np.array([energy(one, place) for place in dense]) - energy(one, far.positions) for one in (base, lifted)
        ]
        bar = [lifted.energy_difference_stderr(moved(far, place), far) for place in dense]
        labels = {name: np.array(sorted(labelled_points(frames, name))) for name in TITLES}
        return cls(labels, np.array([coordinate(one) for one in dense]), *heights, np.array(bar))


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


def curves_of(text: str, column: str) -> dict[str, dict[int, tuple[float, float]]]:
    """Return a column of the table of lifts by method and number of energies; of one fit the deviation is 0."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    start = next(k for k, row in enumerate(rows) if row[:2] == ["energies", "method"])
    place, found = rows[start].index(column), dict[str, dict[int, tuple[float, float]]]()
    for row in rows[start + 2 :]:
        if not row[0].isdigit():
            break
        mean, _, deviation = row[place].partition(" ± ")
        found.setdefault(row[1], {})[int(row[0])] = float(mean), float(deviation or 0.0)
    return found


def plot_profiles(axes: Axes, profiles: Profiles, title: str) -> None:
    """Draw labels as points with bars of one sigma, the base dashed, and the lifted potential with its bar."""
    for name, style in zip(TITLES, "s^o", strict=True):
        x, y, error = profiles.labels[name].T
        axes.errorbar(
            x,
            y,
            yerr=error if error.any() else None,
            fmt=style,
            markersize=5,
            capsize=3,
            color=COLOURS[name],
            label=TITLES[name],
        )
    axes.plot(profiles.x, profiles.base, "--", color=COLOURS["base"], label="base, trained on PBE")
    axes.plot(profiles.x, profiles.lifted, "-", color=COLOURS["lifted"], label=title)
    low, high = profiles.lifted - profiles.bar, profiles.lifted + profiles.bar
    axes.fill_between(profiles.x, low, high, alpha=0.2, color=COLOURS["lifted"], linewidth=0)
    axes.set_xlabel("difference of the two bonds, Å")
    axes.set_ylabel("energy less that of H2 + H, eV")
    axes.set_xlim(-1.95, 1.95)
    axes.set_ylim(top=0.62)
    axes.legend(fontsize=8, loc="upper left", ncols=2)


def plot_curve(axes: Axes, curves: Mapping[str, Curve], methods: Sequence[str], title: str) -> None:
    """Draw means and standard deviations over draws against the number of energies, beside the base's error."""
    axes.axhline(curves["base"][0][0], color=COLOURS["base"], linestyle="--", label="base")
    for shift, method in enumerate(one for one in methods if one in curves):
        drawn = {number: curves[method][number] for number in NUMBERS}
        axes.errorbar(
            [number + 0.5 * (shift - 0.5 * len(methods)) for number in drawn],
            [mean for mean, _ in drawn.values()],
            yerr=[deviation for _, deviation in drawn.values()],
            marker="o",
            markersize=4,
            capsize=2,
            color=COLOURS[method],
            label=method,
        )
    axes.set_xlabel("DMC energies")
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0.0)


def draw_all(profiles: Profiles, title: str, table: str, folder: Path) -> None:
    """Draw the three pictures of the page and of the README."""
    draw_curves(table, folder / "h3-curves.svg")
    draw_profiles(profiles, title, folder / "h3.svg")
    draw_result(profiles, title, table, folder / "h3-result.svg")


def draw_profiles(profiles: Profiles, title: str, file: Path) -> None:
    """Draw the energies along the path."""
    figure = new_figure(7.0, 4.4)
    plot_profiles(figure.subplots(), profiles, title)
    save(figure, file)


def draw_curves(table: str, file: Path) -> None:
    """Draw errors against the number of energies."""
    figure = new_figure(7.0, 3.2)
    pair = figure.subplots(1, 2)
    for axes, column in zip(pair, (ENERGIES, FORCES), strict=True):
        plot_curve(axes, curves_of(table, column), list(METHODS), column)
    pair[0].legend(fontsize=7, loc="center right")
    save(figure, file)


def draw_result(profiles: Profiles, title: str, table: str, file: Path) -> None:
    """Draw the picture of the README: the barrier, and the forces that no fit saw."""
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.45, 1.0))
    plot_profiles(left, profiles, title)
    left.set_title("H + H₂: the barrier before and after", fontsize=10, loc="left")
    plot_curve(right, curves_of(table, FORCES), ("readout", "tangent"), "force error, meV/Å")
    right.set_title("Forces, which no fit saw", fontsize=10, loc="left")
    right.set_xlim(left=0.0)
    right.legend(fontsize=8, loc="lower left")
    save(figure, file)


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches, drawn by matplotlib's own defaults whatever was imported before."""
    matplotlib.rcdefaults()
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> None:
    """Write a figure; an SVG has a paper of its own and follows the reader's light or dark scheme."""
    figure.set_facecolor(PAPER)
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(colors=INK)
        for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
            text.set_color(INK)
        axes.set_title(axes.get_title("left"), color=INK, loc="left", fontsize=10)
        for spine in axes.spines.values():
            spine.set_color(INK)
        if legend := axes.get_legend():
            legend.get_frame().set(facecolor="none", edgecolor="none")
            for text in legend.get_texts():
                text.set_color(INK)
    with matplotlib.rc_context({"svg.hashsalt": "h3"}):  # the same picture is the same file
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    if file.suffix == ".svg":
        file.write_text(both_schemes(file.read_text(encoding="utf-8")), encoding="utf-8")


def both_schemes(svg: str) -> str:
    """Return a drawing of matplotlib in which ink and paper change places where the reader prefers dark."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    head, mark, rest = svg.partition("<defs>")
    return f"{head}<style>@media (prefers-color-scheme: dark){{{rules}}}</style>\n {mark}{rest}"
