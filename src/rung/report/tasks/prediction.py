"""``<out>.predicted.html``: how large predictions and their error bars are, and where they cannot be trusted."""

from collections.abc import Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from rung.errors import counted
from rung.report import drawing
from rung.report.page import Pen
from rung.report.summary import Summary, Table, number
from rung.report.tables import capital, table
from rung.report.tasks.page import Content, write_task_page
from rung.results.prediction import PredictedStructure, PredictionResult

SHOWN = 20
WORDS = {"inside": "inside the domain", "outside": "outside the domain", "unknown": "domain not known"}


def page_of(record: Path) -> Path:
    """Return the page that stands beside a record."""
    return record.with_suffix(".html")


def write_prediction_report(record: Path) -> Path:
    """Write the page beside a record of ``rung predict``, and return its path.

    Raises
    ------
    StorageError
        When the record is missing or damaged.
    MissingExtraError
        When plotly is not installed.
    """
    result = PredictionResult.read(Path(record))
    return write_task_page(page_of(Path(record)), lambda pen: _content(result, pen))


def _content(result: PredictionResult, pen: Pen) -> Content:
    barred = [one for one in result.structures if isfinite(one.energy_stderr)]
    sections = [("Forces", pen.draw(_forces(result.structures), "The largest force on an atom of each structure."))]
    if barred:
        caption = "One sigma of the energy of each structure over its atoms, the model's own error among it."
        sections = [("Error bars", pen.draw(_bars(barred), caption)), *sections]
    whole = "Least certain" if _ranked(result.structures) else "Structures"
    sections.append((_title(result.structures, whole), _table(_least_certain(result.structures))))
    return Content(
        f"{counted(len(result.structures), 'structure')} predicted",
        f"{result.fidelity} · {result.model} · {Path(result.out).name}",
        sections,
        result.warnings,
    )


def _bars(rows: Sequence[PredictedStructure]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    for position, (word, said) in enumerate(WORDS.items()):
        values = [1000.0 * one.energy_stderr / one.n_atoms for one in rows if one.domain == word]
        if values:
            figure.add_histogram(
                x=drawing.short(values), name=said, marker={"color": drawing.colour(word, position)}, opacity=0.75
            )
    figure.update_layout(barmode="overlay")
    drawing.styled(figure, "Error bar of the energy, meV/atom", "Structures", 340)
    return figure


def _forces(rows: Sequence[PredictedStructure]) -> Any:
    go = drawing.plotly()
    figure = go.Figure()
    figure.add_histogram(x=drawing.short([one.largest_force for one in rows]), marker={"color": drawing.colour("", 0)})
    drawing.styled(figure, "Largest force, eV/Å", "Structures", 340)
    return figure


def _ranked(rows: Sequence[PredictedStructure]) -> bool:
    """Return whether more is known of some structures than of others."""
    return any(isfinite(one.energy_stderr) or not one.identified or one.domain == "outside" for one in rows)


def _title(rows: Sequence[PredictedStructure], whole: str) -> str:
    """Return what the table is of, by which of the structures it shows; ``whole`` where it shows them all."""
    if len(rows) <= SHOWN:
        return whole
    shown = f"{SHOWN} least certain" if _ranked(rows) else f"first {SHOWN}"
    return f"The {shown} of {len(rows)} structures"


def _least_certain(rows: Sequence[PredictedStructure]) -> list[tuple[str, ...]]:
    """Return the structures whose energies are least certain, those outside the domain first."""

    def rank(one: PredictedStructure) -> tuple[bool, bool, float]:
        bar = one.energy_stderr / one.n_atoms
        return (one.identified, one.domain != "outside", -bar if isfinite(bar) else 0.0)

    return [
        (
            one.structure_id,
            str(one.n_atoms),
            number(one.energy, 4),
            number(one.energy_stderr, 4) if one.identified else "unbounded",
            number(one.largest_force, 3),
            one.domain,
        )
        for one in sorted(rows, key=rank)[:SHOWN]
    ]


HEADINGS = ("structure", "atoms", "energy, eV", "error, eV", "largest force, eV/Å", "domain")


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    return table([capital(one) for one in HEADINGS], [[escape(cell) for cell in row] for row in rows], text=1)


def prediction_summary(result: PredictionResult) -> Summary:
    """Return the structures of which least is known, and what a reader should know."""
    title = _title(result.structures, "Predictions")
    told = (
        f"Wrote {result.out} with {result.name}_energy and {result.name}_forces of "
        f"{counted(len(result.structures), 'structure')}."
    )
    return Summary((Table(title, HEADINGS, _least_certain(result.structures)),), (told,), warnings=result.warnings)
