"""Histograms as lines in steps, which several sets of numbers can share."""

from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.report import drawing


def add_histogram(figure: Any, values: Array, edges: Array, name: str, index: int) -> None:
    """Draw which share of ``values`` lies in each bin, %; what is beyond the last edges counts in the bins there.

    Parameters
    ----------
    figure
        Of plotly.
    values
        The numbers, at least one.
    edges
        Of the bins, rising.
    name, index
        What the line is called, escaped, and its place among the lines of the figure.
    """
    heights, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    figure.add_scatter(
        x=drawing.short(0.5 * (edges[1:] + edges[:-1])),
        y=drawing.short(100.0 * heights / len(values)),
        name=name,
        mode="lines",
        line={"color": drawing.shade(index), "width": 2, "shape": "hvh"},
    )
