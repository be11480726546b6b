"""``campaign.html``: each answer and its bar against cost, what was labelled and why, and what else would help."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import table
from rung.report.tasks.page import Content, TaskPage
from rung.results.campaign import CAMPAIGN_FILE, Answer, Asked, CampaignResult, Round, Status

PAGE = "campaign.html"

TITLES: dict[Status, str] = {
    "running": "A campaign that goes on",
    "waiting": "A campaign that waits for outputs",
    "reached": "A campaign that is answered",
    "budget": "A campaign whose budget is spent",
    "exhausted": "A campaign without further candidates",
}
COUNTED = {"labels": "labels", "cost": "cost", "cpu_hours": "CPU hours"}
SHOWN = 12


def _content(result: CampaignResult, pen: Pen) -> Content:
    return Content(
        TITLES[result.status],
        f"{result.fidelity} by {result.engine} · {result.method} · {_spent(result)}",
        [
            ("Answers", _answers(result)),
            *((escape(one.name), _question(one, result, pen)) for one in result.questions),
            ("What else would help", _sentences(result.help)),
            ("Rounds", _rounds(result)),
            ("Labels", _labels(result)),
        ],
        (result.sentence, *result.warnings),
    )


write_campaign_report = TaskPage(CAMPAIGN_FILE, PAGE, CampaignResult.read, _content)
"""Writes ``campaign.html`` from ``campaign.json`` of a folder."""


def _spent(result: CampaignResult) -> str:
    return ", ".join(
        f"{COUNTED.get(name, name)}: {number(result.spent.get(name), 2 if name == 'cpu_hours' else 0)} of {value:g}"
        for name, value in result.budget.items()
    )


def places(unit: str) -> int:
    """Return the decimals of a number in this unit: energies of an atom are small."""
    return 4 if unit == "eV/atom" else 3


def latest(result: CampaignResult) -> Round | None:
    """Return the last round that answered; None before there is one."""
    return next((one for one in reversed(result.rounds) if one.answers), None)


def _answer_rows(result: CampaignResult) -> list[tuple[str, ...]]:
    last = latest(result)
    tolerances = {one.name: one.tolerance for one in result.questions}
    if last is None:
        return []
    return [
        (
            one.name,
            *(
                number(value, places(one.unit))
                for value in (one.value, one.bar, tolerances.get(one.name), one.model_error)
            ),
            one.unit,
            one.domain,
            "yes" if within else "no",
        )
        for one, within in zip(last.answers, last.inside, strict=True)
    ]


ANSWER_HEADINGS = ("Question", "Answer", "± bar", "Tolerance", "Model's own error", "Unit", "Domain", "Sure enough")


def _answers(result: CampaignResult) -> str:
    rows = _answer_rows(result)
    if not rows:
        return '<p class="note">There is no fit yet: the labels of the start come first.</p>'
    last = latest(result)
    verdicts = [f"{one.name}: {one.verdict}" for one in last.answers if one.verdict] if last else []
    return table(list(ANSWER_HEADINGS), [[escape(cell) for cell in row] for row in rows], text=1) + _sentences(verdicts)


def _course(name: str, rounds: Sequence[Round]) -> list[tuple[Round, Answer]]:
    return [(one, answer) for one in rounds for answer in one.answers if answer.name == name]


def _question(asked: Asked, result: CampaignResult, pen: Pen) -> str:
    course = _course(asked.name, result.rounds)
    if not course:
        return ""
    charts = []
    if any(np.isfinite(answer.value) for _, answer in course):
        caption = "One sigma, the model's own error among it. Hollow: outside the domain, where no bar holds."
        charts.append(pen.draw(_answer_figure(asked, course), caption))
    charts.append(pen.draw(_bar_figure(asked, course), "Labels lower the bar; the model's own error stays below it."))
    parts = course[-1][1].parts
    listed = [[escape(one.name), number(one.value, 4), number(one.bar, 4)] for one in parts]
    below = table(["Quantity", f"Value, {escape(asked.unit)}", "± bar"], listed, text=1) if listed else ""
    kind = "two" if len(charts) > 1 else "one"
    return f'<div class="grid {kind}">{"".join(charts)}</div>{below}'


def _answer_figure(asked: Asked, course: Sequence[tuple[Round, Answer]]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    cost = [one.cost for one, _ in course]
    values = [answer.value for _, answer in course]
    bars = [answer.bar if np.isfinite(answer.bar) else 0.0 for _, answer in course]
    figure.add_scatter(
        x=drawing.short(cost),
        y=drawing.short(values, 5),
        mode="lines+markers",
        line={"color": drawing.LIFTED, "width": 2},
        marker={
            "size": 9,
            "color": [drawing.LIFTED if answer.domain == "inside" else "white" for _, answer in course],
            "line": {"color": drawing.LIFTED, "width": 2},
        },
        error_y={
            "type": "data",
            "array": drawing.short(bars),
            "color": drawing.LIFTED,
            "thickness": 1.4,
            "width": 4,
        },
        showlegend=False,
    )
    drawing.styled(figure, "Cost of the labels so far", f"Answer, {escape(asked.unit)}", 360)
    return figure


def _bar_figure(asked: Asked, course: Sequence[tuple[Round, Answer]]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    cost = [one.cost for one, _ in course]
    for name, values, shade, dash in (
        ("bar", [answer.bar for _, answer in course], drawing.LIFTED, "solid"),
        ("model's own error", [answer.model_error for _, answer in course], drawing.ALONE, "dot"),
        ("tolerance", [asked.tolerance] * len(course), drawing.TRUTH, "dash"),
    ):
        figure.add_scatter(
            x=drawing.short(cost),
            y=drawing.short(values),
            name=name,
            mode="lines" if dash == "dash" else "lines+markers",
            line={"color": shade, "width": 2, "dash": dash},
        )
    drawing.styled(figure, "Cost of the labels so far", f"Error bar, {escape(asked.unit)}", 360)
    figure.update_yaxes(rangemode="tozero", automargin=True)
    return figure


def _sentences(sentences: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f'<ul class="words">{listed}</ul>' if listed else ""


def _rounds(result: CampaignResult) -> str:
    header = ["Round", "Energies", "Cost before", "CPU hours before", *(escape(one.name) for one in result.questions)]
    rows = [
        [
            str(one.number),
            str(one.n_energies) if one.answers else "start",
            number(one.cost, 1),
            number(one.cpu_seconds / 3600, 2),
            *(_said(asked, one) for asked in result.questions),
            str(len(one.wanted)),
            str(sum(each.made for each in one.made)),
        ]
        for one in result.rounds
    ]
    return table([*header, "Labels asked for", "Labels that came"], rows, text=1)


def _said(asked: Asked, one: Round) -> str:
    answer = next((answer for answer in one.answers if answer.name == asked.name), None)
    if answer is None:
        return number(None)
    digits = places(answer.unit)
    value = f"{number(answer.value, digits)} " if np.isfinite(answer.value) else ""
    mark = "" if answer.domain == "inside" else f" ({answer.domain})"
    return escape(f"{value}± {number(answer.bar, digits)} {asked.unit}{mark}")


def _label_rows(result: CampaignResult) -> Iterator[list[str]]:
    for one in result.rounds:
        made = {each.structure_id: each for each in one.made}
        for wanted in one.wanted:
            label = made.get(wanted.structure_id)
            came = "waits" if label is None else (number(label.energy, 3) if label.made else label.sentence)
            yield [
                str(one.number),
                escape(wanted.structure_id),
                escape(wanted.reason),
                str(wanted.n_atoms),
                number(wanted.stderr, 4),
                number(label.stderr if label is not None else None, 4),
                number(wanted.cost, 2),
                escape(came),
            ]


def _labels(result: CampaignResult) -> str:
    header = [
        "Round",
        "Structure",
        "Why: the bar that it lowers",
        "Atoms",
        "σ wanted, eV",
        "σ, eV",
        "Cost",
        "Energy, eV",
    ]
    rows = list(_label_rows(result))
    return table(header, rows, text=3) if rows else ""


def campaign_summary(result: CampaignResult) -> Summary:
    """Return the answers, what was spent, and what else would help."""
    answers = Table("Answers", tuple(one.lower() for one in ANSWER_HEADINGS), _answer_rows(result))
    last = latest(result)
    verdicts = [f"{one.name}: {one.verdict}" for one in last.answers if one.verdict] if last else []
    return Summary(
        (answers,) if answers.rows else (),
        sentences=(*verdicts, *result.help, f"Spent: {_spent(result)}.", result.sentence),
        warnings=result.warnings,
    )
