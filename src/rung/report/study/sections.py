"""The sections of a study's report: learning curves, tables of means and spreads, coverage."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rung.errors import counted
from rung.evaluate.coverage import LEVELS
from rung.evaluate.coverage import coverage as share_within
from rung.evaluate.draws import distinct, moments
from rung.report import figures
from rung.report.figures import Learning
from rung.report.read import StudyFiles
from rung.report.section import Draw
from rung.report.study.verdict import verdict
from rung.report.tables import ABSENT, digits, pairs, quantity, table
from rung.results.study import StudyRow

_COVERAGE = re.compile(r"coverage_(?P<quantity>.+)_(?P<percent>\d+)")
_BARS = {"barrier": "barrier_stderr_total"}
"""Metrics with an error bar, and the metric that holds it."""

_DRAWN = ("energy_rmse", "force_rmse", "force_departure_rmse", "barrier")
_FIRST = ("energy_rmse", "force_rmse", "force_departure_rmse", "energy_rmse_rel", "energy_mae", "force_mae", "barrier")


def curves(study: StudyFiles, draw: Draw) -> str:
    """Return learning curves, one figure for each split and metric, and the numbers behind them."""
    parts = []
    for split in dict.fromkeys(row.split for row in study.rows):
        names = sorted({row.metric for row in _shown(study) if row.split == split}, key=_order)
        told = [name for name in names if name in _DRAWN and _varies(study, split, name)]
        if "force_rmse" in told and "force_departure_rmse" in told:
            told.remove("force_departure_rmse")
        drawn = [draw(_curve(study, split, name)) for name in told]
        tables = [_means_table(study, split, name) for name in names]
        heading = "The fits themselves" if split == "fit" else split
        title = f"<h3>{escape(heading)}</h3>" if heading else ""
        grid = f'<div class="grid two">{"".join(drawn)}</div>' if drawn else ""
        numbers = f"<details><summary>Numbers</summary>{''.join(tables)}</details>" if tables else ""
        parts.append(f"{title}{grid}{numbers}" if grid or numbers else "")
    if not any(parts):
        return ""
    note = "Mean over seeds; bars and ± are the standard deviation between seeds, faint points the seeds themselves."
    return "".join(parts) + f'<p class="note">{note}</p>'


def curves_and_verdict(study: StudyFiles, draw: Draw) -> str:
    """Return the learning curves below what the study found: as one section of a run's report."""
    return verdict(study, draw) + curves(study, draw)


def coverage(study: StudyFiles, _: Draw) -> str:
    """Return how often error bars held the truth, over all seeds and folds."""
    rows = [*_given_coverage(study), *_barrier_coverage(study)]
    labels = sorted({n for row in rows for n in row.shares})
    cells = [
        [
            escape(row.method),
            escape(row.split),
            escape(row.quantity),
            row.due,
            *(_percent(row.shares, n) for n in labels),
        ]
        for row in rows
    ]
    header = ["Method", "Split", "Quantity", "due", *(counted(n, "label") for n in labels)]
    return table(header, cells, text=3) if cells else ""


def settings(study: StudyFiles, _: Draw) -> str:
    """Return what was varied and links to the reports of single runs."""
    varied = pairs(study.summary.settings)
    links = "".join(f'<li><a href="{escape(path, quote=True)}">{escape(path)}</a></li>' for path in study.runs)
    listed = f"<details><summary>Reports of single runs</summary><ul>{links}</ul></details>" if links else ""
    return varied + listed


@dataclass(frozen=True)
class _CoverageRow:
    """Shares of error bars that held the truth, by number of labels."""

    method: str
    split: str
    quantity: str
    due: str
    shares: Mapping[int, float]


def _given_coverage(study: StudyFiles) -> Iterator[_CoverageRow]:
    rows = [row for row in study.rows if _COVERAGE.fullmatch(row.metric)]
    for method, split, metric in dict.fromkeys((row.method, row.split, row.metric) for row in rows):
        mine = [row for row in rows if (row.method, row.split, row.metric) == (method, split, metric)]
        name, percent = metric.removeprefix("coverage_").rsplit("_", 1)
        yield _CoverageRow(method, split, name.replace("_", " "), f"{percent} %", _averages(mine))


def _barrier_coverage(study: StudyFiles) -> Iterator[_CoverageRow]:
    """Yield the coverage of barriers over seeds and folds, where the truth of the band is known."""
    for split, metric in dict.fromkeys((row.split, row.metric) for row in study.rows if row.metric in _BARS):
        truth = _truth(study, split, metric)
        bars = {_fit(row): row.value for row in _rows(study, split, _BARS[metric])}
        for method in dict.fromkeys(row.method for row in _rows(study, split, metric)):
            mine = [row for row in _rows(study, split, metric) if row.method == method]
            for level in LEVELS:
                shares = {}
                for n in sorted({row.n_labels for row in mine}):
                    values = [row.value for row in mine if row.n_labels == n]
                    errors = [bars.get(_fit(row), math.nan) for row in mine if row.n_labels == n]
                    shares[n] = share_within(values, [truth] * len(values), errors, level)
                if any(math.isfinite(share) for share in shares.values()):
                    yield _CoverageRow(method, split, "barrier", f"{100 * level:.0f} %", shares)


def _fit(row: StudyRow) -> tuple[str, int, int, int]:
    """Return which fit a row is of."""
    return row.method, row.n_labels, row.seed, row.fold


def _averages(rows: Sequence[StudyRow]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for row in rows:
        if math.isfinite(row.value):
            found.setdefault(row.n_labels, []).append(row.value)
    return {n: float(np.mean(values)) for n, values in found.items()}


def _percent(shares: Mapping[int, float], n: int) -> str:
    share = shares.get(n, math.nan)
    return f"{100 * share:.0f} %" if math.isfinite(share) else ABSENT


def _truth(study: StudyFiles, split: str, metric: str) -> float:
    truths = study.summary.truths
    known = truths.get(metric, math.nan)
    return truths.get(split, known) if metric in _BARS else known


def _rows(study: StudyFiles, split: str, metric: str) -> list[StudyRow]:
    return [row for row in _shown(study) if row.split == split and row.metric == metric]


def _shown(study: StudyFiles) -> list[StudyRow]:
    """Return the rows that say something: no counts, no coverage, no departure of the base from itself."""
    return [
        row
        for row in study.rows
        if not row.metric.startswith(("n_", "coverage_"))
        and not (row.method == "base" and row.metric == "force_departure_rmse")
    ]


def _order(metric: str) -> tuple[int, str]:
    return (_FIRST.index(metric) if metric in _FIRST else len(_FIRST), metric)


def _varies(study: StudyFiles, split: str, metric: str) -> bool:
    rows = [row for row in _rows(study, split, metric) if row.method != "base" and math.isfinite(row.value)]
    return len({row.n_labels for row in rows}) > 1


def _curve(study: StudyFiles, split: str, metric: str) -> object:
    rows = [row for row in _rows(study, split, metric) if math.isfinite(row.value)]
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]
        labels = sorted({row.n_labels for row in mine})
        values = [list(distinct(_draws(row for row in mine if row.n_labels == n)).values()) for n in labels]
        lines.append(Learning(method, labels, values))
    truth = _truth(study, split, metric)
    positive = all(row.value > 0 for row in rows) and metric not in _BARS
    return figures.learning_curve(
        lines, y_title=figures.metric_title(metric), level=truth if math.isfinite(truth) else None, log=positive
    )


def _means_table(study: StudyFiles, split: str, metric: str) -> str:
    rows = _rows(study, split, metric)
    labels = sorted({row.n_labels for row in rows if row.method != "base"})
    cells = []
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]
        level = method == "base" and not any(row.n_labels in labels for row in mine)
        groups = [[row for row in mine if level or row.n_labels == n] for n in labels]
        cells.append([escape(method), *(_spread(group) for group in groups)])
    words, unit = quantity(metric)
    part = next((one.part for one in study.summary.judged if one.split == split), "")
    if part and metric.startswith("force"):
        words += f", on {part} structures"
    title = escape(f"{words}, {unit}" if unit else words)
    return f"<h4>{title}</h4>" + table(["Method", *(counted(n, "label") for n in labels)], cells)


def _draws(rows: Iterable[StudyRow]) -> dict[tuple[int, int], float]:
    return {(row.seed, row.fold): row.value for row in rows}


def _spread(rows: Iterable[StudyRow]) -> str:
    one = moments(_draws(rows))
    spread = f' <span class="small">± {digits(one.spread, 2)}</span>' if math.isfinite(one.spread) else ""
    return digits(one.mean) + spread
