"""The sections of a comparison's report: what failed, what was tried, and what each method costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rung.errors import counted
from rung.report import drawing
from rung.report.axes import logarithmic
from rung.report.read import StudyFiles
from rung.report.section import Draw
from rung.report.tables import ABSENT, digits, table
from rung.results.study import TrialEntry

OWN_SPLITS = ("fit", "valid")
"""Splits that nothing is judged on."""

MICRO = 1e6


def failures(study: StudyFiles, _: Draw) -> str:
    """Return which fits failed, and why."""
    rows = [[escape(failed.fit), escape(failed.sentence)] for failed in study.summary.failures]
    return table(["Fit", "Why it failed"], rows, text=2) if rows else ""


def tuning(study: StudyFiles, draw: Draw) -> str:
    """Return every trial with its score on validation structures, drawn and in numbers, the chosen ones marked."""
    trials = study.summary.tuning
    if not trials:
        return ""
    folds = any(trial.fold is not None for trial in trials)
    rows = [
        [
            escape(trial.method),
            *(["" if trial.fold is None else str(trial.fold)] if folds else []),
            escape(trial.change),
            _scored(trial),
            "chosen" if trial.chosen else "",
        ]
        for trial in trials
    ]
    header = ["Method", *(["Fold"] if folds else []), "Settings tried", "Energy error, meV/atom", ""]
    words = [*range(3 if folds else 2), len(header) - 1]
    note = (
        "Scores are energy errors on validation structures, never on a test; ± is the standard deviation between "
        "seeds. Where the trials of a method differ by no more than that, the choice among them is chance."
    )
    drawn = f'<div class="grid two">{draw(_validation_curves(trials))}</div>'
    return drawn + table(header, rows, text=words) + f'<p class="note">{note}</p>'


@dataclass(frozen=True)
class _Cost:
    """What one method costs at one number of labels, beside its energy error."""

    method: str
    n_labels: int
    seconds: float
    energy: float


def cost(study: StudyFiles, draw: Draw) -> str:
    """Return what each method costs, in labels, in seconds to fit and in time a call, beside how far it errs."""
    splits = [row.split for row in study.rows if row.metric == "energy_rmse" and row.split not in OWN_SPLITS]
    if not splits or not any(row.split == "fit" for row in study.rows):
        return ""
    split = splits[0]
    base_call = _mean(study, "base", None, "fit", "call_seconds_per_atom")
    cells, points = [], []
    for method, n in sorted(
        {(row.method, row.n_labels) for row in study.rows}, key=lambda pair: (_place(study, pair[0]), pair[1])
    ):
        seconds = _mean(study, method, n, "fit", "seconds")
        call = _mean(study, method, n, "fit", "call_seconds_per_atom")
        energy = _mean(study, method, n, split, "energy_rmse")
        force = _mean(study, method, n, split, "force_rmse")
        departure = _mean(study, method, n, split, "force_departure_rmse")
        cells.append(
            [
                escape(method),
                str(n),
                digits(seconds),
                digits(MICRO * call),
                f"{call / base_call:.2f}" if math.isfinite(call / base_call) else ABSENT,
                digits(energy),
                digits(force),
                digits(departure) if method != "base" else ABSENT,
            ]
        )
        points.append(_Cost(method, n, seconds, energy))
    header = [
        "Method",
        "Labels",
        "Fit, s",
        "A call, µs/atom",
        "times the base's",
        "Energy error, meV/atom",
        "Force error, meV/Å",
        "Departure from the base's forces, meV/Å",
    ]
    note = (
        f"Means over seeds; errors on {escape(split)}. A call is energies and forces of a small batch in rung, the "
        "least of three timings, neighbours apart; on a busy machine it is an upper bound. Designs that closed-form "
        "fits share are computed once and not counted in their seconds."
    )
    drawn = f'<div class="grid two">{draw(_cost_figure(points))}</div>'
    return drawn + table(header, cells) + f'<p class="note">{note}</p>'


def checks(study: StudyFiles, _: Draw) -> str:
    """Return how near each method starts to the base, and what became of the base's own fidelity."""
    splits = list(dict.fromkeys(row.split for row in study.rows if row.metric == "low_energy_rmse"))
    split = splits[0] if splits else ""
    cells = []
    for method in dict.fromkeys(row.method for row in study.rows if row.method != "base"):
        start = [_worst(study, method, f"step_zero_{what}") for what in ("energy", "force")]
        low = [(_mean(study, name, None, split, "low_energy_rmse")) for name in ("base", method)]
        pulled = [(_mean(study, name, None, split, "low_force_rmse")) for name in ("base", method)]
        if any(math.isfinite(value) for value in (*start, low[1])):
            cells.append([escape(method), *(digits(value) for value in (*start, *low, *pulled))])
    if not cells:
        return ""
    header = ["Method", "Start from the base, meV/atom", "meV/Å"]
    header += [f"{what}, {when}" for what in ("Low energies", "Low forces") for when in ("before", "after")]
    note = (
        "How far the untrained start of a method is from the base, at worst; and the error at the base's own fidelity "
        f"on {escape(split or 'the test')}, r.m.s., meV/atom and meV/Å, of the base and of fits that still offer it."
    )
    return table(header, cells) + f'<p class="note">{note}</p>'


def _worst(study: StudyFiles, method: str, metric: str) -> float:
    values = [row.value for row in study.rows if row.method == method and row.split == "fit" and row.metric == metric]
    return max(values, default=math.nan)


def _scored(trial: TrialEntry) -> str:
    if trial.failed:
        return "failed"
    if not trial.scores:
        return ABSENT
    spread = f" ± {digits(float(np.std(trial.scores, ddof=1)), 2)}" if len(trial.scores) > 1 else ""
    return digits(float(np.mean(trial.scores))) + spread


def _validation_curves(trials: Sequence[TrialEntry]) -> object:
    """Draw the scores of the trials in the order of the config, one line a method, each seed a faint point."""
    figure = drawing.plotly().Figure()
    for index, method in enumerate(dict.fromkeys(trial.method for trial in trials)):
        shade = drawing.colour(method, index)
        own = [trial for trial in trials if trial.method == method]
        places = list(range(1, len(own) + 1))
        figure.add_scatter(
            x=[place for place, trial in zip(places, own, strict=True) for _ in trial.scores],
            y=[score for trial in own for score in trial.scores],
            mode="markers",
            marker={"color": shade, "size": 5, "opacity": 0.3},
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=places,
            y=[float(np.mean(trial.scores)) if trial.scores else None for trial in own],
            name=escape(method),
            text=[escape(trial.change) for trial in own],
            mode="lines+markers",
            line={"color": shade, "width": 2},
            marker={"size": [12 if trial.chosen else 7 for trial in own], "color": shade},
        )
    drawing.styled(figure, "Trial, in the order of the config", "Energy error on validation, meV/atom", 340)
    return figure


def _cost_figure(points: Sequence[_Cost]) -> object:
    """Draw the energy error against the time of a fit, one line a method over its numbers of labels."""
    figure = drawing.plotly().Figure()
    for index, method in enumerate(dict.fromkeys(point.method for point in points)):
        own = [point for point in points if point.method == method and point.seconds > 0.0 and point.energy > 0.0]
        if not own:
            continue
        shade = drawing.colour(method, index)
        figure.add_scatter(
            x=[point.seconds for point in own],
            y=[point.energy for point in own],
            name=escape(method),
            text=[counted(point.n_labels, "label") for point in own],
            mode="lines+markers",
            line={"color": shade, "width": 2, "dash": "dot" if method == "base" else "solid"},
            marker={"size": 8},
        )
    drawing.styled(figure, "Time of a fit, s", "Energy error, r.m.s., meV/atom", 340)
    logarithmic(figure, "x")
    logarithmic(figure, "y")
    return figure


def _mean(study: StudyFiles, method: str, n_labels: int | None, split: str, metric: str) -> float:
    values = [
        row.value
        for row in study.rows
        if row.method == method
        and row.split == split
        and row.metric == metric
        and n_labels in (None, row.n_labels)
        and math.isfinite(row.value)
    ]
    return float(np.mean(values)) if values else math.nan


def _place(study: StudyFiles, method: str) -> int:
    return list(dict.fromkeys(row.method for row in study.rows)).index(method)
