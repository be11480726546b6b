"""The sections of a page of several runs: errors, barriers, parity, and the settings that differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from rung.errors import counted
from rung.report import drawing, figures
from rung.report.beside.runs import Runs
from rung.report.run.predictions import energy_series, force_series
from rung.report.run.words import told
from rung.report.section import Draw
from rung.report.tables import ABSENT, cell, digits, electronvolts, table
from rung.results.barrier import Panel
from rung.results.metrics import SplitErrors
from rung.yaml_files import parse_yaml

BASE = "base"


def errors(runs: Runs, draw: Draw) -> str:
    """Return a table for each split, with the base where the runs share it, and bars of energies and forces."""
    parts = [_split(runs, split, group) for split in runs.splits for group in runs.alike(split)]
    bars = [
        draw(_bars(runs, metric), caption) for metric, caption in _DRAWN.items() if any(_values(runs, metric).values())
    ]
    grid = f'<div class="grid two">{"".join(bars)}</div>' if bars else ""
    return grid + "".join(parts)


_DRAWN = {
    "energy_rmse": "Energies, r.m.s. error; grey: the base with its E0 refitted to the same labels.",
    "force_rmse": "Force components, r.m.s. error.",
    "force_departure_rmse": "Where target forces are unknown: how far forces left the base's, which is no error.",
}


def _values(runs: Runs, metric: str) -> dict[str, list[tuple[str, float]]]:
    """Return by potential the splits on which ``metric`` is known, each with its value."""
    found: dict[str, list[tuple[str, float]]] = {}
    for split in runs.splits:
        for group in runs.alike(split):
            place = split if len(runs.alike(split)) == 1 else f"{split} of {group[0]}"
            for name, one in _entries(runs, split, group):
                value: float = getattr(one, metric)
                departed = math.isnan(one.force_rmse) and name != BASE
                if math.isfinite(value) and (metric != "force_departure_rmse" or departed):
                    found.setdefault(name, []).append((place, value))
    return found


def _bars(runs: Runs, metric: str) -> Any:
    figure, shades = drawing.plotly().Figure(), _shades(runs)
    for name, values in _values(runs, metric).items():
        figure.add_bar(
            x=[escape(split) for split, _ in values],
            y=drawing.short([value for _, value in values]),
            name=escape(name),
            marker={"color": shades.get(name, drawing.BASE)},
        )
    drawing.styled(figure, "", figures.metric_title(metric), 340)
    figure.update_layout(barmode="group", bargap=0.3)
    return figure


def _shades(runs: Runs) -> dict[str, str]:
    """Return a colour for each run, the same in every figure."""
    return {name: drawing.shade(index) for index, name in enumerate(runs.by_name)}


def _entries(runs: Runs, split: str, group: Sequence[str]) -> Iterator[tuple[str, SplitErrors]]:
    """Yield the base of the first run, where all of the group have the same one, then each run of the group."""
    key = split, runs.by_name[group[0]].target
    bases = [runs.by_name[name].base_errors.get(key) for name in group]
    (first, *others) = bases
    if first is not None and all(one is not None and _same(first, one) for one in others):
        yield BASE, first
    else:
        yield from ((f"{BASE} of {name}", one) for name, one in zip(group, bases, strict=True) if one is not None)
    yield from ((name, runs.by_name[name].errors[key]) for name in group)


def _same(one: SplitErrors, other: SplitErrors) -> bool:
    return all(
        math.isclose(getattr(one, name), getattr(other, name), rel_tol=1e-6)
        for name in ("energy_rmse", "force_rmse")
        if math.isfinite(getattr(one, name)) or math.isfinite(getattr(other, name))
    )


_COLUMNS: Mapping[str, str] = {
    "energy_rmse": "Energies, meV/atom",
    "energy_rmse_rel": "Less one offset per composition, meV/atom",
    "force_rmse": "Forces, meV/Å",
    "force_departure_rmse": "Forces, from the base's, meV/Å",
    "energy_z2": "z²",
    "energy_crps": "CRPS, meV/atom",
    "coverage_energy_68": "Within 68 %",
    "coverage_energy_95": "Within 95 %",
}


def _split(runs: Runs, split: str, group: Sequence[str]) -> str:
    entries = list(_entries(runs, split, group))
    shown = [name for name in _COLUMNS if any(math.isfinite(getattr(one, name)) for _, one in entries)]
    least = {
        name: min((getattr(one, name) for label, one in entries if not label.startswith(BASE)), default=math.nan)
        for name in ("energy_rmse", "energy_rmse_rel", "force_rmse")
    }
    rows = [[escape(name), *(_number(name, one, metric, least) for metric in shown)] for name, one in entries]
    target = runs.by_name[group[0]].target
    title = escape(_title(runs, split, group))
    about = f"{counted(entries[-1][1].n_structures, 'structure')}, labels of {escape(target)}"
    return f'<h3>{title} <span class="small">{about}</span></h3>' + table(
        ["Potential", *(_COLUMNS[name] for name in shown)], rows, css="errors"
    )


def _number(name: str, one: SplitErrors, metric: str, least: Mapping[str, float]) -> str:
    """Return a cell, the least error of the runs in bold; how far a base departs from itself says nothing."""
    value: float = getattr(one, metric)
    if name.startswith(BASE) and metric == "force_departure_rmse":
        return ABSENT
    if metric.startswith("coverage"):
        return f"{100 * value:.0f} %" if math.isfinite(value) else ABSENT
    return f"<b>{digits(value)}</b>" if value == least.get(metric) else digits(value)


def barriers(runs: Runs, draw: Draw) -> str:
    """Return the barriers of every panel, one row a run, and the bands of the runs in one figure."""
    panels: dict[str, dict[str, Panel]] = {}
    for name, run in runs.by_name.items():
        for panel in run.panels:
            panels.setdefault(panel.title, {})[name] = panel
    return "".join(f"<h3>{escape(title)}</h3>{_panel(runs, own, draw)}" for title, own in panels.items())


def _panel(runs: Runs, panels: Mapping[str, Panel], draw: Draw) -> str:
    rows, curves = [], []
    for name, panel in panels.items():
        parts = told(panel, runs.by_name[name])
        lifted = {one.name for one in parts.lifted}
        curves += [
            curve.model_copy(update={"name": name if len(lifted) == 1 else f"{name}, {curve.name}"})
            for curve in panel.curves
            if curve.name in lifted and curve.energies
        ]
        for one in parts.lifted:
            before = ABSENT if parts.base is None else electronvolts(parts.base.value)
            truth = ABSENT if parts.truth is None else electronvolts(parts.truth.value)
            label = name if len(parts.lifted) == 1 else f"{name}, {one.name}"
            bars = [electronvolts(one.stderr), electronvolts(one.stderr_total)]
            rows.append([escape(label), electronvolts(one.value), *bars, before, truth])
    first = next(iter(panels.values()))
    curves = [curve for curve in first.curves if curve.name == "truth" and curve.energies] + curves
    caption = "Shaded: one sigma, of the weights and with the model's own error."
    drawn = draw(figures.band(curves, shades=_shades(runs)), caption) if curves else ""
    header = ["Run", "Barrier, eV", "± weights, eV", "± total, eV", "Its base, eV", "Truth, eV"]
    return drawn + (table(header, rows) if rows else "")


def parity(runs: Runs, draw: Draw) -> str:
    """Return predictions of the runs beside the labels that they share, energies and forces of each split."""
    return "".join(_parity(runs, split, group, draw) for split in runs.splits for group in runs.alike(split))


def _parity(runs: Runs, split: str, group: Sequence[str], draw: Draw) -> str:
    known = {name: one for name in group if (one := runs.by_name[name].predictions.get(split)) is not None}
    most = max(500, drawing.MOST_POINTS // max(1, len(known)))
    energies = [series[-1] for name, content in known.items() if (series := energy_series(content, name))]
    pulled = [force_series(content, name, most=most) for name, content in known.items()]
    forces = [series[-1] for series, _, x_title in pulled if series and x_title.startswith("Label")]
    plots = [
        draw(
            figures.parity(series, x_title=f"Label, {unit}", y_title=f"Prediction, {unit}", shades=_shades(runs)),
            caption,
        )
        for series, unit, caption in (
            (energies, "meV/atom", "Energies per atom, less the mean label of their composition."),
            (forces, "eV/Å", "Force components."),
        )
        if series
    ]
    title = f"<h3>{escape(_title(runs, split, group))}</h3>"
    return f'{title}<div class="grid two">{"".join(plots)}</div>' if plots else ""


def _title(runs: Runs, split: str, group: Sequence[str]) -> str:
    """Return the name of a split, with the runs where others judged another of that name."""
    return split if len(runs.alike(split)) == 1 else f"{split}, {', '.join(group)}"


def settings(runs: Runs, _: Draw) -> str:
    """Return the settings, versions and files in which the runs differ."""
    columns = {name: dict(_told(run.config_text)) for name, run in runs.by_name.items()}
    for name, run in runs.by_name.items():
        if run.provenance is not None:
            versions = {"rung": run.provenance.rung, **run.provenance.packages}
            columns[name] |= {f"version of {key}": value for key, value in versions.items()}
            columns[name] |= {f"{key}, SHA-256": file.sha256_32[:12] for key, file in run.provenance.files.items()}
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    differing = [key for key in keys if key != "run" and len({column.get(key) for column in columns.values()}) > 1]
    rows = [[f"<code>{escape(key)}</code>", *(cell(one.get(key)) for one in columns.values())] for key in differing]
    same = len(keys) - len(differing) - ("run" in keys)
    alike = counted(same, "setting, version or file is", "settings, versions and files are")
    note = f'<p class="note">{alike} the same in all.</p>'
    head = ["", *(escape(name) for name in columns)]
    return (table(head, rows, text=len(head)) if rows else "<p>No setting differs.</p>") + note


def _told(text: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of a config by dotted key, as text."""
    stack: list[tuple[str, object]] = [("", parse_yaml(text) if text else {})]
    while stack:
        prefix, value = stack.pop()
        if isinstance(value, Mapping):
            stack += [(f"{prefix}.{key}" if prefix else str(key), value[key]) for key in reversed(list(value))]
        elif prefix:
            yield prefix, "none" if value is None else str(value)
