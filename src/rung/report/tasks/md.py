"""``md.html``: energies, temperature and g(r) of a run, and whether it was stable."""

from html import escape
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table
from rung.report.tables import digits, table, with_error
from rung.report.tasks.domain import outside_sentences, standing_words
from rung.report.tasks.page import Content, TaskPage
from rung.results.md import MD_FILE, MDResult

PAGE = "md.html"


def _content(run: MDResult, pen: Pen) -> Content:
    energy = pen.draw(_energy(run), "Total energy above that of the first sample, and its kinetic part's mean.")
    temperature = pen.draw(_temperature(run), "Kinetic temperature.")
    radial = pen.draw(_radial(run), "g(r); the density is that of the whole cell.") if run.radial.pairs else ""
    return Content(
        "Molecular dynamics",
        f"{run.fidelity}, {run.settings.ensemble.upper()} at {run.settings.temperature:.0f} K",
        [("Run", _numbers(run)), ("Energy", energy), ("Temperature", temperature), ("Structure", radial)],
        [*([f"The run ended {run.reason}."] if run.reason else []), *outside_sentences(run.domain)],
    )


write_md_report = TaskPage(MD_FILE, PAGE, MDResult.read, _content)
"""Writes ``md.html`` from ``md.json`` of a folder."""


def _times(run: MDResult) -> Array:
    return np.asarray(run.samples.step) * run.settings.timestep / 1000.0


def _energy(run: MDResult) -> Any:
    figure = drawing.plotly().Figure()
    potential, kinetic = np.asarray(run.samples.potential), np.asarray(run.samples.kinetic)
    per_atom = 1000.0 / run.n_atoms
    total = potential + kinetic
    for name, values, shade in (
        ("total", total - total[0], drawing.LIFTED),
        ("potential", potential - potential.mean(), drawing.BASE),
    ):
        figure.add_scatter(
            x=drawing.short(_times(run)),
            y=drawing.short(per_atom * values, 5),
            name=name,
            mode="lines",
            line={"color": shade, "width": 1.5},
        )
    drawing.styled(figure, "Time, ps", "Energy, meV/atom", 340)
    return figure


def _temperature(run: MDResult) -> Any:
    figure = drawing.plotly().Figure()
    figure.add_scatter(
        x=drawing.short(_times(run)),
        y=drawing.short(run.samples.temperature),
        mode="lines",
        line={"color": drawing.ALONE, "width": 1.5},
        showlegend=False,
    )
    figure.add_hline(y=run.settings.temperature, line={"color": drawing.MUTED, "width": 1, "dash": "dot"})
    drawing.styled(figure, "Time, ps", "Temperature, K", 300)
    return figure


def _radial(run: MDResult) -> Any:
    figure = drawing.plotly().Figure()
    for index, (name, values) in enumerate(run.radial.pairs.items()):
        figure.add_scatter(
            x=drawing.short(run.radial.distance),
            y=drawing.short(values),
            name=escape(name),
            mode="lines",
            line={"color": drawing.colour(name, index), "width": 2},
        )
    drawing.styled(figure, "Distance, Å", "g(r)", 340)
    return figure


NOTHING_CONSERVED = "the Langevin thermostat takes and gives heat"


def _conserved(run: MDResult) -> bool:
    """Whether the total energy should stand still, so that its drift judges time step and potential."""
    return run.settings.ensemble == "nve"


def _numbers(run: MDResult) -> str:
    rows = [
        ["Steps done", str(run.steps)],
        ["Time, ps", digits(run.picoseconds)],
        ["Stable", "yes" if run.stable else escape(run.reason)],
    ]
    averages = run.statistics
    if averages is not None:
        rows += [
            ["Temperature, K", with_error(averages.temperature, averages.temperature_stderr)],
            ["Its variance over the canonical one", digits(averages.temperature_variance_ratio)],
            ["Potential energy, eV/atom", with_error(averages.potential, averages.potential_stderr)],
        ]
        if _conserved(run):
            rows += [
                ["Drift of the total energy, meV/atom/ps", with_error(averages.drift, averages.drift_stderr)],
                ["Fluctuation about it, meV/atom", digits(averages.fluctuation)],
            ]
        else:
            rows.append(["Conserved quantity", "none"])
    if run.domain is not None:
        rows.append(["Frames outside the domain", standing_words(run.domain)])
    note = "" if _conserved(run) else f'<p class="note">Nothing is conserved: {NOTHING_CONSERVED}.</p>'
    return table(["", "Value"], rows) + note


def md_summary(result: MDResult) -> Summary:
    """Return the averages of a run, and why it ended before its time."""
    failures = (f"The run ended {result.reason}.",) if result.reason else ()
    averages, warned = result.statistics, outside_sentences(result.domain)
    if averages is None:
        return Summary(warnings=("The run is too short for averages.", *warned), failures=failures)
    rows = [
        ("temperature, K", f"{averages.temperature:.1f}", f"{averages.temperature_stderr:.1f}"),
        ("its variance over the canonical one", f"{averages.temperature_variance_ratio:.2f}", ""),
        ("potential energy, eV/atom", f"{averages.potential:.4f}", f"{averages.potential_stderr:.4f}"),
    ]
    if _conserved(result):
        rows += [
            ("drift of the total energy, meV/atom/ps", f"{averages.drift:.3f}", f"{averages.drift_stderr:.3f}"),
            ("fluctuation about it, meV/atom", f"{averages.fluctuation:.3f}", ""),
        ]
    else:
        rows.append(("conserved quantity", "none", ""))
    title = f"{result.settings.ensemble.upper()} of {result.fidelity}, {result.picoseconds:.3g} ps"
    return Summary((Table(title, ("quantity", "value", "standard error"), rows),), warnings=warned, failures=failures)
