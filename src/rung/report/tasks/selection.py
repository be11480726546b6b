"""``select.html``: how surely each question is answered against the cost of labels."""

from collections.abc import Sequence
from html import escape
from typing import Any

from rung.errors import counted
from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import capital, table
from rung.report.tasks.page import Content, TaskPage
from rung.results.selection import SELECTION_FILE, Course, QuestionBars, SelectionResult

PAGE = "select.html"

WORDS = {"chosen": "chosen here", "random": "random", "farthest": "farthest points"}
SHOWN = 20


def _content(result: SelectionResult, pen: Pen) -> Content:
    caption = "One sigma, the model's own error among it, as it will be whatever the labels turn out to be."
    charts = "".join(
        f"<h3>{escape(question.name)}</h3>" + pen.draw(_figure(question, index, result.courses), caption)
        for index, question in enumerate(result.questions)
    )
    return Content(
        f"{counted(len(result.labels), 'label')} to compute",
        f"{result.fidelity} · {result.model}",
        [("What they would tell", charts + _bars(result)), ("Labels", _labels(result))],
        result.warnings,
    )


write_selection_report = TaskPage(SELECTION_FILE, PAGE, SelectionResult.read, _content)
"""Writes ``select.html`` from ``select.json`` of a folder."""


def _figure(question: QuestionBars, index: int, courses: Sequence[Course]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    for position, course in enumerate(courses):
        shade = drawing.colour(course.way, position)
        figure.add_scatter(
            x=drawing.short(course.cost),
            y=drawing.short(course.bars[index]),
            name=WORDS[course.way],
            mode="lines+markers",
            line={"color": shade, "width": 2.5},
        )
    drawing.styled(figure, "Cost of the labels", f"Error bar, {question.unit}", 380)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _rows(result: SelectionResult) -> list[tuple[str, ...]]:
    last = {course.way: [bars[-1] if bars else float("nan") for bars in course.bars] for course in result.courses}
    return [
        (
            question.name,
            question.unit,
            number(question.now, 4),
            *(number(last[way][index] if way in last else None, 4) for way in WORDS),
            number(question.model_error, 4),
        )
        for index, question in enumerate(result.questions)
    ]


HEADINGS = ("question", "unit", "now", "chosen here", "random", "farthest points", "all labelled")


def _bars(result: SelectionResult) -> str:
    return table([capital(one) for one in HEADINGS], [[escape(cell) for cell in row] for row in _rows(result)], text=2)


def _labels(result: SelectionResult) -> str:
    rows = [
        [escape(one.structure_id), str(one.n_atoms), number(one.stderr, 4), number(one.cost, 2), number(one.now, 3)]
        for one in result.labels
    ]
    return table(["Structure", "Atoms", "σ to reach, eV", "Cost", "Error now, eV"], rows, text=1)


def selection_summary(result: SelectionResult) -> Summary:
    """Return the labels and what they would tell."""
    labels = Table(
        "Labels to compute" + (f", the first {SHOWN}" if len(result.labels) > SHOWN else ""),
        ("structure", "atoms", "σ, eV", "cost", "error now, eV"),
        [
            (one.structure_id, str(one.n_atoms), number(one.stderr, 4), number(one.cost, 2), number(one.now, 3))
            for one in result.labels[:SHOWN]
        ],
    )
    told = Table("What they would tell: one-sigma errors", HEADINGS, _rows(result), n_names=2)
    rule = (
        f"The model's own error of a structure of mean size is {number(result.own_error, 3)} eV; labels much more "
        "precise than that are waste."
    )
    return Summary((labels, told), sentences=(rule,), warnings=result.warnings)
