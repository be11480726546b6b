"""The look that all drawings of a report share: colours, axes, and numbers with few digits."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rung.data.labels import Array
from rung.errors import MissingExtraError

INK, MUTED, GRID, AXIS, PAPER = "#1f2733", "#66707f", "#e8ebf0", "#c6ccd6", "#ffffff"
"""Colours that a page turns round where it is dark."""
BASE, LIFTED, ALONE, TRUTH = "#98a2b3", "#1d5fd1", "#d9822b", "#1f2733"

ROLES: Mapping[str, str] = {
    "base": BASE,
    "truth": TRUTH,
    "energies alone": ALONE,
    "energies": ALONE,
    "lifted": LIFTED,
    "readout": LIFTED,
    "tangent": "#0f8b74",
    "transfer": "#b0418a",
    "joint": "#6b4fbb",
    "delta": "#9a7b12",
    "onehot": "#c2453d",
    "offset": "#5b6b7f",
    "scratch": "#7a8f3c",
}
_OTHERS = ("#1d5fd1", "#d9822b", "#0f8b74", "#b0418a", "#6b4fbb", "#9a7b12", "#c2453d", "#4a9fc9", "#7a8f3c")

MOST_POINTS = 3000
"""Force components drawn in a parity plot; more make the file heavy and the picture no clearer."""


def plotly() -> Any:
    """Return ``plotly.graph_objects``.

    Raises
    ------
    MissingExtraError
        When plotly is not installed.
    """
    try:
        return importlib.import_module("plotly.graph_objects")
    except ImportError as error:
        raise MissingExtraError("The report needs plotly; install it with: pip install 'rung[report]'.") from error


def colour(name: str, index: int = 0) -> str:
    """Return the colour of a method or surface: its own where it has one, else one by its place."""
    return ROLES.get(name.strip().lower(), shade(index))


def shade(index: int) -> str:
    """Return the colour of one of several that have none of their own."""
    return _OTHERS[index % len(_OTHERS)]


def thinned(*columns: Array, most: int = MOST_POINTS) -> list[Array]:
    """Return at most ``most`` entries of equally long columns, the same of each, where all are finite."""
    usable = np.flatnonzero(np.logical_and.reduce([np.isfinite(entry) for entry in columns]))
    if len(usable) > most:
        usable = np.sort(np.random.default_rng(0).choice(usable, most, replace=False))
    return [entry[usable] for entry in columns]


def styled(figure: Any, x_title: str, y_title: str, height: int) -> None:
    """Give a figure the look of all others, and titles to its axes, with their unit."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": AXIS, "ticks": "outside", "tickcolor": AXIS}
    axis["automargin"] = True  # else a title stands on ticks that are wide
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 36, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "Inter, 'Segoe UI', system-ui, sans-serif", "size": 13, "color": INK},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
        },
        hoverlabel={"bgcolor": PAPER, "font": {"color": INK}},
        template="none",
    )
    figure.update_xaxes(title={"text": x_title, "standoff": 8}, **axis)
    figure.update_yaxes(title={"text": _in_lines(y_title, (height - 88) // 8), "standoff": 8}, **axis)


def _in_lines(title: str, room: int) -> str:
    """Return a title in two lines where it is longer than its axis, in letters."""
    if len(title) <= room:
        return title
    words = title.split(" ")
    cut = min(range(1, len(words)), key=lambda at: abs(len(" ".join(words[:at])) - len(title) / 2), default=len(words))
    return "<br>".join(part for part in (" ".join(words[:cut]), " ".join(words[cut:])) if part)


def shaded(figure: Any, x: Array, y: Array, bars: Array, shade: str, opacity: float) -> None:
    """Draw a band of plus and minus ``bars`` around ``y``; nothing where a bar is not finite."""
    if not np.isfinite(bars).all():
        return
    figure.add_scatter(
        x=short(np.concatenate([x, x[::-1]])),
        y=short(np.concatenate([y + bars, (y - bars)[::-1]]), 5),
        fill="toself",
        fillcolor=f"rgba({int(shade[1:3], 16)},{int(shade[3:5], 16)},{int(shade[5:7], 16)},{opacity})",
        line={"width": 0},
        mode="lines",
        showlegend=False,
        hoverinfo="skip",
    )


def short(values: ArrayLike, significant: int = 4) -> list[float | None]:
    """Return numbers with few digits, None where they are not finite: a drawing needs no more, and files stay small."""
    return [
        float(f"{value:.{significant}g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=float)
    ]
