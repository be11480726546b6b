"""Where the errors are: force errors by element, and errors by kind of structure."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from rung.data.labels import Array
from rung.errors import counted
from rung.report import drawing
from rung.report.histogram import add_histogram
from rung.report.read import RunFiles
from rung.report.section import Draw
from rung.report.tables import ABSENT, digits, table
from rung.results.geometries import Geometries
from rung.results.predictions import Predictions
from rung.units import MILLI

MOST_ELEMENTS, MOST_KINDS = 8, 20
BINS = 41


def elements(run: RunFiles, draw: Draw) -> str:
    """Return histograms of force errors, one line an element, and their sizes beside the base's."""
    parts = []
    for split, content in run.by_split.items():
        if split not in run.geometries:
            continue
        found = list(_by_element(content, run.geometries[split]))
        if not found:
            continue
        drawn = draw(_histogram(found), "Error of a force component, prediction less label.")
        with_base = any(len(one.base) for one in found)
        header = ["Element", "Components", "R.m.s., meV/Å", "Mean absolute, meV/Å", "95 % are below, meV/Å"]
        rows = [
            [
                escape(one.symbol),
                str(len(one.errors)),
                *(digits(value) for value in _sizes(one.errors)),
                *([digits(_rms(one.base))] if with_base else []),
            ]
            for one in found
        ]
        head = [*header, *(["Base, r.m.s., meV/Å"] if with_base else [])]
        parts.append(f'<h3>{escape(split)}</h3><div class="grid two">{drawn}</div>{table(head, rows)}')
    return "".join(parts)


@dataclass(frozen=True)
class _Element:
    """Errors of the force components of one element, meV/Å, and those of the base."""

    symbol: str
    errors: Array
    base: Array


def _by_element(content: Predictions, geometries: Geometries) -> Iterator[_Element]:
    """Yield the elements with force labels among the structures whose atoms are known, the most common first."""
    own: dict[str, list[Array]] = {}
    before: dict[str, list[Array]] = {}
    for row, symbols in zip(geometries.rows, geometries.symbols, strict=True):
        label = content.forces_label[row] if 0 <= row < len(content.n_atoms) else None
        forces = None if label is None else content.forces[row]
        if label is None or forces is None or len(label) != len(symbols.split()):
            continue
        base = None if content.forces_base is None else content.forces_base[row]
        names = np.array(symbols.split())
        for symbol in np.unique(names):
            chosen = names == symbol
            own.setdefault(str(symbol), []).append((forces - label)[chosen].reshape(-1))
            if base is not None:
                before.setdefault(str(symbol), []).append((base - label)[chosen].reshape(-1))
    for symbol in sorted(own, key=lambda name: -sum(map(len, own[name])))[:MOST_ELEMENTS]:
        errors, base = (_finite(blocks.get(symbol, [])) for blocks in (own, before))
        if len(errors):
            yield _Element(symbol, errors, base)


def _finite(blocks: list[Array]) -> Array:
    values = np.concatenate([np.empty(0), *blocks])
    return np.asarray(MILLI * values[np.isfinite(values)])


def _sizes(errors: Array) -> tuple[float, float, float]:
    return _rms(errors), float(np.abs(errors).mean()), float(np.quantile(np.abs(errors), 0.95))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _histogram(found: list[_Element]) -> Any:
    figure = drawing.plotly().Figure()
    everything = np.concatenate([one.errors for one in found])
    end = float(np.quantile(np.abs(everything), 0.99)) or 1.0
    edges = np.linspace(-end, end, BINS + 1)
    for index, one in enumerate(found):
        add_histogram(figure, one.errors, edges, escape(one.symbol), index)
    drawing.styled(figure, "Error, meV/Å", "Share of components, %", 340)
    return figure


def kinds(run: RunFiles, draw: Draw) -> str:
    """Return errors of energies and forces by kind of structure: what the frames say of themselves, or composition."""
    parts = []
    for split, content in run.by_split.items():
        names = content.kinds or content.formulas
        if not 1 < len(set(names)) < max(2, len(names)):
            continue
        found = sorted(_by_kind(content, names), key=lambda one: -one.count)
        shown = found[:MOST_KINDS]
        less = counted(len(found) - len(shown), "kind with fewer structures is", "kinds with fewer structures are")
        left = f'<p class="note">{less} left out.</p>'
        word = escape(content.kind_key) if content.kinds else "Composition"
        parts.append(
            f"<h3>{escape(split)}</h3>{_drawn(shown, draw)}{_kind_table(word, shown)}"
            + (left if len(found) > len(shown) else "")
        )
    return "".join(parts)


@dataclass(frozen=True)
class _Kind:
    """R.m.s. errors of one kind, meV/atom and meV/Å, of the fit and of the base."""

    name: str
    count: int
    energy: float
    energy_base: float
    force: float
    force_base: float


def _by_kind(content: Predictions, names: tuple[str, ...]) -> Iterator[_Kind]:
    label = content.energy_label / content.atoms
    for name in dict.fromkeys(names):
        rows = [row for row, one in enumerate(names) if one == name]
        energy, base = (
            _known(MILLI * (values / content.atoms - label)[rows]) if values is not None else np.empty(0)
            for values in (content.energy, content.energy_base)
        )
        yield _Kind(
            name,
            len(rows),
            _rms(energy),
            _rms(base),
            _rms(_force_errors(content, content.forces, rows)),
            _rms(_force_errors(content, content.forces_base, rows)),
        )


def _known(values: Array) -> Array:
    return np.asarray(values[np.isfinite(values)])


def _force_errors(content: Predictions, forces: tuple[Array | None, ...] | None, rows: list[int]) -> Array:
    if forces is None:
        return np.empty(0)
    return _finite(
        [
            (block - label).reshape(-1)
            for row in rows
            if (block := forces[row]) is not None and (label := content.forces_label[row]) is not None
        ]
    )


def _kind_table(word: str, shown: list[_Kind]) -> str:
    header = [word, "Structures", "Energies, meV/atom", "Base, meV/atom", "Forces, meV/Å", "Base, meV/Å"]
    rows = [
        [
            escape(one.name),
            str(one.count),
            *(digits(value) for value in (one.energy, one.energy_base, one.force, one.force_base)),
        ]
        for one in shown
    ]
    columns = [place for place in range(len(header)) if place < 2 or any(row[place] != ABSENT for row in rows)]
    return table([header[place] for place in columns], [[row[place] for place in columns] for row in rows])


def _drawn(shown: list[_Kind], draw: Draw) -> str:
    plots = []
    for what, unit, values, caption in (
        ("Energy error, r.m.s.", "meV/atom", [(one.energy_base, one.energy) for one in shown], "Energies."),
        ("Force error, r.m.s.", "meV/Å", [(one.force_base, one.force) for one in shown], "Force components."),
    ):
        if not any(np.isfinite(value) for _, value in values):
            continue
        figure = drawing.plotly().Figure()
        for name, column, shade in (("base", 0, drawing.BASE), ("fit", 1, drawing.LIFTED)):
            heights = [pair[column] for pair in values]
            if any(np.isfinite(height) for height in heights):
                figure.add_bar(
                    x=[escape(one.name) for one in shown],
                    y=drawing.short(heights),
                    name=name,
                    marker={"color": shade},
                )
        drawing.styled(figure, "", f"{what}, {unit}", 340)
        figure.update_layout(barmode="group", bargap=0.3)
        figure.update_xaxes(type="category", automargin=True)
        plots.append(draw(figure, caption))
    return f'<div class="grid two">{"".join(plots)}</div>' if plots else ""
