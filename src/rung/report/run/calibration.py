"""The section on calibration: scores of the error bars of energies, inside the domain of the fit and outside."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.evaluate.coverage import against_labels, coverage
from rung.report import drawing
from rung.report.axes import logarithmic
from rung.report.read import RunFiles
from rung.report.section import Draw
from rung.report.tables import ABSENT, digits, table
from rung.results.metrics import Calibration, SplitErrors
from rung.results.predictions import Predictions
from rung.units import MILLI

_LEVELS = np.linspace(0.05, 0.95, 19)

_FEWEST = 5
"""Energies below which a curve says nothing."""

_NOTE = (
    "CRPS: continuous ranked probability score of the energies, meV/atom; it is lower for smaller errors and for bars "
    "of the right size. Within: the share of labels inside intervals that should hold so many. "
    "Differences are labels of two structures; their CRPS is in meV."
)


_RESIDUALS = (
    "Errors of energies against their bars, each a structure. Lines: one bar and two. Errors below 2 % of a bar stand "
    "at the lower edge."
)


def calibration(run: RunFiles, draw: Draw) -> str:
    """Return scores of the error bars, a curve of shares found against shares due, and what is outside the domain."""
    metrics = run.metrics
    if metrics is None:
        return ""
    rows = []
    for (split, fidelity), errors in run.errors.items():
        if fidelity != run.target or not np.isfinite(errors.energy_crps):
            continue
        rows.append([escape(split), "all", *_cells(_of_all(errors))])
        domain = metrics.domain.get(split)
        if domain is not None and domain.outside.n:
            rows.append(["", "inside the domain", *_cells(domain.inside)])
            rows.append(["", "outside", *_cells(domain.outside)])
        between = metrics.differences.get(split)
        if between is not None and between.n:
            rows.append(["", "differences", *_cells(between)])
    if not rows:
        return ""
    header = ["Split", "Structures", "Energies", "z²", "CRPS", *(f"within {level} %" for level in (50, 68, 90, 95))]
    verdicts = "".join(f"<li>{escape(one.verdict)}</li>" for one in metrics.domain.values() if one.verdict)
    curve = _curve(run)
    residuals = _residuals(run)
    plots = [
        draw(figure, caption)
        for figure, caption in (
            (curve, "Shares of labels within central intervals; the diagonal is honest."),
            (residuals, _RESIDUALS),
        )
        if figure is not None
    ]
    drawn = f'<div class="grid two">{"".join(plots)}</div>' if plots else ""
    listed = f'<ul class="words">{verdicts}</ul>' if verdicts else ""
    return listed + table(header, rows, text=2) + f'<p class="note">{_NOTE}</p>' + drawn


def _of_all(errors: SplitErrors) -> Calibration:
    return Calibration(
        n=errors.n_energy_bars or errors.n_energies,  # results of rung 0.1 have no number of bars
        z2=errors.energy_z2,
        crps=errors.energy_crps,
        within_50=errors.coverage_energy_50,
        within_68=errors.coverage_energy_68,
        within_90=errors.coverage_energy_90,
        within_95=errors.coverage_energy_95,
    )


def _cells(one: Calibration) -> list[str]:
    shares = (one.within_50, one.within_68, one.within_90, one.within_95)
    return [str(one.n), digits(one.z2, 2), digits(one.crps), *(_percent(share) for share in shares)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else ABSENT


def _curve(run: RunFiles) -> Any:
    """Draw the shares found against those due; None where no split has enough energies with bars."""
    lines = [line for split, content in run.by_split.items() for line in _lines(split, content)]
    if not lines:
        return None
    figure = drawing.plotly().Figure()
    ends = [0, 100]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": drawing.MUTED, "width": 1, "dash": "dot"})
    figure.data[0].update(showlegend=False, hoverinfo="skip")
    for index, (name, found) in enumerate(lines):
        figure.add_scatter(
            x=drawing.short(100 * _LEVELS),
            y=drawing.short(100 * found),
            name=escape(name),
            mode="lines+markers",
            line={"color": drawing.colour(name, index), "width": 2},
            marker={"size": 5},
        )
    drawing.styled(figure, "Share due, %", "Share found, %", 340)
    return figure


@dataclass(frozen=True)
class _Cloud:
    """The size of each energy's error and its bar, meV/atom."""

    split: str
    bars: Array
    errors: Array
    names: list[str]


def _clouds(run: RunFiles) -> Iterator[_Cloud]:
    """Yield the splits with enough energies that have bars."""
    for split, content in run.by_split.items():
        bars = MILLI * against_labels(content.energy_stderr, content.energy_stderr_label) / content.atoms
        errors = MILLI * np.abs(content.energy - content.energy_label) / content.atoms
        usable = (bars > 0) & (errors > 0)
        rows = np.arange(len(bars), dtype=float)
        bars, errors, rows = drawing.thinned(np.where(usable, bars, np.nan), errors, rows)
        if len(bars) >= _FEWEST:
            yield _Cloud(split, bars, errors, [content.structure_ids[int(row)] for row in rows])


def _residuals(run: RunFiles) -> Any:
    """Draw the size of each energy's error against its bar; None without bars."""
    clouds = list(_clouds(run))
    if not clouds:
        return None
    figure = drawing.plotly().Figure()
    floor = 0.02 * float(np.median(np.concatenate([one.bars for one in clouds])))
    ends = np.array([min(one.bars.min() for one in clouds) / 1.3, 1.3 * max(one.bars.max() for one in clouds)])
    for factor, dash in ((1.0, "solid"), (2.0, "dot")):
        figure.add_scatter(x=drawing.short(ends), y=drawing.short(factor * ends), mode="lines", showlegend=False)
        figure.data[-1].update(line={"color": drawing.MUTED, "width": 1, "dash": dash}, hoverinfo="skip")
    for index, one in enumerate(clouds):
        figure.add_scatter(
            x=drawing.short(one.bars),
            y=drawing.short(np.maximum(one.errors, floor)),
            name=escape(one.split),
            mode="markers",
            text=[escape(name) for name in one.names],
            marker={"color": drawing.shade(index), "size": 6, "opacity": 0.6},
        )
    drawing.styled(figure, "Error bar, meV/atom", "Error, meV/atom", 340)
    logarithmic(figure, "x", most=4)
    logarithmic(figure, "y")
    return figure


def _lines(split: str, content: Predictions) -> Iterator[tuple[str, Array]]:
    """Yield the curve of a split, that of what is outside the domain apart."""
    bars = against_labels(content.energy_stderr, content.energy_stderr_label)
    away = np.array([bool(one) for one in content.outside or [False] * len(bars)], dtype=bool)
    usable = np.isfinite(content.energy_label) & np.isfinite(bars) & (bars > 0)
    for name, chosen in ((split, usable & ~away), (f"{split}, outside the domain", usable & away)):
        if chosen.sum() >= _FEWEST:
            values, truths, own = content.energy[chosen], content.energy_label[chosen], bars[chosen]
            yield name, np.array([coverage(values, truths, own, float(level)) for level in _LEVELS])
