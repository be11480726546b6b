"""Sections that set single predictions beside their labels: parity plots and coverage."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.evaluate.coverage import coverage_table
from rung.report import figures
from rung.report.read import RunFiles, by_split, column, components
from rung.report.run.sections import Draw
from rung.report.tables import table
from rung.units import MILLI


def parity(run: RunFiles, draw: Draw) -> str:
    """Return parity plots of energies and forces, one pair a split."""
    return "".join(_parity_pair(split, content, run, draw) for split, content in _ordered(run))


def coverage(run: RunFiles, _: Draw) -> str:
    """Return how often the error bars held the labels."""
    rows = []
    for split, content in _ordered(run):
        for what, values, truths, bars in _barred(content):
            found = coverage_table(values, truths, bars)
            if found[0].n:
                rows.append([escape(split), what, *(_share(row.fraction, row.low, row.high) for row in found)])
                rows[-1].append(str(found[0].n))
    if not rows:
        return ""
    note = (
        "Error bars hold posterior and model error; for energies the labels' own σ is added. Ranges are 95 % intervals "
    )
    note += "for independent values: components of one structure are correlated, so the honest range is wider."
    header = ["Split", "Quantity", "68 % due", "95 % due", "values"]
    return table(header, rows, text=2) + f'<p class="note">{note}</p>'


def _ordered(run: RunFiles) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the predictions in the order of the splits in ``metrics.json``, others after them."""
    order = [split for split, _ in by_split(run.metrics, run.target)]
    names = sorted(run.predictions, key=lambda split: order.index(split) if split in order else len(order))
    return [(split, run.predictions[split]) for split in names]


def _parity_pair(split: str, content: Mapping[str, Any], run: RunFiles, draw: Draw) -> str:
    plots = []
    series = _energy_series(content, run)
    if series:
        figure = figures.parity(series, x_title="Label, meV/atom", y_title="Prediction, meV/atom")
        plots.append(
            draw(figure, "Energies per atom, less the mean label of their composition; the base's less its own.")
        )
    series, caption, x_title = _force_series(content, run)
    if series:
        figure = figures.parity(series, x_title=x_title, y_title="Prediction, eV/Å")
        plots.append(draw(figure, caption))
    return f'<h3>{escape(split)}</h3><div class="grid two">{"".join(plots)}</div>' if plots else ""


def _energy_series(content: Mapping[str, Any], run: RunFiles) -> list[dict[str, Any]]:
    energy, label, atoms = column(content, "energy"), column(content, "energy_label"), column(content, "n_atoms")
    if energy is None or label is None or atoms is None or not np.isfinite(label).any():
        return []
    formulas = np.array([str(name) for name in content.get("formulas") or ["?"] * len(label)])
    truth = MILLI * label / atoms
    x = truth - _means(truth, formulas, np.isfinite(truth))
    shared = {"x": x, "x_stderr": _scaled(column(content, "energy_stderr_label"), atoms)}
    text = list(content.get("structure_ids") or [""] * len(label))
    found: list[dict[str, Any]] = []
    base = column(content, "energy_base")
    if base is not None:
        given = MILLI * base / atoms
        y = given - _means(given, formulas, np.isfinite(truth))
        found.append({"name": "base, one offset per composition", "x": x, "y": y, "text": text})
    y = MILLI * energy / atoms - _means(truth, formulas, np.isfinite(truth))
    bars = _scaled(column(content, "energy_stderr"), atoms)
    return [*found, {**shared, "name": run.method or "lifted", "y": y, "y_stderr": bars, "text": text}]


def _scaled(bars: Array | None, atoms: Array) -> Array | None:
    return None if bars is None else MILLI * bars / atoms


def _means(values: Array, formulas: Any, known: Any) -> Array:
    """Return for each structure the mean of ``values`` over the labelled structures of its composition."""
    means = np.full(len(values), np.nan)
    for name in np.unique(formulas):
        same = formulas == name
        if (same & known).any():
            means[same] = values[same & known].mean()
    return means


def _force_series(content: Mapping[str, Any], run: RunFiles) -> tuple[list[dict[str, Any]], str, str]:
    forces, label, base = (components(content, name) for name in ("forces", "forces_label", "forces_base"))
    name = run.method or "lifted"
    if forces is None or not len(forces):
        return [], "", ""
    if label is not None and np.isfinite(label).any():
        x, y, z = figures.thinned(label, forces, base if base is not None else np.zeros_like(label))
        series = [{"name": "base", "x": x, "y": z}] if base is not None else []
        total = int(np.isfinite(label).sum())
        drawn = f" {len(x)} of {total} are drawn." if len(x) < total else ""
        return [*series, {"name": name, "x": x, "y": y}], f"Force components.{drawn}", "Label, eV/Å"
    if base is None:
        return [], "", ""
    x, y = figures.thinned(base, forces)
    return [{"name": name, "x": x, "y": y}], "Force components against the base's: a departure, no error.", "Base, eV/Å"


def _barred(content: Mapping[str, Any]) -> list[tuple[str, Array, Array, Array]]:
    found = []
    energy, label, bars = (column(content, name) for name in ("energy", "energy_label", "energy_stderr"))
    if energy is not None and label is not None and bars is not None:
        sigma = column(content, "energy_stderr_label")
        noise = np.zeros(len(bars)) if sigma is None else np.nan_to_num(sigma)
        found.append(("energy", energy, label, np.hypot(bars, noise)))
    forces, truth, width = (components(content, name) for name in ("forces", "forces_label", "forces_stderr"))
    if forces is not None and truth is not None and width is not None and len(forces) == len(truth) == len(width):
        found.append(("force component", forces, truth, width))
    return found


def _share(fraction: float, low: float, high: float) -> str:
    return f'{100 * fraction:.0f} % <span class="small">({100 * low:.0f}–{100 * high:.0f})</span>'
