"""The sections of a run's report: each returns HTML, empty where its file says nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from rung.report import figures
from rung.report.read import RunFiles, by_split, number, sentences
from rung.report.run.words import headline
from rung.report.tables import ABSENT, cell, digits, electronvolts, pairs, quantity, records, table, with_error

Draw = Callable[..., str]
"""(figure, caption) → HTML of the figure in its frame; the page numbers them."""

_ERRORS = ("energy_rmse", "energy_mae", "energy_rmse_rel", "force_rmse", "force_mae", "stress_rmse")
_OTHER = ("force_departure_rmse", "energy_chi2", "energy_z2")
_SEVERITIES = ("error", "warning", "note")


def summary(run: RunFiles, _: Draw) -> str:
    """Return the headline: tiles with the main numbers, then sentences."""
    if not run.metrics and not run.barriers:
        return ""
    text = "".join(f"<li>{escape(sentence)}</li>" for sentence in headline(run))
    tiles = _tiles(run)
    columns = len(tiles) if len(tiles) < 6 else 3 if len(tiles) in (6, 9) else 4
    shown = f'<div class="tiles" style="--columns: {columns}">{"".join(tiles)}</div>' if tiles else ""
    return f'{shown}<ul class="words">{text}</ul>'


def warnings(run: RunFiles, _: Draw) -> str:
    """Return what the fit, the data and the run warn of."""
    fit = run.metrics.get("fit") or {}
    checked = (run.metrics.get("checks") or {}).get("warnings")
    given = sentences(fit.get("warnings"), run.fit.get("warnings"), checked, run.provenance.get("warnings"))
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in given)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def errors(run: RunFiles, _: Draw) -> str:
    """Return the table of errors: the base, energies alone and the fit, for every split and fidelity."""
    lifted = by_split(run.metrics, run.target)
    others = {
        "base": by_split(run.metrics.get("base"), run.target),
        "energies alone": by_split(run.fit.get("energies_alone"), run.target),
    }
    sources = {**others, run.method or "fit": lifted}
    names = [name for name in (*_ERRORS, *_OTHER) if any(_known(source, name) for source in sources.values())]
    if not lifted or not names:
        return ""
    rows = []
    for key in lifted:
        entries = [(name, source[key]) for name, source in sources.items() if key in source]
        best = {name: min((number(found.get(name)) for _, found in entries), key=_nan_last) for name in _ERRORS}
        for place, (name, found) in enumerate(entries):
            told = {**found, "force_departure_rmse": None} if name == "base" else found
            cells = [_marked(told.get(metric), best.get(metric), len(entries) > 1) for metric in names]
            rows.append([_split_name(key, run.target, found) if place == 0 else "", escape(name), *cells])
    header = ["Split", "Potential", *(_header(name) for name in names)]
    return table(header, rows, text=2, css="errors") + _error_notes(names)


def checks(run: RunFiles, _: Draw) -> str:
    """Return what the run checked of itself: how far its start lay from the base."""
    start = (run.metrics.get("checks") or {}).get("step_zero")
    if not start:
        return ""
    return (
        f'<p class="note">Before any step the model lay {digits(start.get("energy"))} meV/atom and '
        f"{digits(start.get('force'))} meV/Å from the base, at the worst of a few structures.</p>"
    )


def barriers(run: RunFiles, draw: Draw) -> str:
    """Return the bands and a table of their barriers."""
    return "".join(_one_barrier(barrier, sentences(run.provenance.get("notice")), draw) for barrier in run.barriers)


def data(run: RunFiles, _: Draw) -> str:
    """Return the census of labels and what the doctor found."""
    found = sorted(run.findings.get("findings") or (), key=_rank)
    rows = [
        f'<li><span class="badge {_severity(one)}">{_severity(one)}</span> <code>{cell(one.get("code"))}</code> '
        f"{cell(one.get('sentence'))}{_concerned(one)}</li>"
        for one in found
    ]
    census = records(run.findings.get("census") or ())
    if not run.findings:
        return ""
    listed = f'<ul class="findings">{"".join(rows)}</ul>' if rows else "<p>The checks of the data found nothing.</p>"
    return census + listed


def provenance(run: RunFiles, _: Draw) -> str:
    """Return versions, hashes and the resolved config."""
    known = {name: value for name, value in run.provenance.items() if name not in ("notice", "warnings")}
    config = f"<h3>config.yaml</h3><pre>{escape(run.config_text)}</pre>" if run.config_text else ""
    if not known and not config:
        return ""
    return f"<details><summary>Versions, hashes and settings</summary>{pairs(known)}{config}</details>"


def _concerned(finding: Mapping[str, Any]) -> str:
    """Return the structures that a finding is about, folded away where they are many."""
    names = [str(name) for name in finding.get("structures") or ()]
    if not names:
        return ""
    count = "1 structure" if len(names) == 1 else f"{len(names)} structures"
    return f'<details><summary>{count}</summary><span class="small">{cell(names)}</span></details>'


def _tiles(run: RunFiles) -> list[str]:
    lifted, base = by_split(run.metrics, run.target), by_split(run.metrics.get("base"), run.target)
    tiles = []
    for key in [key for key in lifted if key[1] == run.target][:2]:
        for name in (
            "energy_rmse",
            "force_rmse" if _known({key: lifted[key]}, "force_rmse") else "force_departure_rmse",
        ):
            after, before = number(lifted[key].get(name)), number(base.get(key, {}).get(name))
            if math.isfinite(after):
                label = f"{quantity(name)[0].split(',')[0]}, {key[0]}"
                shown = ABSENT if name == "force_departure_rmse" else digits(before)
                tiles.append(_tile(label, digits(after), quantity(name)[1], shown))
    for barrier in run.barriers[:2]:
        entries = {str(entry.get("name")): entry for entry in barrier.get("barriers") or ()}
        start = entries.get("base", {}).get("value")
        for name, entry in entries.items():
            if name not in ("base", "truth", "energies alone"):
                value = with_error(entry.get("value"), entry.get("stderr_total"))
                tiles.append(_tile(str(barrier.get("title") or "Barrier"), value, "eV", electronvolts(start)))
    return tiles


def _tile(label: str, value: str, unit: str, before: str) -> str:
    was = f'<div class="was">base {before} {escape(unit)}</div>' if before != ABSENT else ""
    value = value.replace(" ±", ' <span class="bar">±') + "</span>" if "±" in value else value
    return (
        f'<div class="tile"><div class="label">{escape(label)}</div>'
        f'<div class="value">{value} <span class="unit">{escape(unit)}</span></div>{was}</div>'
    )


def _known(source: Mapping[Any, Mapping[str, Any]], name: str) -> bool:
    return any(math.isfinite(number(found.get(name))) for found in source.values())


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _marked(value: Any, best: float | None, compared: bool) -> str:
    text = digits(value)
    return f"<b>{text}</b>" if compared and best is not None and number(value) == best else text


def _split_name(key: tuple[str, str], target: str, found: Mapping[str, Any]) -> str:
    split, fidelity = key
    name = split if fidelity == target else f"{split} ({fidelity})"
    floor = digits(found.get("noise_floor"))
    count = cell(found.get("n_structures")) if found.get("n_structures") is not None else ""
    about = [f"{count} structures" if count else "", f"noise {floor}" if floor not in (ABSENT, "0") else ""]
    small = ", ".join(part for part in about if part)
    return f'<span class="split">{escape(name)}</span><br><span class="small">{small}</span>'


def _header(name: str) -> str:
    words, unit = quantity(name)
    return f'{escape(words)}<br><span class="small">{escape(unit)}</span>'


def _error_notes(names: Sequence[str]) -> str:
    said = {
        "energy_rmse_rel": "Relative: after one offset per composition.",
        "force_departure_rmse": "Departure: how far forces lie from the base's, which is no error.",
        "energy_chi2": "χ²: mean squared error over the labels' σ².",
        "energy_z2": "z²: mean squared error over all variance that was predicted; 1 is honest, more is too sure.",
    }
    text = " ".join(said[name] for name in names if name in said)
    start = "The lowest error of each split is bold. The base has its E0 refitted to the same energies."
    return f'<p class="note">{start} {text}</p>'


def _one_barrier(barrier: Mapping[str, Any], said_above: Sequence[str], draw: Draw) -> str:
    entries = list(barrier.get("barriers") or ())
    curves = [curve for curve in barrier.get("curves") or () if curve.get("energies")]
    title = f"<h3>{escape(str(barrier.get('title') or 'Barrier'))}</h3>"
    shown = draw(figures.band(curves), _band_caption(curves)) if curves else ""
    truth = next((number(entry.get("value")) for entry in entries if entry.get("name") == "truth"), math.nan)
    rows = [_barrier_row(entry, truth) for entry in entries]
    header = ["Potential", "Barrier, eV", "± weights", "± in all", "Reaction, eV", "off the truth, eV"]
    notes = sentences(*(entry.get("notes") for entry in entries), barrier.get("notice"))
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes if note not in said_above)
    return title + shown + (table(header, rows) if rows else "") + said


def _band_caption(curves: Sequence[Mapping[str, Any]]) -> str:
    if any(curve.get("stderr_total") for curve in curves):
        return "Dark band: one sigma from the fitted weights alone. Light band: with the model's own error."
    return ""


def _barrier_row(entry: Mapping[str, Any], truth: float) -> list[str]:
    value = number(entry.get("value"))
    off = ABSENT if entry.get("name") == "truth" else electronvolts(value - truth, signed=True)
    bars = [electronvolts(entry.get("stderr")), electronvolts(entry.get("stderr_total"))]
    return [escape(str(entry.get("name", ""))), electronvolts(value), *bars, electronvolts(entry.get("reaction")), off]


def _severity(finding: Mapping[str, Any]) -> str:
    given = str(finding.get("severity"))
    return given if given in _SEVERITIES else "note"


def _rank(finding: Mapping[str, Any]) -> int:
    return _SEVERITIES.index(_severity(finding))
