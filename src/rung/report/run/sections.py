"""The sections of a run's report: each returns HTML, empty where its file says nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from rung.data.labels import Array
from rung.errors import counted
from rung.report import figures
from rung.report.read import RunFiles
from rung.report.run.words import headline, told
from rung.report.section import Draw
from rung.report.summary import of_split
from rung.report.tables import ABSENT, cell, digits, electronvolts, pairs, quantity, table, with_error
from rung.results.barrier import BarrierEntry, Curve, Panel
from rung.results.findings import SEVERITIES, CensusRow, Finding
from rung.results.metrics import SplitErrors
from rung.results.provenance import Provenance
from rung.units import KCAL_PER_MOL, MILLI

Key = tuple[str, str]
"""(split, fidelity)."""

_ERRORS = ("energy_rmse", "energy_mae", "energy_rmse_rel", "force_rmse", "force_mae", "stress_rmse")
_OTHER = ("force_departure_rmse", "energy_chi2", "energy_z2", "energy_crps")


def summary(run: RunFiles, _: Draw) -> str:
    """Return the headline: tiles with the main numbers, then sentences."""
    if run.metrics is None and not run.panels:
        return ""
    text = "".join(f"<li>{escape(sentence)}</li>" for sentence in headline(run))
    tiles = [*_error_tiles(run), *_barrier_tiles(run)]
    columns = len(tiles) if len(tiles) < 6 else 3 if len(tiles) in (6, 9) else 4
    grid = f'<div class="tiles" style="--columns: {columns}">{"".join(tiles)}</div>' if tiles else ""
    return f'{grid}<ul class="words">{text}</ul>'


def warnings(run: RunFiles, _: Draw) -> str:
    """Return what the fit and the run's own checks warn of."""
    sentences: list[str] = []
    if run.metrics is not None:
        sentences += [*run.metrics.fit.warnings, *run.metrics.checks.warnings]
    if run.fit is not None:
        sentences += run.fit.warnings
    if run.provenance is not None and run.provenance.export is not None:
        sentences += [run.provenance.export.warning] if run.provenance.export.warning else []
    notes = () if run.fit is None else run.fit.details.notes
    return _listed("warnings", sentences) + _listed("remarks", notes)


def _listed(css: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in dict.fromkeys(sentences))
    return f'<ul class="{css}">{items}</ul>' if items else ""


def errors(run: RunFiles, _: Draw) -> str:
    """Return the table of errors: the base and the fit, for every split and fidelity."""
    lifted = run.errors
    sources = {"base": run.base_errors, run.method or "fit": lifted}
    names = [name for name in (*_ERRORS, *_OTHER) if any(_known(source, name) for source in sources.values())]
    if not lifted or not names:
        return ""
    rows = []
    for key in lifted:
        entries = [(name, source[key]) for name, source in sources.items() if key in source]
        best = {name: min((_value(entry, name) for _, entry in entries), key=_nan_last) for name in _ERRORS}
        for place, (name, entry) in enumerate(entries):
            cells = [_marked(_table_value(name, entry, metric), best.get(metric), len(entries) > 1) for metric in names]
            rows.append([_split_name(key, run.target, lifted) if place == 0 else "", escape(name), *cells])
    header = ["Split", "Potential", *(_header(name) for name in names)]
    notes = _error_notes(names, compared=bool(run.base_errors))
    return table(header, rows, text=2, css="errors") + notes + _whole_molecules(run)


def _whole_molecules(run: RunFiles) -> str:
    """Return how far energies of whole molecules are off, in the unit of chemists too."""
    lines = []
    for split, content in run.by_split.items() if run.molecules else ():
        off = _rms(content.energy - content.energy_label)
        before = math.nan if content.energy_base is None else _rms(content.energy_base - content.energy_label)
        if math.isfinite(off):
            base = f" (base {_in_both(before)})" if math.isfinite(before) else ""
            lines.append(f"On {escape(split)} the energy of a whole molecule errs by {_in_both(off)}, r.m.s.{base}.")
    return f'<p class="note">{" ".join(lines)}</p>' if lines else ""


def _rms(errors: Array) -> float:
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else math.nan


def _in_both(energy: float) -> str:
    return f"{digits(MILLI * energy)} meV = {digits(energy / KCAL_PER_MOL)} kcal/mol"


def checks(run: RunFiles, _: Draw) -> str:
    """Return what the run checked of itself: how far its start lay from the base."""
    start = None if run.metrics is None else run.metrics.checks.step_zero
    if start is None:
        return ""
    return (
        f'<p class="note">Before any step the model lay {digits(start.energy)} meV/atom and '
        f"{digits(start.force)} meV/Å from the base, at the worst of a few structures.</p>"
    )


def barriers(run: RunFiles, draw: Draw) -> str:
    """Return the bands and a table of their barriers."""
    notices = () if run.provenance is None else run.provenance.notice
    return "".join(_one_barrier(panel, notices, draw) for panel in run.panels)


def data(run: RunFiles, _: Draw) -> str:
    """Return the census of labels and what the doctor found."""
    if run.findings is None:
        return ""
    ranked = sorted(run.findings.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    rows = [
        f'<li><span class="badge {finding.severity}">{finding.severity}</span> <code>{escape(finding.code)}</code> '
        f"{escape(finding.sentence)}{_concerned(finding)}</li>"
        for finding in ranked
    ]
    census = table(CENSUS, [_counts(row) for row in run.findings.census], text=2) if run.findings.census else ""
    listed = f'<ul class="findings">{"".join(rows)}</ul>' if rows else "<p>The checks of the data found nothing.</p>"
    return census + listed


CENSUS = ("Split", "Fidelity", "Structures", "Energies", "with σ", "Forces", "Stresses", "Compositions")


def _counts(row: CensusRow) -> list[str]:
    counts = (row.n_structures, row.n_energies, row.n_stderr, row.n_forces, row.n_stress, row.n_formulas)
    return [escape(row.split), escape(row.fidelity) or ABSENT, *map(str, counts)]


def provenance(run: RunFiles, _: Draw) -> str:
    """Return how the run is made again: the commands, versions, hashes of what was read, and the resolved config."""
    known = run.provenance
    content = {} if known is None else known.as_json()
    for key in ("notice", "files"):
        content.pop(key, None)
    config = f"<h3>config.yaml</h3><pre>{escape(run.config_text)}</pre>" if run.config_text else ""
    if not content and not config:
        return ""
    steps = "" if known is None else _steps(known)
    return f"{steps}<details><summary>Versions, hashes and settings</summary>{pairs(content)}{config}</details>"


def _steps(known: Provenance) -> str:
    """Return the commands that make the run again, and the files that they need, with hashes."""
    engines = [f"{name}=={version}" for name, version in known.packages.items()]
    commands = f"pip install rung=={known.rung} {' '.join(engines)}\nrung fit config.yaml --new"
    files = [
        [escape(key), escape(one.path), f"<code>{escape(one.sha256_32)}</code>"] for key, one in known.files.items()
    ]
    hashes = table(["File", "Where it was", "SHA-256, first 32 digits"], files, text=3) if files else ""
    note = (
        '<p class="note">config.yaml of this folder has every setting. Equal files, settings and versions give the '
        f"same fit; the seed was {known.seed}, with Python {escape(known.python)}.</p>"
    )
    return f"<pre>{escape(commands)}</pre>{note}{hashes}"


def _concerned(finding: Finding) -> str:
    """Return the structures that a finding is about, folded away where they are many."""
    if not finding.structures:
        return ""
    count = counted(len(finding.structures), "structure")
    return f'<details><summary>{count}</summary><span class="small">{cell(finding.structures)}</span></details>'


def _error_tiles(run: RunFiles) -> list[str]:
    lifted, base = run.errors, run.base_errors
    tiles = []
    for key in [key for key in lifted if key[1] == run.target][:2]:
        forces = "force_rmse" if math.isfinite(lifted[key].force_rmse) else "force_departure_rmse"
        for name in ("energy_rmse", forces):
            after = _value(lifted[key], name)
            if math.isfinite(after):
                known = key in base and name != "force_departure_rmse"
                before = digits(_value(base[key], name)) if known else ABSENT
                tiles.append(
                    _tile(f"{quantity(name)[0].split(',')[0]}, {key[0]}", digits(after), quantity(name)[1], before)
                )
    return tiles


def _barrier_tiles(run: RunFiles) -> list[str]:
    tiles = []
    for panel in run.panels[:2]:
        parts = told(panel, run)
        before = ABSENT if parts.base is None else electronvolts(parts.base.value)
        for entry in parts.lifted:
            tiles.append(_tile(panel.title, with_error(entry.value, entry.stderr_total), "eV", before))
    return tiles


def _tile(label: str, value: str, unit: str, before: str) -> str:
    was = f'<div class="was">base {before} {escape(unit)}</div>' if before != ABSENT else ""
    value = value.replace(" ±", ' <span class="bar">±') + "</span>" if "±" in value else value
    return (
        f'<div class="tile"><div class="label">{escape(label)}</div>'
        f'<div class="value">{value} <span class="unit">{escape(unit)}</span></div>{was}</div>'
    )


def _value(entry: SplitErrors, metric: str) -> float:
    value: float = getattr(entry, metric)
    return value


def _table_value(potential: str, entry: SplitErrors, metric: str) -> float:
    """Return a number of the table; how far the base departs from itself says nothing."""
    return math.nan if potential == "base" and metric == "force_departure_rmse" else _value(entry, metric)


def _known(source: Mapping[Key, SplitErrors], metric: str) -> bool:
    return any(math.isfinite(_value(entry, metric)) for entry in source.values())


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _marked(value: float, best: float | None, compared: bool) -> str:
    text = digits(value)
    return f"<b>{text}</b>" if compared and best is not None and value == best else text


def _split_name(key: Key, target: str, errors: Mapping[Key, SplitErrors]) -> str:
    entry, (split, fidelity) = errors[key], key
    name = split if fidelity == target else f"{split} ({fidelity})"
    floor = digits(entry.noise_floor)
    noise = f", noise {floor}" if floor not in (ABSENT, "0") else ""
    about = f"{of_split(errors, key) or counted(entry.n_structures, 'structure')}{noise}"
    return f'<span class="split">{escape(name)}</span><br><span class="small">{about}</span>'


def _header(name: str) -> str:
    words, unit = quantity(name)
    return f'{escape(words)}<br><span class="small">{escape(unit)}</span>'


def _error_notes(names: Sequence[str], *, compared: bool) -> str:
    notes = {
        "energy_rmse_rel": "Relative: after one offset per composition.",
        "force_departure_rmse": "Departure: how far forces lie from the base's, which is no error.",
        "energy_chi2": "χ²: mean squared error over the labels' σ².",
        "energy_z2": "z²: mean squared error over all variance that was predicted; 1 is honest, more is too sure.",
        "energy_crps": "CRPS: a score of errors and bars together; lower is better.",
    }
    text = " ".join(notes[name] for name in names if name in notes)
    start = (
        "The lowest error of each split is bold. The base has its E0 refitted to the same energies. "
        if compared
        else ""
    )
    return f'<p class="note">{start}{text}</p>' if start or text else ""


def _one_barrier(panel: Panel, notices: Sequence[str], draw: Draw) -> str:
    curves = [curve for curve in panel.curves if curve.energies]
    title = f"<h3>{escape(panel.title)}</h3>"
    drawing = draw(figures.band(curves), _band_caption(curves)) if curves else ""
    truth = panel.by_name.get("truth")
    rows = [_barrier_row(entry, math.nan if truth is None else truth.value) for entry in panel.barriers]
    header = ["Potential", "Barrier, eV", "± weights, eV", "± total, eV", "Reaction, eV", "Off the truth, eV"]
    notes = dict.fromkeys([note for entry in panel.barriers for note in entry.notes] + [panel.notice])
    new = [note for note in notes if note.strip() and note not in notices]
    below = "".join(f'<p class="note">{escape(note)}</p>' for note in new)
    return title + drawing + (table(header, rows) if rows else "") + below


def _band_caption(curves: Sequence[Curve]) -> str:
    if any(curve.stderr_total for curve in curves):
        return "Dark band: one sigma from the fitted weights alone. Light band: with the model's own error."
    return ""


def _barrier_row(entry: BarrierEntry, truth: float) -> list[str]:
    off = ABSENT if entry.name == "truth" else electronvolts(entry.value - truth, signed=True)
    bars = [electronvolts(entry.stderr), electronvolts(entry.stderr_total)]
    return [escape(entry.name), electronvolts(entry.value), *bars, electronvolts(entry.reaction), off]
