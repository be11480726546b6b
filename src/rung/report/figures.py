"""The figures of a report: each a function of plain numbers that returns a plotly figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rung.report.axes import logarithmic
from rung.report.drawing import ALONE, LIFTED, MUTED, TRUTH, colour, plotly, shade, shaded, short, styled
from rung.report.tables import quantity
from rung.results.barrier import Curve


@dataclass(frozen=True)
class Series:
    """One cloud of a parity plot.

    Parameters
    ----------
    name
        Its name in the legend.
    x, y
        Labels and predictions, one unit.
    x_stderr, y_stderr
        Their one-sigma errors in the same unit; None for none.
    text
        What is shown beside each point; empty for nothing.
    rows
        The place of each point's structure in its split, by which a click finds it; None for none.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    x_stderr: ArrayLike | None = None
    y_stderr: ArrayLike | None = None
    text: Sequence[str] = ()
    rows: ArrayLike | None = None


@dataclass(frozen=True)
class Learning:
    """One line of a learning curve.

    Parameters
    ----------
    name
        Its name in the legend.
    n_labels
        Numbers of labels.
    values
        For each of them the values of all seeds.
    """

    name: str
    n_labels: Sequence[int]
    values: Sequence[Sequence[float]]


def parity(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    equal: bool = True,
    height: int = 420,
    shades: Mapping[str, str] = {},
) -> Any:
    """Draw predictions against labels, one cloud a series, with the diagonal.

    Parameters
    ----------
    series
        The clouds, one unit for all.
    x_title, y_title
        Titles of the axes, with their unit.
    equal
        Whether both axes have one scale.
    shades
        Colours by the name of a series, in place of those that its name has.
    """
    go = plotly()
    figure = go.Figure()
    values = np.concatenate(
        [np.empty(0), *(np.asarray(axis, dtype=float) for one in series for axis in (one.x, one.y))]
    )
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    pad = 0.04 * (high - low or 1.0)
    ends = [low - pad, high + pad]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": MUTED, "width": 1, "dash": "dot"}, showlegend=False)
    figure.data[0].hoverinfo = "skip"
    for index, one in enumerate(series):
        shade = shades.get(one.name) or colour(one.name.split(",")[0], index)
        many = np.size(one.x) > 500
        figure.add_scatter(
            x=short(one.x),
            y=short(one.y),
            name=escape(one.name),
            mode="markers",
            text=[escape(text) for text in one.text] or None,
            customdata=None if one.rows is None else np.asarray(one.rows, dtype=int).tolist(),
            marker={"color": shade, "size": 3.5 if many else 7, "opacity": 0.35 if many else 0.7},
            error_x=_bars(one.x_stderr, shade),
            error_y=_bars(one.y_stderr, shade),
        )
    styled(figure, x_title, y_title, height)
    figure.update_layout(legend={"itemsizing": "constant"})  # the points of a crowd are too small to tell colours by
    figure.update_xaxes(range=ends)
    figure.update_yaxes(range=ends)
    if equal:
        figure.update_yaxes(scaleanchor="x", constrain="domain")
        figure.update_xaxes(constrain="domain")
    return figure


def band(curves: Sequence[Curve], *, height: int = 460, shades: Mapping[str, str] = {}) -> Any:
    """Draw energies along a path: the weights' own error as the dark band, with the model's error as the light one.

    Parameters
    ----------
    curves
        The energies, eV.
    shades
        Colours by the name of a curve, in place of those that its name has.
    """
    go = plotly()
    figure = go.Figure()
    measured = all(curve.coordinate for curve in curves)
    for index, curve in enumerate(curves):
        name = curve.name
        shade = shades.get(name) or colour(name, index)
        y = np.array(curve.energies)
        x = np.array(curve.coordinate) if measured else np.arange(len(y), dtype=float)
        for bars, opacity in ((curve.stderr_total, 0.14), (curve.stderr, 0.28)):
            if bars:
                shaded(figure, x, y, np.array(bars), shade, opacity)
        figure.add_scatter(
            x=short(x),
            y=short(y, 5),
            name=escape(name),
            mode="lines+markers",
            line={"color": shade, "width": 2.5, "dash": "dash" if name.strip().lower() == "truth" else "solid"},
            marker={"size": 7},
        )
    styled(figure, "Path, Å" if measured else "Image", "Energy above the first image, eV", height)
    return figure


def learning_curve(
    curves: Sequence[Learning],
    *,
    y_title: str,
    level: float | None = None,
    height: int = 380,
    log: bool = True,
) -> Any:
    """Draw a metric against the number of labels: means, spread as bars, and each seed as a faint point.

    Parameters
    ----------
    curves
        The lines.
    y_title
        Title of the metric's axis, with its unit.
    level
        The known truth of the metric, drawn as a line.
    log
        Whether the metric's axis is logarithmic.
    """
    go = plotly()
    figure = go.Figure()
    labels = sorted({n for curve in curves for n in curve.n_labels if n})
    for index, curve in enumerate(curves):
        name, shade = curve.name, colour(curve.name, index)
        seeds = [np.asarray(values, dtype=float) for values in curve.values]
        means = [float(np.nanmean(values)) for values in seeds]
        if name == "base" and len(curve.n_labels) == 1:
            ends = [labels[0], labels[-1]] if labels else [1, 2]
            line = {"color": shade, "width": 2, "dash": "dot"}
            mean = float(np.nanmean(means))
            figure.add_scatter(x=ends, y=short([mean, mean]), name="base", mode="lines", line=line)
            continue
        spread = [float(np.nanstd(values, ddof=1)) if np.isfinite(values).sum() > 1 else 0.0 for values in seeds]
        figure.add_scatter(
            x=[n for n, values in zip(curve.n_labels, seeds, strict=True) for _ in values],
            y=short(np.concatenate(seeds)),
            mode="markers",
            marker={"color": shade, "size": 5, "opacity": 0.3},
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=list(curve.n_labels),
            y=short(means),
            name=escape(name),
            mode="lines+markers",
            line={"color": shade, "width": 2.5, "dash": "dot" if name == "base" else "solid"},
            marker={"size": 8},
            error_y=_bars(spread, shade),
        )
    if level is not None:
        figure.add_hline(y=level, line={"color": TRUTH, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=1,
            xref="paper",
            y=math.log10(level) if log else level,  # plotly places notes, but not lines, by the logarithm
            text="truth",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            font={"size": 12},
        )
    styled(figure, "Labelled energies", y_title, height)
    figure.update_xaxes(type="log", tickvals=labels, ticktext=[str(n) for n in labels], range=_log_range(labels))
    if log:
        logarithmic(figure, "y")
    return figure


def posterior_spread(
    name: str, values: ArrayLike, weights: ArrayLike, *, unit: str = "", chosen: float | None = None
) -> Any:
    """Draw where the weight of one hyper-parameter lies, as bars on a logarithmic axis.

    Parameters
    ----------
    values, weights
        One positive number and its weight for every point of the posterior.
    chosen
        The value that the fit took.
    """
    go = plotly()
    logs = np.log10(np.asarray(values, dtype=float))
    heights, edges = np.histogram(logs, bins=9, weights=np.asarray(weights, dtype=float))
    middles = 0.5 * (edges[1:] + edges[:-1])
    figure = go.Figure()
    figure.add_bar(
        x=short(10**middles),
        y=short(heights / heights.sum()),
        width=short(0.92 * (10 ** edges[1:] - 10 ** edges[:-1])),
        marker={"color": LIFTED, "opacity": 0.55, "line": {"width": 0}},
        showlegend=False,
    )
    if chosen is not None and np.isfinite(chosen) and chosen > 0:
        figure.add_vline(x=chosen, line={"color": ALONE, "width": 2})
    styled(figure, escape(f"{name}, {unit}" if unit else name), "Weight", 300)
    logarithmic(figure, "x", most=4)
    return figure


def training(epochs: Sequence[Mapping[str, float]]) -> Any:
    """Draw what a training loop logged against the epoch, each column that ends in ``loss`` a line."""
    go = plotly()
    figure = go.Figure()
    names = [name for name in dict.fromkeys(key for row in epochs for key in row) if name.endswith("loss")]
    for index, name in enumerate(names):
        figure.add_scatter(
            x=[row.get("epoch", place) for place, row in enumerate(epochs)],
            y=short([row.get(name, math.nan) for row in epochs]),
            name=escape(name.replace("_", " ")),
            mode="lines",
            line={"color": shade(index), "width": 2},
        )
    styled(figure, "Epoch", "Loss", 340)
    logarithmic(figure, "y")
    return figure


def metric_title(metric: str) -> str:
    """Return the title of an axis that shows ``metric``."""
    words, unit = quantity(metric)
    return escape(f"{words}, {unit}" if unit else words)


def _bars(values: ArrayLike | None, shade: str) -> dict[str, Any] | None:
    if values is None:
        return None
    bars = np.nan_to_num(np.asarray(values, dtype=float), nan=0.0, posinf=0.0)
    return {"type": "data", "array": short(bars), "color": shade, "thickness": 1.2, "width": 0}


def _log_range(labels: Sequence[int]) -> list[float] | None:
    if not labels:
        return None
    low, high = np.log10(labels[0]), np.log10(labels[-1])
    pad = 0.06 * (high - low) or 0.3
    return [float(low - pad), float(high + pad)]
