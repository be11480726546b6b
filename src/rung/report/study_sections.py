"""The sections of a study's report: learning curves, tables of means and spreads, coverage."""

import math
import re
from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from rung.report import figures
from rung.report.read import StudyFiles, StudyRow, number, sentences
from rung.report.tables import ABSENT, cell, digits, pairs, quantity, table

Draw = Callable[..., str]

_COVERAGE = re.compile(r"coverage_(?P<quantity>.+)_(?P<percent>\d+)")
_FIRST = ("energy_rmse", "force_rmse", "force_departure_rmse", "energy_rmse_rel", "energy_mae", "force_mae", "barrier")


def verdict(study: StudyFiles, _: Draw) -> str:
    """Return the sentences that say what the study found."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(study.about.get("verdict")))
    return f'<ul class="words">{items}</ul>' if items else ""


def curves(study: StudyFiles, draw: Draw) -> str:
    """Return learning curves, one figure for each split and metric, and the numbers behind them."""
    parts = []
    for split in dict.fromkeys(row.split for row in study.rows):
        names = sorted({row.metric for row in study.rows if row.split == split and not _is_coverage(row)}, key=_order)
        drawn = [draw(_curve(study, split, name), "") for name in names if _varies(study, split, name)]
        tables = [_means_table(study, split, name) for name in names]
        title = f"<h3>{escape(split)}</h3>" if split else ""
        grid = f'<div class="grid two">{"".join(drawn)}</div>' if drawn else ""
        parts.append(f"{title}{grid}<details><summary>Numbers</summary>{''.join(tables)}</details>")
    if not parts:
        return ""
    note = "Mean over seeds; bars and ± are the standard deviation between seeds, faint points the seeds themselves."
    return "".join(parts) + f'<p class="note">{note}</p>'


def coverage(study: StudyFiles, _: Draw) -> str:
    """Return how often error bars held the truth, over all seeds."""
    rows = [row for row in study.rows if _is_coverage(row)]
    labels = sorted({row.n_labels for row in rows})
    cells = []
    for key in dict.fromkeys((row.method, row.split, row.metric) for row in rows):
        method, split, metric = key
        match = _COVERAGE.fullmatch(metric)
        what, due = (match["quantity"].replace("_", " "), f"{match['percent']} %") if match else (metric, ABSENT)
        shares = [
            _share([row for row in rows if (row.method, row.split, row.metric, row.n_labels) == (*key, n)])
            for n in labels
        ]
        cells.append([escape(method), escape(split), escape(what), due, *shares])
    header = ["Method", "Split", "Quantity", "due", *(f"{n} labels" for n in labels)]
    return table(header, cells, text=3) if cells else ""


def settings(study: StudyFiles, _: Draw) -> str:
    """Return what was varied and links to the reports of single runs."""
    given = study.about.get("settings")
    known = pairs(given) if isinstance(given, dict) and given else ""
    links = "".join(f'<li><a href="{escape(path, quote=True)}">{escape(path)}</a></li>' for path in study.runs)
    listed = f"<details><summary>Reports of single runs</summary><ul>{links}</ul></details>" if links else ""
    return known + listed


def _rows(study: StudyFiles, split: str, metric: str) -> list[StudyRow]:
    return [row for row in study.rows if row.split == split and row.metric == metric]


def _is_coverage(row: StudyRow) -> bool:
    return _COVERAGE.fullmatch(row.metric) is not None


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
        values = [[row.value for row in mine if row.n_labels == n] for n in labels]
        lines.append({"name": method, "n_labels": labels, "values": values})
    truths = study.about.get("truths") or {}
    truth = number(truths.get(metric))
    positive = all(row.value > 0 for row in rows) and "barrier" not in metric
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
        groups = [[row.value for row in mine if level or row.n_labels == n] for n in labels]
        cells.append([escape(method), *(_spread(values) for values in groups)])
    words, unit = quantity(metric)
    title = escape(f"{words}, {unit}" if unit else words)
    return f"<h4>{title}</h4>" + table(["Method", *(f"{n} labels" for n in labels)], cells)


def _spread(values: Sequence[float]) -> str:
    known = np.array([value for value in values if math.isfinite(value)])
    if not known.size:
        return ABSENT
    text = digits(float(known.mean()))
    return text if known.size < 2 else f'{text} <span class="small">± {digits(float(known.std(ddof=1)), 2)}</span>'


def _share(rows: Sequence[StudyRow]) -> str:
    values = [row.value for row in rows if math.isfinite(row.value)]
    return f"{100 * float(np.mean(values)):.0f} %" if values else cell(None)
