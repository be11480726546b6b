"""What a run found, in sentences."""

import math
from collections.abc import Mapping
from typing import Any

from rung.report.read import Errors, RunFiles, by_split, number
from rung.report.tables import digits, electronvolts, quantity, with_error

_EQUAL = 0.02
"""Relative change below which nobody should speak of better or worse."""


def headline(run: RunFiles) -> list[str]:
    """Return sentences, plain text, that say what the run did to energies, forces and barriers."""
    lifted, base = by_split(run.metrics, run.target), by_split(run.metrics.get("base"), run.target)
    found = [_what(run)]
    for (split, fidelity), errors in lifted.items():
        if fidelity == run.target:
            found.append(" ".join(_split_sentences(split, errors, base.get((split, fidelity), {}))))
    for barrier in run.barriers:
        found += _barrier_sentences(barrier)
    return [sentence for sentence in found if sentence]


def _what(run: RunFiles) -> str:
    fit = run.metrics.get("fit") or {}
    count = fit.get("n_energies")
    labels = f"{count} {run.target} energies" if count else f"labels of {run.target}" if run.target else "its labels"
    method = f"The method {run.method}" if run.method else "The fit"
    base = run.config.get("base") or {}
    start = f" from the base {base.get('fidelity')}" if isinstance(base, Mapping) and base.get("fidelity") else ""
    return f"{method} went{start} to {run.target or 'its target'} with {labels}."


def _split_sentences(split: str, errors: Errors, base: Errors) -> list[str]:
    found = []
    change = _change("energy_rmse", errors, base)
    if change:
        floor = number(errors.get("noise_floor"))
        noise = f"; the labels' own noise is {digits(floor)} meV/atom" if math.isfinite(floor) and floor > 0 else ""
        found.append(f"On {split}, {change}{noise}.")
    forces = _change("force_rmse", errors, base)
    departure = number(errors.get("force_departure_rmse"))
    if forces:
        found.append(f"There, {forces}.")
    elif math.isfinite(departure):
        found.append(
            f"Target forces are not known on {split}: its forces departed from the base's by {digits(departure)} meV/Å "
            "r.m.s., which is no error."
        )
    elif change:
        found.append(f"Nothing is known of the forces on {split}.")
    return [*found, *_honesty(split, errors)]


def _change(name: str, errors: Errors, base: Errors) -> str:
    after, before = number(errors.get(name)), number(base.get(name))
    if not math.isfinite(after):
        return ""
    words, unit = quantity(name)
    subject = f"the {words[0].lower()}{words[1:]}"
    if not math.isfinite(before):
        return f"{subject}, is {digits(after)} {unit}"
    if abs(after - before) <= _EQUAL * before:
        return f"{subject}, stays at {digits(after)} {unit} (base {digits(before)})"
    verb = "falls" if after < before else "rises"
    return f"{subject}, {verb} from {digits(before)} (base) to {digits(after)} {unit}"


def _honesty(split: str, errors: Errors) -> list[str]:
    z2 = number(errors.get("energy_z2"))
    if not math.isfinite(z2) or z2 <= 0:
        return []
    factor = math.sqrt(z2)
    if 0.8 <= factor <= 1.25:
        return [f"Energy error bars on {split} are of the right size (z² = {digits(z2, 2)})."]
    if factor > 1:
        return [
            f"Energy error bars on {split} are too small by a factor of {digits(factor, 2)} (z² = {digits(z2, 2)})."
        ]
    return [f"Energy error bars on {split} are too wide by a factor of {digits(1 / factor, 2)} (z² = {digits(z2, 2)})."]


def _barrier_sentences(barrier: Mapping[str, Any]) -> list[str]:
    entries = {str(entry.get("name", "")): entry for entry in barrier.get("barriers") or ()}
    truth, base = entries.get("truth"), entries.get("base")
    title = str(barrier.get("title") or "The barrier")
    found = []
    for name, entry in entries.items():
        value = number(entry.get("value"))
        if name in ("truth", "base", "energies alone") or not math.isfinite(value):
            continue
        bar = number(entry.get("stderr_total"))
        start = f", base {electronvolts(base.get('value'))}" if base else ""
        end = f"; truth {electronvolts(truth.get('value'))} eV{_distance(value, bar, truth)}" if truth else ""
        found.append(f"{title}: {name} gives {with_error(value, bar)} eV{start}{end}.")
    return found


def _distance(value: float, bar: float, truth: Mapping[str, Any]) -> str:
    off = abs(value - number(truth.get("value")))
    if not (math.isfinite(bar) and bar > 0 and math.isfinite(off)):
        return ""
    return f", {digits(off / bar, 2)} error bars away"
