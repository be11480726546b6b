"""``barrier.html``: bands with their error bars, the numbers, modes and rates."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rung.report import drawing, figures
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import ABSENT, digits, electronvolts, table
from rung.report.tasks.page import Content, TaskPage
from rung.results.barrier import BARRIER_FILE
from rung.results.barrier_task import Rate, TaskBarrier, TaskPanel, read_task_panels

PAGE = "barrier.html"


def _content(panels: Sequence[TaskPanel], pen: Pen) -> Content:
    names = dict.fromkeys(curve.name for panel in panels for curve in panel.curves)
    return Content(
        "Barrier",
        " · ".join(names),
        [(escape(panel.title), _panel(panel, pen)) for panel in panels],
        [f"{entry.name}: no barrier, {entry.reason}." for panel in panels for entry in panel.barriers if entry.reason],
    )


write_barrier_report = TaskPage(BARRIER_FILE, PAGE, read_task_panels, _content)
"""Writes ``barrier.html`` from ``barrier.json`` of a folder."""


def band_figure(panel: TaskPanel) -> Any:
    """Draw the curves of a panel, and noisy energies as points with their one-sigma errors."""
    figure = figures.band(panel.curves)
    points = panel.points
    if points is not None:
        figure.add_scatter(
            x=drawing.short(points.coordinate),
            y=drawing.short(points.energies, 5),
            name=escape(points.name),
            mode="markers",
            marker={"color": drawing.TRUTH, "size": 8, "symbol": "diamond"},
            error_y={
                "type": "data",
                "array": drawing.short(points.stderr),
                "color": drawing.TRUTH,
                "thickness": 1.4,
                "width": 4,
            },
        )
    return figure


def _panel(panel: TaskPanel, pen: Pen) -> str:
    entries = panel.barriers
    figure = pen.draw(band_figure(panel), _caption(panel)) if panel.curves else ""
    header = [
        "Potential",
        "Barrier, eV",
        "± weights, eV",
        "± total, eV",
        "Reverse, eV",
        "Reaction, eV",
        "Images",
        "Steps",
    ]
    header += ["Domain", "Bounds, eV"]
    rows = [
        [
            escape(entry.name),
            *(
                electronvolts(value)
                for value in (entry.value, entry.stderr, entry.stderr_total, entry.reverse, entry.reaction)
            ),
            str(entry.images[-1].images) if entry.images else ABSENT,
            ABSENT if entry.steps is None else str(entry.steps),
            _domain(entry),
            _bounds(entry) or ABSENT,
        ]
        for entry in entries
    ]
    notes = "".join(
        f'<p class="note">{escape(f"{entry.name}: {note}")}</p>' for entry in entries for note in _sentences(entry)
    )
    return figure + table(header, rows) + notes + _rates(entries) + _draws(entries, pen)


def _caption(panel: TaskPanel) -> str:
    parts = []
    if any(curve.stderr_total for curve in panel.curves):
        parts.append("Dark band: one sigma from the fitted weights alone. Light band: with the model's own error.")
    if panel.points is not None:
        parts.append("Diamonds: single energies, one sigma.")
    return " ".join(parts)


def _rates(entries: Sequence[TaskBarrier]) -> str:
    rows = [
        [
            escape(entry.name),
            f"{rate.temperature:.0f}",
            digits(rate.prefactor),
            digits(rate.rate),
            digits(rate.quantum_rate),
            digits(rate.factor) if math.isfinite(rate.factor) else ABSENT,
            electronvolts(_change_of_zero_point(entry)),
        ]
        for entry in entries
        for rate in entry.rates
    ]
    if not rows:
        return ""
    header = [
        "Potential",
        "T, K",
        "Vineyard prefactor, 1/s",
        "Rate, 1/s",
        "Rate, quantised modes, 1/s",
        "×/÷ for one sigma",
        "Change of zero-point energy, eV",
    ]
    return (
        "<h3>Rates</h3>"
        + table(header, rows)
        + '<p class="note">Harmonic transition-state theory: no recrossing and no tunnelling.</p>'
    )


def _change_of_zero_point(entry: TaskBarrier) -> float:
    if entry.start_modes is None or entry.saddle_modes is None:
        return math.nan
    return entry.saddle_modes.zero_point_energy - entry.start_modes.zero_point_energy


def _draws(entries: Sequence[TaskBarrier], pen: Pen) -> str:
    series = {entry.name: entry.draws.barriers for entry in entries if entry.draws is not None}
    if not series:
        return ""
    go = drawing.plotly()
    figure = go.Figure()
    for index, (name, values) in enumerate(series.items()):
        finite = np.array(values)[np.isfinite(values)]
        figure.add_box(
            x=drawing.short(finite, 5),
            name=escape(name),
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": drawing.colour(name, index), "size": 7},
            line={"width": 1},
            showlegend=False,
        )
    drawing.styled(figure, "Barrier, eV", "", 120 + 90 * len(series))
    return "<h3>Posterior draws</h3>" + pen.draw(
        figure, "Each point: the band relaxed again on one draw of the weights."
    )


def barrier_summary(panels: Sequence[TaskPanel]) -> Summary:
    """Return the barriers of every panel, their rates and notes, and which bands did not converge."""
    barriers = [barrier for panel in panels for barrier in panel.barriers]
    return Summary(
        tuple(_table(panel) for panel in panels),
        tuple(
            f"{barrier.name}: {sentence}"
            for barrier in barriers
            for sentence in (*map(_in_words, barrier.rates), *_sentences(barrier))
        ),
        failures=tuple(f"no barrier of {barrier.name}: {barrier.reason}." for barrier in barriers if barrier.reason),
    )


def _table(panel: TaskPanel) -> Table:
    headings = ("potential", "barrier, eV", "± weights", "± total", "reverse, eV", "reaction, eV", "domain")
    rows = [
        (
            one.name,
            *map(number, (one.value, one.stderr, one.stderr_total, one.reverse, one.reaction)),
            _domain(one),
        )
        for one in panel.barriers
    ]
    return Table(panel.title, headings, rows)


def _sentences(entry: TaskBarrier) -> tuple[str, ...]:
    """Return the verdict on the bar, then what else there is to know."""
    return (*([entry.verdict] if entry.verdict else []), *entry.notes)


def _domain(entry: TaskBarrier) -> str:
    """Return where the barrier lies; a dash where the question does not arise."""
    return entry.domain if entry.verdict else ABSENT


def _bounds(entry: TaskBarrier) -> str:
    return f"{entry.low:.3f} to {entry.high:.3f}" if entry.quoted == "bounds" else ""


def _in_words(rate: Rate) -> str:
    factor = "" if not math.isfinite(rate.factor) else f" (×/÷ {rate.factor:.2g} for one standard error)"
    return (
        f"at {rate.temperature:.0f} K {rate.rate:.3g} /s{factor}, with quantised modes "
        f"{rate.quantum_rate:.3g} /s; Vineyard prefactor {rate.prefactor:.3g} /s."
    )
