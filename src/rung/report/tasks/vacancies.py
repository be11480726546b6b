"""``vacancies.html``: barriers against the number of vacancies, and what vacancies cost."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rung.report import figures
from rung.report.page import Pen, write_page
from rung.report.read import number, sentences
from rung.report.tables import electronvolts, table
from rung.storage import read_json

PAGE = "vacancies.html"


def write_vacancy_report(folder: Path) -> Path:
    """Write ``vacancies.html`` from ``vacancies.json`` of ``folder``, and return its path.

    Raises
    ------
    StorageError
        When the result is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    folder = Path(folder)
    found = read_json(folder / "vacancies.json")
    pen = Pen()
    caption = "Bars: one sigma with the model's own error. Open: not converged in cell size."
    parts = [
        ("Hops", pen.draw(hop_figure(found["hops"]), caption) + _hops(found["hops"])),
        ("Energies of vacancies", "".join(_defects(entry) for entry in found["defects"])),
    ]
    layer = found["monolayer"]
    title = f"Vacancies in {layer['metal']}{layer['chalcogen']}2"
    refused = [f"{entry['fidelity']}: {entry['refused']}" for entry in found["defects"] if entry["refused"]]
    names = dict.fromkeys(entry["fidelity"] for entry in found["hops"])
    return write_page(folder / PAGE, title, " · ".join(names), sentences(refused), "", parts)


def hop_figure(hops: Sequence[Mapping[str, Any]]) -> Any:
    """Draw the barrier for each atom against the number of vacancies, a line for each fidelity and way."""
    go = figures.plotly()
    figure = go.Figure()
    ways = dict.fromkeys(hop["way"] for hop in hops)
    for index, fidelity in enumerate(dict.fromkeys(hop["fidelity"] for hop in hops)):
        for way in ways:
            line = [hop for hop in hops if hop["fidelity"] == fidelity and hop["way"] == way]
            shade = figures.colour(fidelity, index)
            bars = [number(hop["stderr_total"]) / _shared(hop) for hop in line]
            figure.add_scatter(
                x=[hop["vacancies"] for hop in line],
                y=figures.short([number(hop["per_atom"]) for hop in line]),
                name=escape(f"{fidelity}, {way}" if len(ways) > 1 else fidelity),
                mode="lines+markers",
                line={"color": shade, "width": 2.5, "dash": "solid" if way == "concerted" else "dash"},
                marker={"size": 9, "symbol": ["circle" if hop["converged"] else "circle-open" for hop in line]},
                error_y={
                    "type": "data",
                    "array": [0.0 if value is None else value for value in figures.short(bars)],
                    "color": shade,
                    "thickness": 1.2,
                    "width": 4,
                },
            )
    figures.styled(figure, "Vacancies in the row", "Barrier for each atom that moves, eV", 440)
    figure.update_xaxes(dtick=1)
    return figure


def _shared(hop: Mapping[str, Any]) -> float:
    barrier, per_atom = number(hop["barrier"]), number(hop["per_atom"])
    return barrier / per_atom if per_atom else 1.0


def _hops(hops: Sequence[Mapping[str, Any]]) -> str:
    header = ["Fidelity", "Way", "Vacancies", "Cell", "Barrier, eV", "For each atom, eV", "± weights", "± in all", ""]
    rows = [
        [
            escape(hop["fidelity"]),
            hop["way"],
            str(hop["vacancies"]),
            "×".join(str(side) for side in hop["size"]),
            electronvolts(hop["barrier"]),
            electronvolts(hop["per_atom"]),
            electronvolts(hop["stderr"]),
            electronvolts(hop["stderr_total"]),
            escape(hop["reason"]),
        ]
        for hop in hops
    ]
    return table(header, rows, text=2) + '<p class="note">The bars are those of the whole barrier.</p>'


def _defects(entry: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(energy["name"]),
            electronvolts(energy["value"]),
            electronvolts(energy["stderr"]),
            electronvolts(energy["stderr_total"]),
        ]
        for energy in entry["energies"]
    ]
    potential = entry["chemical_potential"]
    said = (
        "No chemical potential was stated, so there is no formation energy."
        if potential is None
        else f"Chemical potential of the chalcogen: {number(potential):.3f} eV an atom."
    )
    size = "×".join(str(side) for side in entry["size"])
    return (
        f"<h3>{escape(entry['fidelity'])}, {size} cells</h3>"
        + table(["Energy", "eV", "± weights", "± in all"], rows)
        + f'<p class="note">{escape(said)} Binding is positive where vacancies attract.</p>'
    )
