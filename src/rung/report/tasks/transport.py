"""``transport.html``: diffusivities and conductivities with their errors, displacements, Arrhenius."""

import csv
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import StorageError
from rung.report import figures
from rung.report.page import Pen, write_page
from rung.report.read import number, sentences
from rung.report.tables import ABSENT, digits, table, with_error
from rung.storage import read_json
from rung.units import BOLTZMANN

PAGE = "transport.html"

HAVEN = (
    "The conductivity follows from the motion of all mobile ions together. The Nernst–Einstein estimate follows from "
    "that of single ions and takes the Haven ratio, tracer over collective diffusivity, to be 1: where ions move in "
    "company it is wrong by that ratio. Errors are one standard error: statistical, and in brackets with the scatter "
    "between draws of the potential where there are draws."
)


def write_transport_report(folder: Path) -> Path:
    """Write ``transport.html`` from ``transport.json`` and ``msd.csv`` of ``folder``, and return its path.

    Raises
    ------
    StorageError
        When a result is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    folder = Path(folder)
    found = read_json(folder / "transport.json")
    rows = _read_rows(folder / "msd.csv")
    pen = Pen()
    temperatures = found["temperatures"]
    drawn = {name: pen.draw(*_displacements(rows, temperatures, name)) for name in ("msd", "collective_msd")}
    parts = [
        ("Transport", _numbers(temperatures) + f'<p class="note">{HAVEN}</p>'),
        ("Arrhenius", _arrhenius(found["activation"], temperatures, pen)),
        ("Displacements", drawn["msd"] + drawn["collective_msd"]),
        ("Runs", _runs(temperatures)),
    ]
    species = found["settings"]["species"]
    subtitle = f"{species}, {len(temperatures)} temperature{'s' if len(temperatures) > 1 else ''}"
    warnings = [sentence for one in temperatures for sentence in one["warnings"]]
    return write_page(folder / PAGE, "Diffusion and ionic conductivity", subtitle, sentences(warnings), "", parts)


def scientific(value: Any, stderr: Any = None) -> str:
    """Return ``(value ± stderr)×10ⁿ``, or a dash where the value is unknown."""
    given, error = number(value), number(stderr)
    if not math.isfinite(given):
        return ABSENT
    power = math.floor(math.log10(abs(given))) if given else 0
    if -3 <= power < 4:
        return with_error(given, error)
    if not math.isfinite(error) or error <= 0:
        return digits(given)
    places = min(6, max(0, power + 1 - math.floor(math.log10(error))))
    shown = f"({given / 10.0**power:.{places}f} ± {error / 10.0**power:.{places}f})×10".replace("-", "−")
    return shown + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def with_total(value: Mapping[str, Any]) -> str:
    """Return a value with its statistical error, and the total one in brackets where draws widened it."""
    said = scientific(value["value"], value["stderr"])
    total, stderr = number(value["stderr_total"]), number(value["stderr"])
    widened = math.isfinite(number(value["stderr_model"])) and math.isfinite(total) and total > stderr
    return f"{said} [± {digits(total, 2)}]" if widened else said


def _numbers(temperatures: Sequence[Mapping[str, Any]]) -> str:
    header = ["Temperature, K", "Runs", "Draws", "Tracer diffusivity, cm²/s", "Collective diffusivity, cm²/s"]
    header += ["Haven ratio", "Conductivity, S/cm", "Nernst–Einstein, S/cm", "Slope of ln MSD", "Fitted, ps"]
    names = ("tracer_diffusivity", "collective_diffusivity", "haven_ratio", "conductivity")
    rows = [
        [
            digits(one["temperature"], 4),
            str(one["n_runs"]),
            str(one["n_draws"] or ABSENT),
            *(with_total(one[name]) for name in (*names, "conductivity_nernst_einstein")),
            with_error(one["window"]["slope"], one["window"]["slope_stderr"]),
            _span(one["window"]),
        ]
        for one in temperatures
    ]
    return table(header, rows)


def _span(window: Mapping[str, Any]) -> str:
    if not window["diffusive"]:
        return "not diffusive"
    return f"{digits(number(window['start_fs']) / 1000)} to {digits(number(window['end_fs']) / 1000)}"


def _runs(temperatures: Sequence[Mapping[str, Any]]) -> str:
    header = ["Run", "Temperature, K", "Draw", "Frames", "Tracer diffusivity, cm²/s", "Framework, r.m.s., Å"]
    rows = []
    for one in temperatures:
        for run in one["runs"]:
            line = run["lines_in_angstrom_and_fs"]["tracer_line"] or {}
            values = [number(line.get(key)) * 0.1 for key in ("diffusivity", "stderr")]
            draw = ABSENT if run["draw"] is None else str(run["draw"])
            cells = [digits(one["temperature"], 4), draw, str(run["n_frames"]), scientific(*values)]
            rows.append([escape(run["name"]), *cells, digits(run["framework_rms"])])
    return table(header, rows)


def _displacements(
    rows: Sequence[Mapping[str, str]], temperatures: Sequence[Mapping[str, Any]], name: str
) -> tuple[Any, str]:
    """Draw every run's squared displacements against time, both logarithmic, and where they were fitted."""
    figure = figures.plotly().Figure()
    shades = {number(one["temperature"]): figures.colour("", index) for index, one in enumerate(temperatures)}
    seen: set[float] = set()
    for run, kelvin in dict.fromkeys((row["run"], float(row["temperature"])) for row in rows):
        mine = [row for row in rows if row["run"] == run and float(row["temperature"]) == kelvin]
        values = np.array([[float(row["time_ps"]), float(row[name])] for row in mine])
        values = values[values[:, 1] > 0]
        figure.add_scatter(
            x=figures.short(values[:, 0]),
            y=figures.short(values[:, 1]),
            name=f"{kelvin:g} K",
            legendgroup=f"{kelvin:g}",
            showlegend=kelvin not in seen,
            line={"color": shades[kelvin], "width": 1.5},
            hovertext=escape(run),
        )
        seen.add(kelvin)
    for one in temperatures:
        if one["window"]["diffusive"]:
            edges = [number(one["window"][key]) / 1000 for key in ("start_fs", "end_fs")]
            shade = shades[number(one["temperature"])]
            figure.add_vrect(x0=edges[0], x1=edges[1], fillcolor=shade, opacity=0.06, line_width=0)
    what = "Mean squared displacement of one ion, Å²" if name == "msd" else "Of all ions together over their number, Å²"
    figures.styled(figure, "Time, ps", what, 420)
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure, "One line a run; shaded is what was fitted. Diffusion has slope 1."


def _arrhenius(found: Mapping[str, Any], temperatures: Sequence[Mapping[str, Any]], pen: Pen) -> str:
    parts = []
    for name, one in found.items():
        figure = figures.plotly().Figure()
        times = name == "conductivity"
        points = [
            (number(at["temperature"]), number(at[name]["value"]), number(at[name]["stderr"])) for at in temperatures
        ]
        kept = np.array([point for point in points if point[1] > 0])
        factor = kept[:, 0] if times else np.ones(len(kept))
        figure.add_scatter(
            x=figures.short(1000 / kept[:, 0]),
            y=figures.short(factor * kept[:, 1]),
            error_y={"array": figures.short(factor * kept[:, 2])},
            mode="markers",
            marker={"size": 9, "color": figures.LIFTED},
            showlegend=False,
        )
        fit = one["fit"]
        ends = np.array([*(number(at) for at in one["extrapolated"]), *kept[:, 0]])
        line = np.linspace(1 / ends.max(), 1 / ends.min(), 40)
        values = np.exp(number(fit["log_prefactor"]) - number(fit["activation_energy"]) / BOLTZMANN * line)
        figure.add_scatter(
            x=figures.short(1000 * line),
            y=figures.short(values),
            mode="lines",
            line={"color": figures.MUTED, "dash": "dot"},
            showlegend=False,
        )
        figures.styled(figure, "1000/T, 1/K", one["quantity"][:1].upper() + one["quantity"][1:], 400)
        figure.update_yaxes(type="log")
        parts.append(pen.draw(figure, _energy(one)))
    return "".join(parts)


def _energy(one: Mapping[str, Any]) -> str:
    energy, fit = one["activation_energy"], one["fit"]
    said = f"Activation energy {with_error(energy['value'], energy['stderr_total'])} eV"
    if number(fit["scale"]) > 1:
        said += (
            f"; the points scatter {digits(fit['scale'], 2)} times as much as their errors, which were widened by that"
        )
    for kelvin, (value, stderr) in one["extrapolated"].items():
        said += f"; at {kelvin} K {scientific(value, stderr)}, if the same process rules there"
    return said + "."


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.") from error
