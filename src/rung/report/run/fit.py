"""What the fit chose, how sharply the labels decide it, and what else was weighed."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from rung.report import figures
from rung.report.read import RunFiles
from rung.report.section import Draw
from rung.report.tables import ABSENT, QUANTITIES, SYMBOLS, digits, pairs, quantity, records, table
from rung.results.fit import Alternative, FitRecord, HyperParameter
from rung.units import MILLI

_AS_FITTED = "_as_fitted"


def chosen(run: RunFiles, draw: Draw) -> str:
    """Return the hyper-parameters, how sharply the data decide them, and what else was weighed."""
    parts = [] if run.fit is None else _tables(run.fit, draw)
    content = {} if run.metrics is None else run.metrics.fit.as_json()
    content.pop("warnings", None)
    numbers = pairs(content)
    folded = f"<details><summary>All numbers of the fit</summary>{numbers}</details>" if numbers else ""
    return "".join(parts) + folded


def _tables(fit: FitRecord, draw: Draw) -> list[str]:
    details = fit.details
    return [
        _hyperparameters(details.hyperparameters),
        _spreads(details.evidence_profile, details.hyperparameters, draw),
        _titled("What else was weighed", _alternatives(details.alternatives)),
        _titled("What energies alone would have done", _alone(fit)),
        _titled("Cross-validation", records(details.cross_validation)),
        _titled("Training", draw(figures.training(details.epochs)) if details.epochs else ""),
    ]


def _titled(title: str, body: str) -> str:
    return f"<h3>{title}</h3>{body}" if body else ""


def _hyperparameters(rows: Sequence[HyperParameter]) -> str:
    cells = [
        [
            f"<b>{escape(SYMBOLS.get(row.name, row.name))}</b>",
            escape(row.meaning),
            digits(row.value),
            _interval(row),
            escape(row.unit),
            _sharpness(row),
        ]
        for row in rows
    ]
    header = ["", "Meaning", "Taken", "68 % interval", "Unit", "The labels decide it"]
    return table(header, cells, text=(0, 1, 4, 5), css="chosen") if cells else ""


def _interval(row: HyperParameter) -> str:
    low, high = digits(row.low), digits(row.high)
    return ABSENT if ABSENT in (low, high) else f"{low} to {high}"


def _sharpness(row: HyperParameter) -> str:
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return ABSENT
    if row.low == row.high:
        return "fixed"
    if row.low <= 0:
        return ABSENT
    ratio = row.high / row.low
    return "sharply" if ratio < 1.5 else "within a factor of two" if ratio < 4 else "hardly"


def _alternatives(rows: Sequence[Alternative]) -> str:
    if not rows:
        return ""
    best = max((row.log_evidence for row in rows), key=lambda value: -math.inf if math.isnan(value) else value)
    cells = [
        [escape(row.name), digits(row.log_evidence, 4), digits(row.log_evidence - best), escape(row.note)]
        for row in rows
    ]
    return table(["", "Log evidence", "less the best", "Note"], cells, text=(0, 3))


def _alone(fit: FitRecord) -> str:
    """Return what the energies alone choose and do, beside the fit."""
    alone = fit.details.energies_alone
    taken = {row.name: row.value for row in fit.details.hyperparameters}
    left_out = fit.diagnostics.get("leave_one_out_rmse", math.nan)
    taken["leave_one_out_rmse_meV_per_cell"] = MILLI * left_out
    rows = []
    for name, value in alone.items():
        if name.endswith(_AS_FITTED):
            continue
        fitted = alone.get(name + _AS_FITTED, taken.get(name))
        rows.append([escape(_words(name)), digits(value), digits(fitted)])
    return table(["", "energies alone", "as fitted"], rows) if rows else ""


def _words(name: str) -> str:
    words, unit = quantity(name)
    for ending, spelt in (("_meV_per_cell", "meV per cell"), ("_meV_per_angstrom", "meV/Å")):
        if name.endswith(ending) and name.removesuffix(ending) in QUANTITIES:
            words, unit = quantity(name.removesuffix(ending))[0], spelt
    return f"{words}, {unit}" if unit else words


def _spreads(points: Sequence[Mapping[str, float]], rows: Sequence[HyperParameter], draw: Draw) -> str:
    """Return where the weight of each free hyper-parameter lies, from weighted points of its posterior."""
    taken = {row.name: row for row in rows}
    drawn = []
    for name in dict.fromkeys(key for point in points for key in point if key != "weight"):
        values, weights = _weighted(points, name)
        if sum(weights) > 0 and max(values) > 1.001 * min(values):
            row = taken.get(name)
            unit, value = (row.unit, row.value) if row is not None else ("", math.nan)
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


def _weighted(points: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Return the values of one hyper-parameter with their weights, where both are known and fit a logarithmic axis."""
    pairs = [(point.get(name, math.nan), point.get("weight", math.nan)) for point in points]
    usable = [pair for pair in pairs if 0.0 < pair[0] < math.inf and 0.0 <= pair[1] < math.inf]
    return [value for value, _ in usable], [weight for _, weight in usable]
