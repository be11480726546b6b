"""``barrier.html``: bands with their error bars, the numbers, modes and rates."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rung.report import figures
from rung.report.page import Pen, write_page
from rung.report.read import number, sentences
from rung.report.tables import ABSENT, digits, electronvolts, table
from rung.storage import read_json

PAGE = "barrier.html"


def write_barrier_report(folder: Path) -> Path:
    """Write ``barrier.html`` from ``barrier.json`` of ``folder``, and return its path.

    Raises
    ------
    StorageError
        When the result is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    folder = Path(folder)
    panels = read_json(folder / "barrier.json")
    pen = Pen()
    parts = [(escape(str(panel["title"])), _panel(panel, pen)) for panel in panels]
    failed = [
        f"{entry['name']}: no barrier, {entry['reason']}."
        for panel in panels
        for entry in panel["barriers"]
        if entry.get("reason")
    ]
    names = dict.fromkeys(str(curve["name"]) for panel in panels for curve in panel["curves"])
    return write_page(folder / PAGE, "Barrier", " · ".join(names), sentences(failed), "", parts)


def band_figure(panel: Mapping[str, Any]) -> Any:
    """Draw the curves of a panel, and noisy energies as points with their one-sigma errors."""
    figure = figures.band(panel["curves"])
    points = panel.get("points")
    if points:
        figure.add_scatter(
            x=figures.short(points["coordinate"]),
            y=figures.short(points["energies"], 5),
            name=escape(str(points["name"])),
            mode="markers",
            marker={"color": figures.TRUTH, "size": 8, "symbol": "diamond"},
            error_y={
                "type": "data",
                "array": figures.short(points["stderr"]),
                "color": figures.TRUTH,
                "thickness": 1.4,
                "width": 4,
            },
        )
    return figure


def _panel(panel: Mapping[str, Any], pen: Pen) -> str:
    entries = panel["barriers"]
    shown = pen.draw(band_figure(panel), _caption(panel)) if panel["curves"] else ""
    header = ["Potential", "Barrier, eV", "± weights", "± in all", "Reverse, eV", "Reaction, eV", "Images", "Steps"]
    rows = [
        [
            escape(str(entry["name"])),
            electronvolts(entry["value"]),
            electronvolts(entry["stderr"]),
            electronvolts(entry["stderr_total"]),
            electronvolts(entry.get("reverse")),
            electronvolts(entry["reaction"]),
            str(entry["images"][-1]["images"]) if entry.get("images") else ABSENT,
            str(entry["steps"]) if "steps" in entry else ABSENT,
        ]
        for entry in entries
    ]
    said = [f"{entry['name']}: {note}" for entry in entries for note in entry["notes"]]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in said)
    return shown + table(header, rows) + notes + _rates(entries) + _draws(entries, pen)


def _caption(panel: Mapping[str, Any]) -> str:
    parts = []
    if any(curve.get("stderr_total") for curve in panel["curves"]):
        parts.append("Dark band: one sigma from the fitted weights alone. Light band: with the model's own error.")
    if panel.get("points"):
        parts.append("Diamonds: single energies, one sigma.")
    return " ".join(parts)


def _rates(entries: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for entry in entries:
        start, saddle = (entry.get(name) or {} for name in ("start_modes", "saddle_modes"))
        for rate in entry.get("rates") or ():
            change = number(saddle.get("zero_point_energy")) - number(start.get("zero_point_energy"))
            factor = number(rate["factor"])
            rows.append(
                [
                    escape(str(entry["name"])),
                    f"{number(rate['temperature']):.0f}",
                    digits(rate["prefactor"]),
                    digits(rate["rate"]),
                    digits(rate["quantum_rate"]),
                    digits(factor) if math.isfinite(factor) else ABSENT,
                    electronvolts(change),
                ]
            )
    if not rows:
        return ""
    header = [
        "Potential",
        "T, K",
        "Vineyard prefactor, 1/s",
        "Rate, 1/s",
        "Rate, quantised modes, 1/s",
        "×/÷ for one sigma",
        "Change of zero-point energy, eV",
    ]
    return (
        "<h3>Rates</h3>"
        + table(header, rows)
        + '<p class="note">Harmonic transition-state theory: no recrossing and no tunnelling.</p>'
    )


def _draws(entries: Sequence[Mapping[str, Any]], pen: Pen) -> str:
    series = {
        str(entry["name"]): [number(value) for value in entry["draws"]["barriers"]]
        for entry in entries
        if entry.get("draws")
    }
    if not series:
        return ""
    go = figures.plotly()
    figure = go.Figure()
    for index, (name, values) in enumerate(series.items()):
        kept = np.array(values)[np.isfinite(values)]
        figure.add_box(
            x=figures.short(kept, 5),
            name=escape(name),
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": figures.colour(name, index), "size": 7},
            line={"width": 1},
            showlegend=False,
        )
    figures.styled(figure, "Barrier, eV", "", 120 + 90 * len(series))
    return "<h3>Posterior draws</h3>" + pen.draw(
        figure, "Each point: the band relaxed again on one draw of the weights."
    )
