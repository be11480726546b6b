"""``vacancies.html``: barriers against the number of vacancies, and what vacancies cost."""

from collections.abc import Sequence
from html import escape
from typing import Any

from rung.errors import counted
from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import electronvolts, table
from rung.report.tasks.page import Content, TaskPage
from rung.results.vacancies import VACANCIES_FILE, Defects, RowHop, VacanciesResult

PAGE = "vacancies.html"


def _content(result: VacanciesResult, pen: Pen) -> Content:
    caption = "Bars: one sigma with the model's own error. Open: not converged in cell size."
    layer = result.monolayer
    return Content(
        f"Vacancies in {layer.metal}{layer.chalcogen}2",
        " · ".join(dict.fromkeys(hop.fidelity for hop in result.hops)),
        [
            ("Hops", pen.draw(hop_figure(result.hops), caption) + _hops(result.hops)),
            ("Energies of vacancies", "".join(_defects(entry) for entry in result.defects)),
        ],
        [
            *(f"{entry.fidelity}: {entry.refused}" for entry in result.defects if entry.refused),
            *_outside(result),
        ],
    )


write_vacancy_report = TaskPage(VACANCIES_FILE, PAGE, VacanciesResult.read, _content)
"""Writes ``vacancies.html`` from ``vacancies.json`` of a folder."""


def hop_figure(hops: Sequence[RowHop]) -> Any:
    """Draw the barrier for each atom against the number of vacancies, a line for each fidelity and way."""
    go = drawing.plotly()
    figure = go.Figure()
    ways = dict.fromkeys(hop.way for hop in hops)
    for index, fidelity in enumerate(dict.fromkeys(hop.fidelity for hop in hops)):
        for way in ways:
            line = [hop for hop in hops if hop.fidelity == fidelity and hop.way == way]
            shade = drawing.colour(fidelity, index)
            bars = [hop.stderr_total / _shared(hop) for hop in line]
            figure.add_scatter(
                x=[hop.vacancies for hop in line],
                y=drawing.short([hop.per_atom for hop in line]),
                name=escape(f"{fidelity}, {way}" if len(ways) > 1 else fidelity),
                mode="lines+markers",
                line={"color": shade, "width": 2.5, "dash": "solid" if way == "concerted" else "dash"},
                marker={"size": 9, "symbol": ["circle" if hop.converged else "circle-open" for hop in line]},
                error_y={
                    "type": "data",
                    "array": [0.0 if value is None else value for value in drawing.short(bars)],
                    "color": shade,
                    "thickness": 1.2,
                    "width": 4,
                },
            )
    drawing.styled(figure, "Vacancies in the row", "Barrier for each atom that moves, eV", 440)
    figure.update_xaxes(dtick=1)
    return figure


def _shared(hop: RowHop) -> float:
    return hop.barrier / hop.per_atom if hop.per_atom and hop.barrier else 1.0


def _hops(hops: Sequence[RowHop]) -> str:
    header = [
        "Fidelity",
        "Way",
        "Vacancies",
        "Cell",
        "Barrier, eV",
        "For each atom, eV",
        "± weights, eV",
        "± total, eV",
        "Note",
    ]
    rows = [
        [
            escape(hop.fidelity),
            hop.way,
            str(hop.vacancies),
            "×".join(str(side) for side in hop.size),
            *(electronvolts(value) for value in (hop.barrier, hop.per_atom, hop.stderr, hop.stderr_total)),
            escape(hop.reason),
        ]
        for hop in hops
    ]
    return table(header, rows, text=2) + '<p class="note">The bars are those of the whole barrier.</p>'


def _defects(entry: Defects) -> str:
    rows = [
        [
            escape(energy.name),
            *(electronvolts(value) for value in (energy.value, energy.stderr, energy.stderr_total)),
        ]
        for energy in entry.energies
    ]
    sentence = (
        "No chemical potential was stated, so there is no formation energy."
        if entry.chemical_potential is None
        else f"Chemical potential of the chalcogen: {entry.chemical_potential:.3f} eV an atom."
    )
    size = "×".join(str(side) for side in entry.size)
    return (
        f"<h3>{escape(entry.fidelity)}, {size} cells</h3>"
        + table(["Energy", "Value, eV", "± weights, eV", "± total, eV"], rows)
        + f'<p class="note">{escape(sentence)} Binding is positive where vacancies attract.</p>'
    )


def vacancy_summary(result: VacanciesResult) -> Summary:
    """Return hops and energies of defects, and which of them are missing."""
    hops = Table(
        "Hops of rows of vacancies",
        ("fidelity", "way", "vacancies", "cell", "barrier, eV", "for each atom", "± weights", "± total"),
        [
            (
                hop.fidelity,
                hop.way,
                str(hop.vacancies),
                "x".join(str(side) for side in hop.size) + ("" if hop.converged else "?"),
                *map(number, (hop.barrier, hop.per_atom, hop.stderr, hop.stderr_total)),
            )
            for hop in result.hops
        ],
        n_names=2,
    )
    defects = Table(
        "Energies of vacancies",
        ("fidelity", "energy", "eV", "± weights", "± total"),
        [
            (defect.fidelity, energy.name, *map(number, (energy.value, energy.stderr, energy.stderr_total)))
            for defect in result.defects
            for energy in defect.energies
        ],
        n_names=2,
    )
    missing = [
        f"{hop.fidelity}, {counted(hop.vacancies, 'vacancy', 'vacancies')}: {hop.reason}."
        for hop in result.hops
        if hop.reason
    ]
    missing += [f"{defect.fidelity}: {defect.refused}" for defect in result.defects if defect.refused]
    return Summary((hops, defects), warnings=_outside(result), failures=tuple(missing))


def _outside(result: VacanciesResult) -> tuple[str, ...]:
    """Return a sentence for each number whose error bar does not hold."""
    hops = [
        f"{hop.fidelity}, {counted(hop.vacancies, 'vacancy', 'vacancies')}, {hop.way}: outside the domain, so no error "
        f"bar holds ({'; '.join(hop.outside)})."
        for hop in result.hops
        if hop.domain == "outside"
    ]
    defects = [
        f"{entry.fidelity}, energies of vacancies: outside the domain, so no error bar holds "
        f"({'; '.join(entry.outside)})."
        for entry in result.defects
        if entry.domain == "outside"
    ]
    return (*hops, *defects)
