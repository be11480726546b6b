"""``transport.html``: diffusivities and conductivities with their errors, displacements, Arrhenius."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rung.errors import StorageError
from rung.report import drawing
from rung.report.axes import logarithmic
from rung.report.page import Pen
from rung.report.summary import Summary, Table
from rung.report.tables import ABSENT, digits, superscript, table, with_error
from rung.report.tasks.domain import outside_sentences
from rung.report.tasks.page import Content, write_task_page
from rung.results.transport import (
    DISPLACEMENTS_FILE,
    TRANSPORT_FILE,
    ActivationNumbers,
    AtTemperature,
    Displacement,
    FittedWindow,
    TransportResult,
    ValueWithErrors,
    read_displacements,
)
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
    result = TransportResult.read(Path(folder) / TRANSPORT_FILE)
    displacements = Path(folder) / DISPLACEMENTS_FILE
    rows = read_displacements(displacements)
    if others := {row.temperature for row in rows} - {one.temperature for one in result.temperatures}:
        raise StorageError(
            f"{displacements} has runs at {min(others):g} K, which {TRANSPORT_FILE} has not; delete both and run again."
        )
    return write_task_page(Path(folder) / PAGE, lambda pen: _content(result, rows, pen))


def _content(result: TransportResult, rows: Sequence[Displacement], pen: Pen) -> Content:
    temperatures = result.temperatures
    single = pen.draw(*_displacements(rows, temperatures, "msd"))
    together = pen.draw(*_displacements(rows, temperatures, "collective_msd"))
    return Content(
        "Diffusion and ionic conductivity",
        f"{result.settings.species}, {len(temperatures)} temperature{'s' if len(temperatures) > 1 else ''}",
        [
            ("Transport", _numbers(temperatures) + f'<p class="note">{HAVEN}</p>'),
            ("Arrhenius", _arrhenius(result.activation, temperatures, pen)),
            ("Displacements", single + together),
            ("Runs", _runs(temperatures)),
        ],
        _warnings(temperatures),
    )


def scientific(value: float, stderr: float = math.nan) -> str:
    """Return ``(value ± stderr)×10ⁿ``, or a dash where the value is unknown."""
    if not math.isfinite(value):
        return ABSENT
    power = math.floor(math.log10(abs(value))) if value else 0
    if -3 <= power < 4:
        return with_error(value, stderr)
    if not math.isfinite(stderr) or stderr <= 0:
        return digits(value)
    places = min(6, max(0, power + 1 - math.floor(math.log10(stderr))))
    shown = f"({value / 10.0**power:.{places}f} ± {stderr / 10.0**power:.{places}f})×10".replace("-", "−")
    return shown + superscript(power)


def with_total(value: ValueWithErrors) -> str:
    """Return a value with its statistical error, and the total one in brackets where draws widened it."""
    statistical = scientific(value.value, value.stderr)
    total = value.stderr_total
    widened = math.isfinite(value.stderr_model) and math.isfinite(total) and total > value.stderr
    return f"{statistical} [± {digits(total, 2)}]" if widened else statistical


def values_of(one: AtTemperature) -> tuple[ValueWithErrors, ...]:
    """Return the values of one temperature in the order of every table."""
    return (
        one.tracer_diffusivity,
        one.collective_diffusivity,
        one.haven_ratio,
        one.conductivity,
        one.conductivity_nernst_einstein,
    )


def _numbers(temperatures: Sequence[AtTemperature]) -> str:
    header = ["Temperature, K", "Runs", "Draws", "Tracer diffusivity, cm²/s", "Collective diffusivity, cm²/s"]
    header += ["Haven ratio", "Conductivity, S/cm", "Nernst–Einstein, S/cm", "Slope of ln MSD", "Fitted, ps"]
    rows = [
        [
            digits(one.temperature, 4),
            str(one.n_runs),
            str(one.n_draws or ABSENT),
            *(with_total(value) for value in values_of(one)),
            with_error(one.window.slope, one.window.slope_stderr),
            _span(one.window),
        ]
        for one in temperatures
    ]
    return table(header, rows)


def _warnings(temperatures: Sequence[AtTemperature]) -> list[str]:
    return [sentence for one in temperatures for sentence in (*one.warnings, *_outside(one))]


def _outside(one: AtTemperature) -> list[str]:
    return [f"At {one.temperature:g} K: {sentence}" for sentence in outside_sentences(one.domain)]


def _span(window: FittedWindow) -> str:
    if not window.diffusive:
        return "not diffusive"
    return f"{digits(window.start_fs / 1000)} to {digits(window.end_fs / 1000)}"


def _runs(temperatures: Sequence[AtTemperature]) -> str:
    header = ["Run", "Temperature, K", "Draw", "Frames", "Tracer diffusivity, cm²/s", "Framework, r.m.s., Å"]
    rows = []
    for one in temperatures:
        for run in one.runs:
            line = run.lines_in_angstrom_and_fs.tracer_line
            diffusivity = ABSENT if line is None else scientific(line.diffusivity * 0.1, line.stderr * 0.1)
            draw = ABSENT if run.draw is None else str(run.draw)
            cells = [digits(one.temperature, 4), draw, str(run.n_frames), diffusivity]
            rows.append([escape(run.name), *cells, digits(run.framework_rms)])
    return table(header, rows)


def _displacements(
    rows: Sequence[Displacement], temperatures: Sequence[AtTemperature], name: Literal["msd", "collective_msd"]
) -> tuple[Any, str]:
    """Draw every run's squared displacements against time, both logarithmic, and where they were fitted."""
    figure = drawing.plotly().Figure()
    shades = {one.temperature: drawing.colour("", index) for index, one in enumerate(temperatures)}
    seen: set[float] = set()
    for run, kelvin in dict.fromkeys((row.run, row.temperature) for row in rows):
        of_run = [row for row in rows if row.run == run and row.temperature == kelvin]
        values = np.array([[row.time_ps, row.msd if name == "msd" else row.collective_msd] for row in of_run])
        values = values[values[:, 1] > 0]
        figure.add_scatter(
            x=drawing.short(values[:, 0]),
            y=drawing.short(values[:, 1]),
            name=f"{kelvin:g} K",
            legendgroup=f"{kelvin:g}",
            showlegend=kelvin not in seen,
            line={"color": shades[kelvin], "width": 1.5},
            hovertext=escape(run),
        )
        seen.add(kelvin)
    for one in temperatures:
        if one.window.diffusive:
            first, last = one.window.start_fs / 1000, one.window.end_fs / 1000
            shade = shades[one.temperature]
            figure.add_vrect(x0=first, x1=last, fillcolor=shade, opacity=0.06, line_width=0)
    what = "Mean squared displacement of one ion, Å²" if name == "msd" else "Of all ions together over their number, Å²"
    drawing.styled(figure, "Time, ps", what, 420)
    logarithmic(figure, "x")
    logarithmic(figure, "y")
    return figure, "One line a run; shaded is what was fitted. Diffusion has slope 1."


def _arrhenius(activation: Mapping[str, ActivationNumbers], temperatures: Sequence[AtTemperature], pen: Pen) -> str:
    return "".join(pen.draw(_line(name, one, temperatures), _energy(one)) for name, one in activation.items())


def _line(name: str, one: ActivationNumbers, temperatures: Sequence[AtTemperature]) -> Any:
    """Draw one quantity against the inverse temperature, with the fit through it."""
    figure = drawing.plotly().Figure()
    points = [
        (at.temperature, value.value, value.stderr)
        for at in temperatures
        for value in [at.conductivity if name == "conductivity" else at.tracer_diffusivity]
    ]
    positive = np.array([point for point in points if point[1] > 0])
    factor = positive[:, 0] if name == "conductivity" else np.ones(len(positive))
    figure.add_scatter(
        x=drawing.short(1000 / positive[:, 0]),
        y=drawing.short(factor * positive[:, 1]),
        error_y={"array": drawing.short(factor * positive[:, 2])},
        mode="markers",
        marker={"size": 9, "color": drawing.LIFTED},
        showlegend=False,
    )
    ends = np.array([*one.extrapolated, *positive[:, 0]])
    line = np.linspace(1 / ends.max(), 1 / ends.min(), 40)
    values = np.exp(one.fit.log_prefactor - one.fit.activation_energy / BOLTZMANN * line)
    figure.add_scatter(
        x=drawing.short(1000 * line),
        y=drawing.short(values),
        mode="lines",
        line={"color": drawing.MUTED, "dash": "dot"},
        showlegend=False,
    )
    drawing.styled(figure, "1000/T, 1/K", one.quantity[:1].upper() + one.quantity[1:], 400)
    logarithmic(figure, "y")
    return figure


def _energy(one: ActivationNumbers) -> str:
    energy = one.activation_energy
    sentence = f"Activation energy {with_error(energy.value, energy.stderr_total)} eV"
    if one.fit.scale > 1:
        sentence += (
            f"; the points scatter {digits(one.fit.scale, 2)} times as much as their errors, which were widened by that"
        )
    for kelvin, (value, stderr) in one.extrapolated.items():
        sentence += f"; at {kelvin} K {scientific(value, stderr)}, if the same process rules there"
    return sentence + "."


def transport_summary(result: TransportResult) -> Summary:
    """Return diffusivities, conductivities and activation energies, and whether anything was seen to diffuse."""
    rows = [
        (f"{one.temperature:g}", str(one.n_runs), *(with_total(value) for value in values_of(one)))
        for one in result.temperatures
    ]
    title = f"Transport of {result.settings.species} (diffusivities cm²/s, conductivities S/cm)"
    headings = ("T, K", "runs", "D tracer", "D collective", "Haven ratio", "σ", "σ Nernst–Einstein")
    sentences = [sentence for activation in result.activation.values() for sentence in _activated(activation)]
    if any(math.isfinite(one.conductivity.value) for one in result.temperatures):
        sentences.append("The Nernst–Einstein conductivity takes the Haven ratio to be 1; the other one does not.")
    return Summary(
        (Table(title, headings, rows, n_names=0),),
        tuple(sentences),
        tuple(_warnings(result.temperatures)),
        (result.reason,) if result.reason else (),
    )


def _activated(activation: ActivationNumbers) -> Iterator[str]:
    energy = activation.activation_energy
    name = activation.quantity.split(",")[0]
    yield f"Activation energy of the {name}: {scientific(energy.value, energy.stderr_total)} eV"
    for kelvin, (value, stderr) in activation.extrapolated.items():
        quantity = f"{activation.quantity}: {scientific(value, stderr)}"
        yield f"At {kelvin} K, if the same process rules there, {quantity}"
