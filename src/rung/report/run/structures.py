"""The structures of a split, to be turned and looked at: those on which the fit errs most come first."""

from collections.abc import Iterator
from html import escape
from json import dumps

import numpy as np

from rung.data.labels import Array
from rung.errors import counted
from rung.report.embedding import inert
from rung.report.tables import digits
from rung.results.geometries import Geometries
from rung.results.predictions import Predictions
from rung.units import MILLI

MOST_ATOMS = 8_000
"""Atoms of one split on a page: 200 kB."""


def viewer(number: int, content: Predictions, geometries: Geometries) -> str:
    """Return a place where the structures of a split are shown, the worst first; a click on a point shows its own.

    Parameters
    ----------
    number
        Of the split on the page.
    content
        What was predicted.
    geometries
        Of the same split; rows that the predictions do not have are passed over.
    """
    errors = _errors(content)
    shown = list(_chosen(content, geometries, errors))
    if not shown:
        return ""
    entries = [
        {
            "row": geometries.rows[place],
            "name": content.structure_ids[geometries.rows[place]],
            "words": _words(content, geometries.rows[place], errors),
            "symbols": geometries.symbols[place],
            "positions": np.round(_block(geometries.positions[place]), 3).ravel().tolist(),
            "cell": [] if (cell := geometries.cells[place]) is None else np.round(cell, 3).ravel().tolist(),
        }
        for place in shown
    ]
    first = "the largest error of the energy first" if np.isfinite(errors).any() else "in their order"
    left, there = len(content.n_atoms) - len(shown), counted(len(shown), "structure")
    more = f" {counted(left, 'other is', 'others are')} not on this page." if left else ""
    return (
        f'<div class="viewer only-screen" id="viewer-{number}">'
        f'<div class="stage"></div><div class="choice"><button class="before" aria-label="the one before">‹</button>'
        f'<select aria-label="structure"></select><button class="after" aria-label="the next one">›</button></div>'
        f'<p class="words"></p><p class="small">{there}, {first}. A click on a point above shows its '
        f"structure; drag to turn it.{more}</p>"
        f'<script type="application/json">{inert(dumps(entries, ensure_ascii=False))}</script></div>'
    )


def _errors(content: Predictions) -> Array:
    """Return the error of each energy, meV/atom; NaN without a label."""
    return np.asarray(MILLI * (content.energy - content.energy_label) / content.atoms)


def _chosen(content: Predictions, geometries: Geometries, errors: Array) -> Iterator[int]:
    """Yield the places of the structures to show, worst first, until there are atoms enough."""
    known = [place for place, row in enumerate(geometries.rows) if 0 <= row < len(content.n_atoms)]
    size = np.abs(errors[[geometries.rows[place] for place in known]])
    atoms = 0
    for index in np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable"):
        place = known[int(index)]
        atoms += len(_block(geometries.positions[place]))
        if atoms > MOST_ATOMS:
            return
        yield place


def _block(block: Array | None) -> Array:
    return np.empty((0, 3)) if block is None else block


def _words(content: Predictions, row: int, errors: Array) -> str:
    parts = [content.formulas[row]]
    if np.isfinite(errors[row]):
        bar = MILLI * content.energy_stderr[row] / content.atoms[row]
        width = f" (bar {digits(float(bar), 2)})" if np.isfinite(bar) else ""
        parts.append(f"energy off by {digits(float(errors[row]), 3)} meV/atom{width}")
    forces, label = content.forces[row], content.forces_label[row]
    if forces is not None and label is not None:
        off = np.linalg.norm(forces - label, axis=1)
        worst = int(np.nanargmax(off)) if np.isfinite(off).any() else 0
        parts.append(f"force off by up to {digits(float(off[worst]), 3)} eV/Å, on atom {worst}")
    if content.outside is not None and content.outside[row]:
        parts.append("outside the domain of the fit")
    return escape(" · ".join(parts))
