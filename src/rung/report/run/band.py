"""The band that holds forces near the base's: how many atoms sit at it, and what it forbids."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.report import drawing
from rung.report.histogram import add_histogram
from rung.report.read import RunFiles
from rung.report.section import Draw
from rung.report.tables import digits, electronvolts, table
from rung.results.fit import EnergyDifference, FitRecord
from rung.results.predictions import Predictions

TAU, SCALE = "tau", "scale"
BINS = 40


def band(run: RunFiles, draw: Draw) -> str:
    """Return how far forces are from the anchor, in lengths τ of the band, and which differences it forbids."""
    if run.fit is None:
        return ""
    tau, scale = _taken(run.fit, TAU), _taken(run.fit, SCALE)
    forbidden = differences(run.fit.details.differences)
    if not (math.isfinite(tau) and tau > 0.0):
        return forbidden
    factor = scale if math.isfinite(scale) else 1.0
    departures = {split: _departures(content, factor) for split, content in run.by_split.items()}
    departures = {split: values for split, values in departures.items() if len(values)}
    if not departures:
        return forbidden
    anchor = "the base's forces" if factor == 1.0 else f"{digits(factor)} times the base's forces"
    sentences = "".join(f"<li>{_sentence(split, values / tau)}</li>" for split, values in departures.items())
    drawn = draw(_histogram(departures, tau), f"How far the force on an atom is from {anchor}; the line is at τ.")
    note = (
        f'<p class="note">τ = {digits(tau)} eV/Å is the r.m.s. length by which the band lets a force leave its anchor. '
        "Of a normal distribution of that width 39 % of the atoms are beyond τ and 0.7 % beyond 2τ. Many more mean "
        "that energies pull against the band.</p>"
    )
    return f'<ul class="words">{sentences}</ul><div class="grid two">{drawn}</div>{note}{forbidden}'


def _taken(fit: FitRecord, name: str) -> float:
    return next((row.value for row in fit.details.hyperparameters if row.name == name), math.nan)


def _departures(content: Predictions, factor: float) -> Array:
    """Return how far the force on each atom is from its anchor, eV/Å, flat."""
    if content.forces_base is None:
        return np.empty(0)
    lengths = [
        np.linalg.norm(forces - factor * base, axis=1)
        for forces, base in zip(content.forces, content.forces_base, strict=True)
        if forces is not None and base is not None
    ]
    values = np.concatenate([np.empty(0), *lengths])
    return np.asarray(values[np.isfinite(values)])


def _sentence(split: str, ratios: Array) -> str:
    beyond = [int((ratios > limit).sum()) for limit in (1.0, 2.0)]
    shares = [f"{count} ({100 * count / len(ratios):.0f} %)" for count in beyond]
    return f"On {escape(split)} {shares[0]} of {len(ratios)} atoms are beyond τ, and {shares[1]} beyond 2τ."


def _histogram(departures: dict[str, Array], tau: float) -> Any:
    figure = drawing.plotly().Figure()
    end = max(2.5 * tau, *(float(np.quantile(values, 0.99)) for values in departures.values()))
    edges = np.linspace(0.0, end, BINS + 1)
    for index, (split, values) in enumerate(departures.items()):
        add_histogram(figure, values, edges, escape(split), index)
    figure.add_vline(x=tau, line={"color": drawing.MUTED, "width": 1.5, "dash": "dash"})
    drawing.styled(figure, "Departure from the anchor, eV/Å", "Share of atoms, %", 340)
    figure.update_xaxes(range=[0.0, end])
    return figure


def differences(rows: Sequence[EnergyDifference]) -> str:
    """Return how far the band lets energy differences change, beside what energies alone ask for."""
    if not rows:
        return ""
    cells = [
        [
            f"{escape(row.first)} less {escape(row.second)}",
            electronvolts(row.base),
            f"{electronvolts(row.prior_mean)} ± {electronvolts(row.prior_stderr)}",
            electronvolts(row.energies_alone),
            electronvolts(row.fitted),
        ]
        for row in rows
    ]
    header = [
        "Energy difference",
        "Base, eV",
        "Change that the band allows, eV",
        "Energies alone ask for, eV",
        "Fitted, eV",
    ]
    note = "Where energies alone ask for more than the band allows, the forces and the energies contradict each other."
    return f"<h3>What it allows and forbids</h3>{table(header, cells)}" + f'<p class="note">{note}</p>'
