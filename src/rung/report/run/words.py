"""What a run shows, in sentences."""

import math
from dataclasses import dataclass

from rung.report.read import RunFiles
from rung.report.tables import digits, electronvolts, quantity, with_error
from rung.results.barrier import BarrierEntry, Panel
from rung.results.forces import force_verdicts
from rung.results.metrics import SplitErrors
from rung.results.references import open_sentences

REFERENCES = ("base", "truth", "energies alone")
"""Barriers that others are held against."""

_EQUAL = 0.02
"""Relative change below which nobody should speak of better or worse."""


def headline(run: RunFiles) -> list[str]:
    """Return sentences, plain text, that say what the run did to energies, forces and barriers."""
    base = run.base_errors
    lines = [_what(run)]
    if run.metrics is not None:
        lines += [*open_sentences(run.metrics.open_references), *force_verdicts(run.metrics)]
    for (split, fidelity), errors in run.errors.items():
        if fidelity == run.target:
            lines.append(" ".join(_split_sentences(split, errors, base.get((split, fidelity)))))
    for panel in run.panels:
        lines += _barrier_sentences(panel, run)
    return [line for line in lines if line]


def _what(run: RunFiles) -> str:
    count = 0 if run.metrics is None else run.metrics.fit.n_energies
    labels = f"{count} {run.target} energies" if count else f"labels of {run.target}" if run.target else "its labels"
    method = f"The method {run.method}" if run.method else "The fit"
    if run.config is not None and not run.base:
        return f"{method} trained a potential on {labels}; it had no base."
    start = f" from the base {run.base}" if run.base else ""
    return f"{method} went{start} to {run.target or 'its target'} with {labels}."


def _split_sentences(split: str, errors: SplitErrors, base: SplitErrors | None) -> list[str]:
    lines = []
    change = _change("energy_rmse", errors, base)
    if change:
        floor = errors.noise_floor
        noise = f"; the labels' own noise is {digits(floor)} meV/atom" if math.isfinite(floor) and floor > 0 else ""
        lines.append(f"On {split}, {change}{noise}.")
    forces = _change("force_rmse", errors, base)
    departure = errors.force_departure_rmse
    if forces:
        lines.append(f"There, {forces}.")
    elif math.isfinite(departure):
        lines.append(
            f"Target forces are not known on {split}: its forces departed from the base's by {digits(departure)} meV/Å "
            "r.m.s., which is no error."
        )
    elif change:
        lines.append(f"Nothing is known of the forces on {split}.")
    return [*lines, *_honesty(split, errors)]


def _change(name: str, errors: SplitErrors, base: SplitErrors | None) -> str:
    after: float = getattr(errors, name)
    before: float = math.nan if base is None else getattr(base, name)
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


def _honesty(split: str, errors: SplitErrors) -> list[str]:
    z2 = errors.energy_z2
    if not math.isfinite(z2) or z2 <= 0:
        return []
    factor = math.sqrt(z2)
    told = f"z² = {digits(z2, 2)}"
    if errors.some_have_bars:
        told += f"; {errors.n_energy_bars} of {errors.n_energies} energies have one"
    if 0.8 <= factor <= 1.25:
        return [f"Energy error bars on {split} are of the right size ({told})."]
    if factor > 1:
        return [f"Energy error bars on {split} are too small by a factor of {digits(factor, 2)} ({told})."]
    return [f"Energy error bars on {split} are too wide by a factor of {digits(1 / factor, 2)} ({told})."]


@dataclass(frozen=True)
class Told:
    """What a panel tells of barriers.

    Parameters
    ----------
    lifted
        Those of the fit; of a panel that names none so, of all that are no reference.
    base, truth
        None where the panel does not have them.
    others
        What is drawn beside: labels of other levels, or fits of energies alone.
    """

    lifted: tuple[BarrierEntry, ...]
    base: BarrierEntry | None
    truth: BarrierEntry | None
    others: tuple[BarrierEntry, ...]


def told(panel: Panel, run: RunFiles) -> Told:
    """Sort the barriers of a panel by what they are to a reader; a band may be named by what it is or by its level."""
    base = next((one for one in panel.barriers if one.name in ("base", run.base)), None)
    truth = panel.by_name.get("truth")
    rest = [one for one in panel.barriers if one is not base and one is not truth]
    own = tuple(one for one in rest if one.name in ("lifted", run.method, run.target) and math.isfinite(one.value))
    free = tuple(one for one in rest if one.name not in REFERENCES and math.isfinite(one.value))
    lifted = own or free
    others = tuple(one for one in rest if one not in lifted and math.isfinite(one.value))
    return Told(lifted, base, truth, others)


def _barrier_sentences(panel: Panel, run: RunFiles) -> list[str]:
    parts, lines = told(panel, run), []
    for entry in parts.lifted:
        start = f", base {electronvolts(parts.base.value)}" if parts.base is not None else ""
        truth = parts.truth
        end = f"; truth {electronvolts(truth.value)} eV{_distance(entry, truth)}" if truth is not None else ""
        lines.append(f"{panel.title}: {entry.name} gives {with_error(entry.value, entry.stderr_total)} eV{start}{end}.")
    if parts.others and parts.lifted:
        listed = ", ".join(f"{one.name} {with_error(one.value, one.stderr_total)}" for one in parts.others)
        lines[-1] += f" Beside it: {listed} eV."
    return lines


def _distance(entry: BarrierEntry, truth: BarrierEntry) -> str:
    off, bar = abs(entry.value - truth.value), entry.stderr_total
    if not (math.isfinite(bar) and bar > 0 and math.isfinite(off)):
        return ""
    return f", {digits(off / bar, 2)} error bars away"
