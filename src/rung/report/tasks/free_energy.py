"""``free_energy.html``: the profile with its error, what the windows sampled, and the numbers with their caveats."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rung.report import figures
from rung.report.page import Pen, write_page
from rung.report.read import number, sentences
from rung.report.tables import digits, table, with_error
from rung.storage import read_json

PAGE = "free_energy.html"

UPPER_BOUND = "The rate is that of transition-state theory: no recrossing is counted, so it is an upper bound."


def write_free_energy_report(folder: Path) -> Path:
    """Write ``free_energy.html`` from ``free_energy.json`` of ``folder``, and return its path.

    Raises
    ------
    StorageError
        When the result is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    folder = Path(folder)
    found = read_json(folder / "free_energy.json")
    pen = Pen()
    parts = [
        ("Barrier", _numbers(found)),
        ("Profile", pen.draw(profile_figure([found]), _caption(found)) if found["profile"] else ""),
        ("Windows", pen.draw(_histograms(found), "What each window sampled.") + _windows(found["windows"])),
        ("Other surfaces", _reweighted(found)),
    ]
    subtitle = f"{found['fidelity']} at {number(found['temperature']):.0f} K"
    notices = sentences(found["reason"], found["warnings"])
    return write_page(folder / PAGE, "Free energy along a collective variable", subtitle, notices, "", parts)


def profile_figure(results: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> Any:
    """Draw profiles with their statistical error, each with zero at its lowest."""
    go = figures.plotly()
    figure = go.Figure()
    for index, found in enumerate(results):
        profile = found["profile"]
        name = names[index] if names else str(found["fidelity"])
        shade = figures.colour(name, index) if names else figures.LIFTED
        x, y, bars = (
            np.array([number(value) for value in profile[key]]) for key in ("coordinate", "free_energy", "stderr")
        )
        known = np.isfinite(y)
        figures.shaded(figure, x[known], y[known], bars[known], shade, 0.28)
        figure.add_scatter(
            x=figures.short(x[known]),
            y=figures.short(y[known], 5),
            name=escape(name),
            mode="lines",
            line={"color": shade, "width": 2.5},
        )
        if found["barrier"]:
            figure.add_vline(x=found["barrier"]["transition_state"], line={"color": shade, "width": 1, "dash": "dot"})
    figures.styled(figure, _axis(results[0]["unit"]), "Free energy, eV", 440)
    return figure


def _histograms(found: Mapping[str, Any]) -> Any:
    go = figures.plotly()
    figure = go.Figure()
    samples = [np.asarray(window["values"], dtype=float) for window in found["samples"]]
    filled = [values for values in samples if len(values)]
    if filled:
        edges = np.linspace(min(map(np.min, filled)), max(map(np.max, filled)), 121)
        middles = 0.5 * (edges[1:] + edges[:-1])
        for index, values in enumerate(samples):
            counts = np.histogram(values, edges)[0]
            seen = np.flatnonzero(counts)
            if len(seen):
                inside = slice(max(seen[0] - 1, 0), seen[-1] + 2)
                figure.add_scatter(
                    x=figures.short(middles[inside]),
                    y=counts[inside].tolist(),
                    mode="lines",
                    line={"width": 1.5, "color": figures.LIFTED if index % 2 else figures.ALONE},
                    showlegend=False,
                )
    figures.styled(figure, _axis(found["unit"]), "Samples", 260)
    return figure


def _axis(unit: str) -> str:
    return "Collective variable, Å" if unit == "Å" else "Collective variable, fraction of the path"


def _caption(found: Mapping[str, Any]) -> str:
    whose = "the reactant's basin" if found["barrier"] else "the mean over the range"
    return f"−kT ln of the density in each bin; the band is one standard error against {whose}."


def _numbers(found: Mapping[str, Any]) -> str:
    barrier = found["barrier"]
    if not barrier:
        return ""
    unit = "" if found["unit"] == "1" else f" {found['unit']}"
    rows = [
        ["Top ξ‡", digits(barrier["transition_state"]) + unit],
        [
            f"Free-energy barrier ΔF‡, ℓ0 = {digits(barrier['length'])}{unit}, eV",
            with_error(barrier["barrier"], barrier["barrier_stderr"]),
        ],
        ["From the other side, eV", with_error(barrier["reverse"], barrier["reverse_stderr"])],
        ["Reaction ΔF, eV", with_error(barrier["reaction"], barrier["reaction_stderr"])],
        ["Transition-state rate, 1/s", digits(barrier["rate"])],
        ["Error of the rate, factor", digits(np.exp(number(barrier["rate_log_stderr"])))],
        ["Activation free energy −kT ln(hk/kT), eV", with_error(barrier["activation"], barrier["activation_stderr"])],
    ]
    note = (
        "ΔF‡ = F(ξ‡) + kT ln[∫ exp(−βF) dξ / ℓ0] over the reactant's side; it depends on ℓ0 and on the scale of the "
        f"variable, the rate does not. {UPPER_BOUND}"
    )
    return table(["", "Value"], [[escape(name), value] for name, value in rows]) + f'<p class="note">{note}</p>'


def _windows(windows: Sequence[Mapping[str, Any]]) -> str:
    header = ["Window", "Centre", "Mean", "Spread", "Equilibrated after", "Samples as one", "Independent", "Overlap"]
    rows = [
        [
            str(index),
            *(digits(one[key]) for key in ("centre", "mean", "spread")),
            str(one["equilibrated"]),
            digits(one["inefficiency"]),
            str(one["samples"]),
            digits(one["overlap"]),
        ]
        for index, one in enumerate(windows)
    ]
    return table(header, rows)


def _reweighted(found: Mapping[str, Any]) -> str:
    parts = []
    for key, title in (("model_error", "Posterior draws: the model's error"), ("reweighted", "Target energies")):
        given = found[key]
        if not given:
            continue
        rows = [
            ["Surfaces", str(given["surfaces"])],
            ["Change of ΔF‡, mean, eV", with_error(given["change"], given["statistical_stderr"])],
            ["Spread over surfaces, eV", digits(given["spread_of_change"])],
            ["Change to first order, mean, eV", digits(given["first_order"])],
            ["Spread to first order, eV", digits(given["spread_of_first_order"])],
            ["Largest sd(βΔU) of a window", digits(max(given["largest_sd_of_reduced_change"]))],
            ["Least effective structures of a window", digits(min(given["least_effective_samples"]))],
        ]
        reason = f'<p class="note">{escape(given["reason"])}</p>' if given["reason"] else ""
        parts.append(f"<h3>{title}</h3>" + table(["", "Value"], rows) + reason)
    return "".join(parts)
