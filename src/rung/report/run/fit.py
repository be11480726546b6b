"""What the fit chose, how sharply the labels decide it, and what else was weighed."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rung.report import figures
from rung.report.read import RunFiles, number, sentences
from rung.report.run.sections import Draw
from rung.report.tables import ABSENT, QUANTITIES, SYMBOLS, cell, digits, electronvolts, pairs, quantity, records, table
from rung.units import MILLI

_AS_FITTED = "_as_fitted"


def chosen(run: RunFiles, draw: Draw) -> str:
    """Return the hyper-parameters, how sharply the data decide them, and what else was weighed."""
    fit = run.fit
    parts = [
        _hyperparameters(fit.get("hyperparameters") or ()),
        _spreads(fit.get("evidence_profile") or (), fit.get("hyperparameters") or (), draw),
        _profiles(fit.get("evidence_profile") or (), draw),
        _titled("What else was weighed", _alternatives(fit.get("alternatives") or ())),
        _titled("What energies alone would have done", _alone(fit) + _differences(fit.get("differences") or ())),
        _titled("Cross-validation", records(fit.get("cross_validation") or ())),
        _titled("Training", draw(figures.training(fit["epochs"])) if fit.get("epochs") else ""),
        *(f'<p class="note">{escape(sentence)}</p>' for sentence in sentences(fit.get("notes"))),
    ]
    numbers = pairs({name: value for name, value in (run.metrics.get("fit") or {}).items() if name != "warnings"})
    folded = f"<details><summary>All numbers of the fit</summary>{numbers}</details>" if numbers else ""
    return "".join(parts) + folded


def _titled(title: str, body: str) -> str:
    return f"<h3>{title}</h3>{body}" if body else ""


def _hyperparameters(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        [
            f"<b>{_symbol(row.get('name'))}</b>",
            cell(row.get("meaning")),
            digits(row.get("value")),
            _interval(row),
            cell(row.get("unit") or ""),
            _sharpness(row),
        ]
        for row in rows
    ]
    header = ["", "Meaning", "Taken", "68 % interval", "Unit", "The labels decide it"]
    return table(header, cells, text=(0, 1, 4, 5), css="chosen") if cells else ""


def _symbol(name: Any) -> str:
    return cell(SYMBOLS.get(str(name), name))


def _interval(row: Mapping[str, Any]) -> str:
    low, high = digits(row.get("low")), digits(row.get("high"))
    return ABSENT if ABSENT in (low, high) else f"{low} to {high}"


def _sharpness(row: Mapping[str, Any]) -> str:
    low, high = number(row.get("low")), number(row.get("high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return ABSENT
    if low == high:
        return "fixed"
    if low <= 0:
        return ABSENT
    ratio = high / low
    return "sharply" if ratio < 1.5 else "within a factor of two" if ratio < 4 else "hardly"


def _alternatives(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    best = max(
        (number(row.get("log_evidence")) for row in rows), key=lambda value: -math.inf if math.isnan(value) else value
    )
    cells = [
        [
            cell(row.get("name")),
            digits(row.get("log_evidence"), 4),
            digits(number(row.get("log_evidence")) - best),
            cell(row.get("note") or ""),
        ]
        for row in rows
    ]
    return table(["", "Log evidence", "less the best", "Note"], cells, text=(0, 3))


def _alone(fit: Mapping[str, Any]) -> str:
    """Return what the energies alone choose and do, beside the fit; errors by split stand in the table of errors."""
    alone = {name: value for name, value in (fit.get("energies_alone") or {}).items() if not isinstance(value, Mapping)}
    taken = {str(row.get("name")): row.get("value") for row in fit.get("hyperparameters") or ()}
    left_out = number((fit.get("diagnostics") or {}).get("leave_one_out_rmse"))
    taken["leave_one_out_rmse_meV_per_cell"] = MILLI * left_out
    rows = []
    for name, value in alone.items():
        if name.endswith(_AS_FITTED):
            continue
        fitted = alone.get(name + _AS_FITTED, taken.get(name))
        rows.append([escape(_said(name)), digits(value), digits(fitted)])
    return table(["", "energies alone", "as fitted"], rows) if rows else ""


def _said(name: str) -> str:
    words, unit = quantity(name)
    for ending, spelt in (("_meV_per_cell", "meV per cell"), ("_meV_per_angstrom", "meV/Å")):
        if name.endswith(ending) and name.removesuffix(ending) in QUANTITIES:
            words, unit = quantity(name.removesuffix(ending))[0], spelt
    return f"{words}, {unit}" if unit else words


def _differences(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how far the band lets energy differences change, beside what energies alone ask for."""
    if not rows:
        return ""
    cells = [
        [
            f"{cell(row.get('first'))} less {cell(row.get('second'))}",
            electronvolts(row.get("base")),
            f"{electronvolts(row.get('prior_mean'))} ± {electronvolts(row.get('prior_stderr'))}",
            electronvolts(row.get("energies_alone")),
            electronvolts(row.get("fitted")),
        ]
        for row in rows
    ]
    header = ["Energy difference, eV", "base", "change the band allows", "energies alone ask for", "fitted"]
    note = "Where energies alone ask for more than the band allows, the forces and the energies contradict each other."
    return table(header, cells) + f'<p class="note">{note}</p>'


def _spreads(points: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], draw: Draw) -> str:
    """Return where the weight of each free hyper-parameter lies, from weighted points of its posterior."""
    weighted = [point for point in points if math.isfinite(number(point.get("weight")))]
    taken = {str(row.get("name")): row for row in rows}
    drawn = []
    for name in dict.fromkeys(key for point in weighted for key in point if key != "weight"):
        values = [number(point.get(name)) for point in weighted]
        if min(values) > 0 and max(values) > 1.001 * min(values):
            row = taken.get(name, {})
            weights = [number(point["weight"]) for point in weighted]
            unit, value = str(row.get("unit") or ""), number(row.get("value"))
            drawn.append(
                draw(figures.posterior_spread(SYMBOLS.get(name, name), values, weights, unit=unit, chosen=value))
            )
    if not drawn:
        return ""
    note = (
        "Bars: where the energies place each hyper-parameter, given all others. Orange: the most probable set. A wide "
    )
    note += "heap means that the labels do not decide; the fit averages over it."
    return f'<div class="grid three">{"".join(drawn)}</div><p class="note">{note}</p>'


def _profiles(rows: Sequence[Mapping[str, Any]], draw: Draw) -> str:
    """Return curves of log evidence against one hyper-parameter each."""
    drawn = []
    for row in rows:
        values, heights = row.get("values") or (), row.get("log_evidence") or ()
        if not (isinstance(values, Sequence) and isinstance(heights, Sequence)):
            continue
        usable = [(number(x), number(y)) for x, y in zip(values, heights, strict=False)]
        usable = [(x, y) for x, y in usable if math.isfinite(x) and math.isfinite(y)]
        if len(usable) > 1:
            x, y = zip(*usable, strict=True)
            name, unit = str(row.get("name", "")), str(row.get("unit") or "")
            drawn.append(draw(figures.evidence_profile(name, x, y, unit=unit, chosen=number(row.get("chosen")))))
    if not drawn:
        return ""
    note = "Orange: the value taken. Dotted: half a unit below the best, about one standard error. A flat curve means "
    note += "that the labels do not decide."
    return f'<div class="grid three">{"".join(drawn)}</div><p class="note">{note}</p>'
