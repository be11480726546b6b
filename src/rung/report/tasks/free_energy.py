"""``free_energy.html``: the profile with its error, what the windows sampled, and the numbers with their caveats."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table
from rung.report.tables import digits, table, with_error
from rung.report.tasks.domain import outside_sentences, standing_words
from rung.report.tasks.page import Content, TaskPage
from rung.results.free_energy import FREE_ENERGY_FILE, BarrierNumbers, FreeEnergyResult, OtherSurfaces, WindowNumbers

PAGE = "free_energy.html"

UPPER_BOUND = "The rate is that of transition-state theory: no recrossing is counted, so it is an upper bound."


def _content(result: FreeEnergyResult, pen: Pen) -> Content:
    profile = "" if result.profile is None else pen.draw(profile_figure([result]), _caption(result))
    return Content(
        "Free energy along a collective variable",
        f"{result.fidelity} at {result.temperature:.0f} K",
        [
            ("Barrier", _numbers(result)),
            ("Profile", profile),
            ("Windows", pen.draw(_histograms(result), "What each window sampled.") + _windows(result.windows)),
            (
                "Other surfaces",
                _surfaces("Posterior draws: the model's error", result.model_error)
                + _surfaces("Target energies", result.reweighted),
            ),
        ],
        [result.reason, *result.warnings, *outside_sentences(result.domain)],
    )


write_free_energy_report = TaskPage(FREE_ENERGY_FILE, PAGE, FreeEnergyResult.read, _content)
"""Writes ``free_energy.html`` from ``free_energy.json`` of a folder."""


def profile_figure(results: Sequence[FreeEnergyResult], names: Sequence[str] = ()) -> Any:
    """Draw profiles with their statistical error, each with zero at its lowest; results without one are left out."""
    go = drawing.plotly()
    figure = go.Figure()
    for index, result in enumerate(results):
        if result.profile is None:
            continue
        name = names[index] if names else result.fidelity
        shade = drawing.colour(name, index) if names else drawing.LIFTED
        x, y, bars = (
            np.array(values)
            for values in (result.profile.coordinate, result.profile.free_energy, result.profile.stderr)
        )
        finite = np.isfinite(y)
        drawing.shaded(figure, x[finite], y[finite], bars[finite], shade, 0.28)
        figure.add_scatter(
            x=drawing.short(x[finite]),
            y=drawing.short(y[finite], 5),
            name=escape(name),
            mode="lines",
            line={"color": shade, "width": 2.5},
        )
        if result.barrier is not None:
            figure.add_vline(x=result.barrier.transition_state, line={"color": shade, "width": 1, "dash": "dot"})
    drawing.styled(figure, _axis(results[0].unit), "Free energy, eV", 440)
    return figure


def _histograms(result: FreeEnergyResult) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    samples = [np.asarray(window.values, dtype=float) for window in result.samples]
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
                    x=drawing.short(middles[inside]),
                    y=counts[inside].tolist(),
                    mode="lines",
                    line={"width": 1.5, "color": drawing.LIFTED if index % 2 else drawing.ALONE},
                    showlegend=False,
                )
    drawing.styled(figure, _axis(result.unit), "Samples", 260)
    return figure


def _axis(unit: str) -> str:
    return "Collective variable, Å" if unit == "Å" else "Collective variable, fraction of the path"


def _caption(result: FreeEnergyResult) -> str:
    whose = "the mean over the range" if result.barrier is None else "the reactant's basin"
    return f"−kT ln of the density in each bin; the band is one standard error against {whose}."


def _numbers(result: FreeEnergyResult) -> str:
    barrier = result.barrier
    if barrier is None:
        return ""
    unit = "" if result.unit == "1" else f" {result.unit}"
    rows = [
        ["Top ξ‡", digits(barrier.transition_state) + escape(unit)],
        [
            f"Free-energy barrier ΔF‡, ℓ0 = {digits(barrier.length)}{unit}, eV",
            with_error(barrier.barrier, barrier.barrier_stderr),
        ],
        ["From the other side, eV", with_error(barrier.reverse, barrier.reverse_stderr)],
        ["Reaction ΔF, eV", with_error(barrier.reaction, barrier.reaction_stderr)],
        ["Transition-state rate, 1/s", digits(barrier.rate)],
        ["Error of the rate, factor", digits(np.exp(barrier.rate_log_stderr))],
        ["Activation free energy −kT ln(hk/kT), eV", with_error(barrier.activation, barrier.activation_stderr)],
    ]
    if result.domain is not None:
        rows.append(["Structures outside the domain", standing_words(result.domain)])
    note = (
        "ΔF‡ = F(ξ‡) + kT ln[∫ exp(−βF) dξ / ℓ0] over the reactant's side; it depends on ℓ0 and on the scale of the "
        f"variable, the rate does not. {UPPER_BOUND}"
    )
    return table(["", "Value"], [[escape(name), value] for name, value in rows]) + f'<p class="note">{note}</p>'


def _windows(windows: Sequence[WindowNumbers]) -> str:
    header = ["Window", "Centre", "Mean", "Spread", "Equilibrated after", "Samples as one", "Independent", "Overlap"]
    rows = [
        [
            str(index),
            *(digits(value) for value in (one.centre, one.mean, one.spread)),
            str(one.equilibrated),
            digits(one.inefficiency),
            str(one.samples),
            digits(one.overlap),
        ]
        for index, one in enumerate(windows)
    ]
    return table(header, rows)


def _surfaces(title: str, surfaces: OtherSurfaces | None) -> str:
    if surfaces is None:
        return ""
    rows = [
        ["Surfaces", str(surfaces.surfaces)],
        ["Change of ΔF‡, mean, eV", with_error(surfaces.change, surfaces.statistical_stderr)],
        ["Spread over surfaces, eV", digits(surfaces.spread_of_change)],
        ["Change to first order, mean, eV", digits(surfaces.first_order)],
        ["Spread to first order, eV", digits(surfaces.spread_of_first_order)],
        ["Largest sd(βΔU) of a window", digits(max(surfaces.largest_sd_of_reduced_change, default=None))],
        ["Least effective structures of a window", digits(min(surfaces.least_effective_samples, default=None))],
    ]
    reason = f'<p class="note">{escape(surfaces.reason)}</p>' if surfaces.reason else ""
    return f"<h3>{title}</h3>" + table(["", "Value"], rows) + reason


def free_energy_summary(result: FreeEnergyResult) -> Summary:
    """Return the barrier with its errors, what to be aware of, and why there is none."""
    failures = (result.reason,) if result.reason else ()
    tables = () if result.barrier is None else (_table(result, result.barrier),)
    return Summary(tables, warnings=(*result.warnings, *outside_sentences(result.domain)), failures=failures)


def _table(result: FreeEnergyResult, barrier: BarrierNumbers) -> Table:
    unit = "" if result.unit == "1" else f" {result.unit}"
    rows = [("top ξ‡" + (f",{unit}" if unit else ""), f"{barrier.transition_state:.3f}", "")]
    rows += [
        (name, f"{value:.3f}", f"{stderr:.3f}")
        for name, value, stderr in (
            (f"ΔF‡, ℓ0 = {barrier.length:g}{unit}, eV", barrier.barrier, barrier.barrier_stderr),
            ("ΔF‡ from the other side, eV", barrier.reverse, barrier.reverse_stderr),
            ("reaction ΔF, eV", barrier.reaction, barrier.reaction_stderr),
            ("activation −kT ln(hk/kT), eV", barrier.activation, barrier.activation_stderr),
        )
    ]
    rows.append(("transition-state rate, 1/s", f"{barrier.rate:.3g}", f"×/÷ {math.exp(barrier.rate_log_stderr):.2f}"))
    draws, target = result.model_error, result.reweighted
    if draws is not None:
        spread = "refused" if draws.reason else f"{draws.spread_of_change:.3f}"
        first_order = f"first order {draws.spread_of_first_order:.3f}"
        rows.append(("model error of ΔF‡, posterior draws, eV", f"{spread}; {first_order}", ""))
    if target is not None:
        change = ("refused", "") if target.reason else (f"{target.change:+.3f}", f"{target.statistical_stderr:.3f}")
        rows.append((f"ΔF‡ change to {target.fidelity}, eV", *change))
    title = f"Free energy of {result.fidelity} at {result.temperature:.0f} K"
    return Table(title, ("quantity", "value", "standard error"), rows)
