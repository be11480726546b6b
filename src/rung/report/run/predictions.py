"""Sections that set single predictions beside their labels: parity plots and coverage."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.evaluate.coverage import against_labels, coverage_table
from rung.report import drawing, figures
from rung.report.figures import Series
from rung.report.read import RunFiles
from rung.report.run.structures import viewer
from rung.report.section import Draw
from rung.report.tables import table
from rung.results.predictions import Predictions
from rung.units import MILLI


def parity(run: RunFiles, draw: Draw) -> str:
    """Return parity plots of energies and forces, one pair a split."""
    parts = []
    for number, (split, content) in enumerate(run.by_split.items()):
        below = viewer(number, content, run.geometries[split]) if split in run.geometries else ""
        parts.append(_parity_pair(split, content, run.method or "lifted", draw) + below)
    return "".join(parts)


def coverage(run: RunFiles, _: Draw) -> str:
    """Return how often the error bars held the labels."""
    rows = []
    for split, content in run.by_split.items():
        for what, values, truths, bars in _barred(content):
            shares = coverage_table(values, truths, bars)
            if shares[0].n:
                rows.append([escape(split), what, *(_share(one.fraction, one.low, one.high) for one in shares)])
                rows[-1].append(str(shares[0].n))
    if not rows:
        return ""
    note = (
        "Error bars hold posterior and model error; for energies the labels' own σ is added. Ranges are 95 % intervals "
    )
    note += "for independent values: components of one structure are correlated, so the honest range is wider."
    header = ["Split", "Quantity", "68 % due", "95 % due", "values"]
    return table(header, rows, text=2) + f'<p class="note">{note}</p>'


def _parity_pair(split: str, content: Predictions, name: str, draw: Draw) -> str:
    plots = []
    series = energy_series(content, name)
    if series:
        figure = figures.parity(series, x_title="Label, meV/atom", y_title="Prediction, meV/atom")
        plots.append(
            draw(figure, "Energies per atom, less the mean label of their composition; the base's less its own.")
        )
    series, caption, x_title = force_series(content, name)
    if series:
        figure = figures.parity(series, x_title=x_title, y_title="Prediction, eV/Å")
        plots.append(draw(figure, caption))
    return f'<h3>{escape(split)}</h3><div class="grid two">{"".join(plots)}</div>' if plots else ""


def energy_series(content: Predictions, name: str) -> list[Series]:
    """Return the energies of the base, where there is one, and of the fit beside their labels, meV/atom."""
    if not np.isfinite(content.energy_label).any():
        return []
    formulas, atoms, text = np.array(content.formulas), content.atoms, content.structure_ids
    rows = np.arange(len(atoms))
    truth = MILLI * content.energy_label / atoms
    labelled = np.isfinite(truth)
    middle = _means(truth, formulas, labelled)
    x = truth - middle
    series = []
    if content.energy_base is not None:
        base = MILLI * content.energy_base / atoms
        y = base - _means(base, formulas, labelled)
        series.append(Series("base, one offset per composition", x, y, text=text, rows=rows))
    lifted = Series(
        name,
        x,
        MILLI * content.energy / atoms - middle,
        x_stderr=MILLI * content.energy_stderr_label / atoms,
        y_stderr=MILLI * content.energy_stderr / atoms,
        text=text,
        rows=rows,
    )
    return [*series, lifted]


def _means(values: Array, formulas: NDArray[np.str_], known: NDArray[np.bool_]) -> Array:
    """Return for each structure the mean of ``values`` over the labelled structures of its composition."""
    _, group = np.unique(formulas, return_inverse=True)
    size = int(group.max(initial=-1)) + 1
    counts = np.bincount(group[known], minlength=size)
    sums = np.bincount(group[known], weights=values[known], minlength=size)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)[group])


def force_series(content: Predictions, name: str, most: int = drawing.MOST_POINTS) -> tuple[list[Series], str, str]:
    """Return at most ``most`` force components of base and fit, with a caption and the title of their axis."""
    forces, label, base = (
        content.components(blocks) for blocks in (content.forces, content.forces_label, content.forces_base)
    )
    if forces is None or not len(forces):
        return [], "", ""
    rows = np.repeat(np.arange(len(content.n_atoms), dtype=np.float64), 3 * np.array(content.n_atoms))
    if label is not None and np.isfinite(label).any():
        x, y, z, rows = drawing.thinned(
            label, forces, base if base is not None else np.zeros_like(label), rows, most=most
        )
        series = [Series("base", x, z, rows=rows)] if base is not None else []
        total = int(np.isfinite(label).sum())
        drawn = f" {len(x)} of {total} are drawn." if len(x) < total else ""
        return [*series, Series(name, x, y, rows=rows)], f"Force components.{drawn}", "Label, eV/Å"
    if base is None:
        return [], "", ""
    x, y, rows = drawing.thinned(base, forces, rows, most=most)
    return [Series(name, x, y, rows=rows)], "Force components against the base's: a departure, no error.", "Base, eV/Å"


def _barred(content: Predictions) -> list[tuple[str, Array, Array, Array]]:
    bars = against_labels(content.energy_stderr, content.energy_stderr_label)
    rows = [("energy", content.energy, content.energy_label, bars)]
    forces, truth, width = (
        content.components(blocks) for blocks in (content.forces, content.forces_label, content.forces_stderr)
    )
    if forces is not None and truth is not None and width is not None:
        rows.append(("force component", forces, truth, width))
    return rows


def _share(fraction: float, low: float, high: float) -> str:
    return f'{100 * fraction:.0f} % <span class="small">({100 * low:.0f}–{100 * high:.0f})</span>'
