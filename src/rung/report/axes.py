"""Logarithmic axes whose ticks are few and round: plotly's own crowd a short axis, or leave it bare."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np


def logarithmic(figure: Any, axis: Literal["x", "y"], most: int = 6) -> None:
    """Make an axis logarithmic, with at most ``most`` round numbers on it, which never run into one another."""
    ticks = round_ticks([value for trace in figure.data for value in (trace[axis] or ()) if value and value > 0], most)
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    update(type="log", tickvals=ticks, ticktext=[_spelt(tick) for tick in ticks])


def _spelt(tick: float) -> str:
    if 1e-3 <= tick < 1e5:
        return f"{tick:g}"
    mantissa, exponent = f"{tick:e}".split("e")
    factor = "" if float(mantissa) == 1.0 else f"{float(mantissa):g}×"
    return f"{factor}10<sup>{int(exponent)}</sup>"


def round_ticks(values: Sequence[float], most: int = 6) -> list[float]:
    """Return at most ``most`` round numbers over the range of ``values``: plotly's own crowd a short axis, or miss it.

    The densest set of steps that fits is taken; where the range is narrow, round numbers at equal distances.
    """
    if not values:
        return []
    low, high = min(values) / 1.15, max(values) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(ticks) > most:
            break
        found = ticks
    if len(found) > 2:
        return found
    if len(decades) > most:
        return [10.0**decade for decade in decades[:: -(-len(decades) // most)]]
    return sorted({float(f"{value:.2g}") for value in np.geomspace(min(values), max(values), most - 1)})
