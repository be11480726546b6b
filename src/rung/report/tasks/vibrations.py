"""``vibrations.html``: the modes of a structure at each fidelity, their errors, and what moves in them."""

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

from rung.evaluate.paths.vibrations import WAVENUMBER
from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import ABSENT, capital, table
from rung.report.tasks.page import Content, TaskPage
from rung.results.vibrations import VIBRATIONS_FILE, FidelityModes, VibrationsResult
from rung.units import MILLI

PAGE = "vibrations.html"

MOST_ROWS = 30
"""Modes in the terminal; the page has all of them."""


def _content(result: VibrationsResult, pen: Pen) -> Content:
    some = [one for one in result.fidelities if one.wavenumbers]
    sections = []
    if some:
        caption = (
            "Each line is a mode, an imaginary one below zero. Bars: one sigma, of the weights and of the smooth part "
            "of the model's error."
        )
        sections = [
            ("Frequencies", pen.draw(_figure(some), caption)),
            ("Zero-point energy", _table(ZERO_POINT, [_zero_point(one) for one in some])),
            *((f"Modes at {escape(one.fidelity)}", _table(MODES, list(_rows(one)))) for one in some),
        ]
    return Content(
        "Vibrations",
        f"{result.formula} · {' · '.join(one.fidelity for one in result.fidelities)}",
        sections,
        [*_failures(result), *_sentences(result)],
        molecules=not result.periodic,
    )


write_vibrations_report = TaskPage(VIBRATIONS_FILE, PAGE, VibrationsResult.read, _content)
"""Writes ``vibrations.html`` from ``vibrations.json`` of a folder."""


def _figure(some: Sequence[FidelityModes]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    for index, one in enumerate(some):
        shade = drawing.colour(one.fidelity, index)
        known = any(isfinite(value) for value in one.stderr_smooth)
        figure.add_scatter(
            x=drawing.short(one.wavenumbers, 6),
            y=[escape(one.fidelity)] * len(one.wavenumbers),
            mode="markers",
            text=[f"mode {place}: {_in_words(share)}" for place, share in enumerate(one.shares, start=1)],
            marker={"symbol": "line-ns", "size": 28, "line": {"color": shade, "width": 2}, "color": shade},
            error_x={"type": "data", "array": drawing.short(one.stderr_smooth), "color": shade, "thickness": 1.4}
            if known
            else None,
            showlegend=False,
        )
    drawing.styled(figure, "Wavenumber, cm⁻¹", "", 130 + 90 * len(some))
    figure.update_yaxes(autorange="reversed")
    return figure


MODES = ("mode", "wavenumber, cm⁻¹", "± weights, cm⁻¹", "± with smooth error, cm⁻¹", "energy, meV", "moves")
ZERO_POINT = (
    "potential",
    "zero-point energy, eV",
    "± weights, eV",
    "± with smooth error, eV",
    "largest force, eV/Å",
    "domain",
)


def _rows(one: FidelityModes) -> list[tuple[str, ...]]:
    return [
        (
            str(place),
            f"{-value:.1f}i" if value < 0 else f"{value:.1f}",
            _bar(weights),
            _bar(total),
            f"{MILLI * WAVENUMBER * abs(value):.1f}",
            _in_words(share),
        )
        for place, (value, weights, total, share) in enumerate(
            zip(one.wavenumbers, one.stderr, one.stderr_smooth, one.shares, strict=True), start=1
        )
    ]


def _bar(value: float) -> str:
    return f"{value:.1f}" if isfinite(value) else ABSENT


def _in_words(share: Mapping[str, float]) -> str:
    """Return the elements that move, those that move most first, without such as hardly do."""
    parts = sorted(share.items(), key=lambda item: -item[1])
    return ", ".join(f"{element} {100 * part:.0f} %" for element, part in parts if part >= 0.01)


def _zero_point(one: FidelityModes) -> tuple[str, ...]:
    return (
        one.fidelity,
        number(one.zero_point_energy, 4),
        number(one.zero_point_stderr, 4),
        number(one.zero_point_stderr_smooth, 4),
        number(one.max_force, 4),
        one.domain,
    )


def _table(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    return table([capital(one) for one in head], [[escape(cell) for cell in row] for row in rows], text=1)


def _sentences(result: VibrationsResult) -> list[str]:
    return [*result.warnings, *(f"{one.fidelity}: {note}" for one in result.fidelities for note in one.notes)]


def _failures(result: VibrationsResult) -> list[str]:
    return [f"No modes of {one.fidelity}: {one.reason}." for one in result.fidelities if one.reason]


def vibrations_summary(result: VibrationsResult) -> Summary:
    """Return zero-point energies and the modes of each fidelity, and what a reader should know."""
    some = [one for one in result.fidelities if one.wavenumbers]
    tables = [Table(f"Modes at {one.fidelity}", MODES, _rows(one)[:MOST_ROWS]) for one in some]
    if some:
        tables.append(Table("Zero-point energy", ZERO_POINT, [_zero_point(one) for one in some]))
    longer = [one.fidelity for one in some if len(one.wavenumbers) > MOST_ROWS]
    more = (f"The first {MOST_ROWS} modes are shown; {VIBRATIONS_FILE} and {PAGE} have all.",) if longer else ()
    return Summary(tuple(tables), more, warnings=tuple(_sentences(result)), failures=tuple(_failures(result)))
