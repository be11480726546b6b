"""``label.html``: the labels of a folder with their errors and costs, and what has none and why."""

from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Any

from rung.errors import counted
from rung.progress import duration
from rung.report import drawing
from rung.report.axes import logarithmic
from rung.report.page import Pen
from rung.report.summary import number
from rung.report.tables import ABSENT, table
from rung.report.tasks.page import Content, TaskPage
from rung.results.label import LABEL_FILE, LabelEntry, Labelled
from rung.units import MILLI

PAGE = "label.html"

STATES = {
    "failed": "not made",
    "waiting": "inputs are written, and outputs are not there yet",
    "missing": "not computed yet",
}


def _content(result: Labelled, pen: Pen) -> Content:
    done = [one for one in result.entries if one.state == "labelled"]
    others = [one for one in result.entries if one.state != "labelled"]
    timed = [one for one in done if isfinite(one.cpu_seconds) and one.cpu_seconds > 0.0]
    barred = [one for one in done if isfinite(one.energy_stderr)]
    charts = [
        *([pen.draw(_errors(barred), "One sigma of each label; the line is the error asked for.")] if barred else []),
        *([pen.draw(_costs(timed), "Processor time of each label.")] if timed else []),
    ]
    grid = f'<div class="grid two">{"".join(charts)}</div>' if charts else ""
    spent = duration(sum(one.cpu_seconds for one in timed))
    return Content(
        f"{len(done)} of {counted(len(result.entries), 'label')}",
        " · ".join(
            [result.fidelity, str(result.engine.get("name", "")), *([f"{spent} of processor time"] * bool(timed))]
        ),
        [("What they took", grid), ("Without a label", _missing(others)), ("Labels", _labels(done))],
        [f"{one.structure_id}: {sentence}" for one in done for sentence in one.warnings],
    )


write_label_report = TaskPage(LABEL_FILE, PAGE, Labelled.read, _content)
"""Writes ``label.html`` from ``label.json`` of a folder."""


def _errors(done: Sequence[LabelEntry]) -> Any:
    figure = drawing.plotly().Figure()
    figure.add_scatter(
        x=list(range(1, len(done) + 1)),
        y=drawing.short([MILLI * one.energy_stderr for one in done]),
        mode="markers",
        text=[escape(one.structure_id) for one in done],
        marker={"color": drawing.LIFTED, "size": 7},
        showlegend=False,
    )
    wanted = {one.stderr_wanted for one in done if isfinite(one.stderr_wanted)}
    for value in sorted(wanted):
        figure.add_hline(y=MILLI * value, line={"color": drawing.MUTED, "width": 1, "dash": "dot"})
    drawing.styled(figure, "Label, in the order of the folder", "Error of the energy, meV", 340)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _costs(done: Sequence[LabelEntry]) -> Any:
    figure = drawing.plotly().Figure()
    figure.add_scatter(
        x=list(range(1, len(done) + 1)),
        y=drawing.short([one.cpu_seconds for one in done]),
        mode="markers",
        text=[escape(one.structure_id) for one in done],
        marker={"color": drawing.ALONE, "size": 7},
        showlegend=False,
    )
    drawing.styled(figure, "Label, in the order of the folder", "Processor time, s", 340)
    logarithmic(figure, "y")
    return figure


def _labels(done: Sequence[LabelEntry]) -> str:
    rows = [
        [
            escape(one.structure_id),
            number(one.energy, 5),
            number(one.energy_stderr, 5),
            number(one.stderr_wanted, 5),
            number(one.independent, 0),
            number(one.cpu_seconds, 1),
            f"<code>{escape(one.folder)}</code>",
        ]
        for one in done
    ]
    header = ["Structure", "Energy, eV", "σ, eV", "σ wanted, eV", "Independent samples", "Processor time, s", "Folder"]
    columns = [place for place in range(len(header)) if not rows or any(row[place] != ABSENT for row in rows)]
    words = [place for place, column in enumerate(columns) if column in (0, len(header) - 1)]
    shown = [[row[column] for column in columns] for row in rows]
    return table([header[column] for column in columns], shown, text=words) if rows else ""


def _missing(others: Sequence[LabelEntry]) -> str:
    rows = [
        [escape(one.structure_id), STATES[one.state], escape(one.sentence), f"<code>{escape(one.folder)}</code>"]
        for one in others
    ]
    return table(["Structure", "State", "Why", "Folder"], rows, text=4) if rows else ""
