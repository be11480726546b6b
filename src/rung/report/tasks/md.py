"""``md.html``: energies, temperature and g(r) of a run, and whether it was stable."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rung.report import figures
from rung.report.page import Pen, write_page
from rung.report.read import sentences
from rung.report.tables import digits, table, with_error
from rung.storage import read_json

PAGE = "md.html"


def write_md_report(folder: Path) -> Path:
    """Write ``md.html`` from ``md.json`` of ``folder``, and return its path.

    Raises
    ------
    StorageError
        When the result is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    folder = Path(folder)
    found = read_json(folder / "md.json")
    pen = Pen()
    parts = [
        ("Run", _numbers(found)),
        (
            "Energy",
            pen.draw(_energy(found), "Total energy above that of the first sample, and its kinetic part's mean."),
        ),
        ("Temperature", pen.draw(_temperature(found), "Kinetic temperature.")),
        (
            "Structure",
            pen.draw(_radial(found), "g(r); the density is that of the whole cell.") if _pairs(found) else "",
        ),
    ]
    settings = found["settings"]
    subtitle = f"{found['fidelity']}, {settings['ensemble'].upper()} at {settings['temperature']:.0f} K"
    ended = f"The run ended {found['reason']}." if found["reason"] else None
    return write_page(folder / PAGE, "Molecular dynamics", subtitle, sentences(ended), "", parts)


def _pairs(found: Mapping[str, Any]) -> Mapping[str, Any]:
    pairs: Mapping[str, Any] = found["radial"]["pairs"]
    return pairs


def _times(found: Mapping[str, Any]) -> Any:
    return np.asarray(found["samples"]["step"], dtype=float) * found["settings"]["timestep"] / 1000.0


def _energy(found: Mapping[str, Any]) -> Any:
    figure = figures.plotly().Figure()
    potential, kinetic = (np.asarray(found["samples"][key], dtype=float) for key in ("potential", "kinetic"))
    per_atom = 1000.0 / found["n_atoms"]
    total = potential + kinetic
    for name, values, shade in (
        ("total", total - total[0], figures.LIFTED),
        ("potential", potential - potential.mean(), figures.BASE),
    ):
        figure.add_scatter(
            x=figures.short(_times(found)),
            y=figures.short(per_atom * values, 5),
            name=name,
            mode="lines",
            line={"color": shade, "width": 1.5},
        )
    figures.styled(figure, "Time, ps", "Energy, meV/atom", 340)
    return figure


def _temperature(found: Mapping[str, Any]) -> Any:
    figure = figures.plotly().Figure()
    figure.add_scatter(
        x=figures.short(_times(found)),
        y=figures.short(found["samples"]["temperature"]),
        mode="lines",
        line={"color": figures.ALONE, "width": 1.5},
        showlegend=False,
    )
    figure.add_hline(y=found["settings"]["temperature"], line={"color": figures.MUTED, "width": 1, "dash": "dot"})
    figures.styled(figure, "Time, ps", "Temperature, K", 300)
    return figure


def _radial(found: Mapping[str, Any]) -> Any:
    figure = figures.plotly().Figure()
    for index, (name, values) in enumerate(_pairs(found).items()):
        figure.add_scatter(
            x=figures.short(found["radial"]["distance"]),
            y=figures.short(values),
            name=escape(name),
            mode="lines",
            line={"color": figures.colour(name, index), "width": 2},
        )
    figures.styled(figure, "Distance, Å", "g(r)", 340)
    return figure


def _numbers(found: Mapping[str, Any]) -> str:
    rows = [
        ["Steps done", str(found["steps"])],
        ["Time, ps", digits(found["picoseconds"])],
        ["Stable", "yes" if found["stable"] else escape(str(found["reason"]))],
    ]
    told = found["statistics"]
    if told:
        rows += [
            ["Temperature, K", with_error(told["temperature"], told["temperature_stderr"])],
            ["Its variance over the canonical one", digits(told["temperature_variance_ratio"])],
            ["Potential energy, eV/atom", with_error(told["potential"], told["potential_stderr"])],
            ["Drift of the total energy, meV/atom/ps", with_error(told["drift"], told["drift_stderr"])],
            ["Fluctuation about it, meV/atom", digits(told["fluctuation"])],
        ]
    return table(["", "Value"], rows)
