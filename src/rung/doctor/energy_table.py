"""Checks of tables of energies: whether differences close in a circle, and whether they are in eV."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.energy_table import EnergyTable, Fault
from rung.data.label_rows import are_special, label_rows, mentioned
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding
from rung.doctor.slopes import ENERGY_UNITS, explained, slope_through_zero
from rung.errors import counted
from rung.results.findings import Finding, Severity

OPEN, DOUBTFUL = 5.0, 3.0
"""By how many standard errors a circle of differences may fail to close: an error above the first, a warning above the
second."""

ROUNDED = 1.0e-3
"""eV: the error of a label without one, for a circle: what codes print and tables round."""

LONGEST = 12
"""Of how many labels a circle that is named may consist."""


def table_faults(faults: Iterable[Fault]) -> Iterator[Finding]:
    """Return rows that cannot be used beside the structures as findings."""
    for fault in faults:
        names = tuple(sorted(fault.row.pair - {""}))
        yield finding("error", fault.code, fault.sentence, (), (fault.row.fidelity,), names)


def table_rows(examined: Examined) -> Iterator[Finding]:
    """Find labels that are differences, or share errors, and count them: no census of structures does."""
    for fidelity in _fidelities(examined.table):
        own = examined.table.of(fidelity)
        runs = len({row.run for row in own.correlated})
        shared = (
            f", and {len(own.correlated)} {'shares its error' if len(own.correlated) == 1 else 'share errors'} in "
            f"{counted(runs, 'run')}"
            if runs
            else ""
        )
        sentence = (
            f"{counted(len(own.differences), 'label')} of {fidelity!r} "
            f"{'is a difference' if len(own.differences) == 1 else 'are differences'}{shared}."
        )
        yield finding("note", "table-differences", sentence, (), (fidelity,))


def table_stderr(examined: Examined) -> Iterator[Finding]:
    """Find differences without an error among the labels."""
    for fidelity in _fidelities(examined.table):
        exact = [row for row in examined.table.of(fidelity).differences if np.isnan(row.stderr)]
        if exact:
            sentence = (
                f"{counted(len(exact), f'{fidelity!r} difference has', f'{fidelity!r} differences have')} no stderr, "
                f"which counts as exact up to the model's own error: {few([row.place for row in exact])}."
            )
            yield finding("warning", "difference-stderr-missing", sentence, (), (fidelity,))


def open_circles(examined: Examined) -> Iterator[Finding]:
    """Find labels that go round in a circle of structures and do not come back to where they began."""
    for fidelity in _fidelities(examined.table):
        for split, members in examined.splits.items():
            worst = max(circles(members, fidelity, examined.table), key=lambda one: one.size, default=None)
            if worst is not None and worst.size > DOUBTFUL:
                severity: Severity = "error" if worst.size > OPEN else "warning"
                sentence = (
                    f"{split}: the {fidelity!r} labels {worst.words} should add up to zero and give "
                    f"{worst.gap:+.4f} eV, {worst.size:.1f} times their error: is one of the wrong sign, or its error "
                    "too small?"
                )
                yield finding(severity, "difference-circle", sentence, (split,), (fidelity,), worst.names)


def difference_units(examined: Examined) -> Iterator[Finding]:
    """Find differences within a composition that do not fit those of another fidelity or of the base."""
    for fidelity in _fidelities(examined.table):
        known = {one.structure_id: one for one in reversed(examined.structures)}
        rows = [row for row in examined.table.of(fidelity).differences if row.pair <= set(known)]
        pairs = [(known[row.structure_id], known[row.minus], row.energy) for row in rows]
        pairs = [pair for pair in pairs if pair[0].formula == pair[1].formula]
        for name, energy_of in _compared(examined, fidelity).items():
            both = [pair for pair in pairs if pair[0].structure_id in energy_of and pair[1].structure_id in energy_of]
            low = [energy_of[one.structure_id] - energy_of[other.structure_id] for one, other, _ in both]
            slope = slope_through_zero(low, [high for _, _, high in both])
            said = explained(slope, name, f"{fidelity!r} differences", ENERGY_UNITS)
            if said is not None:
                yield finding(said[0], "difference-unit", f"{said[1]}; labels are in eV.", (), (fidelity,))


def _compared(examined: Examined, fidelity: str) -> Mapping[str, Mapping[str, float]]:
    """Return energies by structure, by what they are called; those of the base are in eV for certain."""
    found: dict[str, Mapping[str, float]] = {
        f"{other!r} energies": {
            one.structure_id: one.labels[other].energy for one in examined.structures if one.labelled(other).has_energy
        }
        for other in examined.fidelities
        if other != fidelity
    }
    said = examined.base_energies
    found[""] = {one.structure_id: said[one.geometry_hash] for one in examined.structures if one.geometry_hash in said}
    return found


def _fidelities(table: EnergyTable) -> tuple[str, ...]:
    return tuple(sorted({row.fidelity for row in table.rows if are_special(row.fidelity, table)}))


@dataclass(frozen=True)
class Circle:
    """Labels that must add up to zero.

    Parameters
    ----------
    words
        The labels, with their signs.
    names
        The structures on the way.
    gap
        What they add up to, eV.
    size
        The gap over its standard error.
    """

    words: str
    names: tuple[str, ...]
    gap: float
    size: float


def circles(structures: Sequence[Structure], fidelity: str, table: EnergyTable) -> Iterator[Circle]:
    """Yield a basis of the circles of labels: an energy is a difference to a zero that all energies have.

    Each label that a spanning tree of the others does not hold closes one circle (Paton, Commun. ACM 12, 514, 1969).
    """
    subtracted = table.of(fidelity).subtracted  # an energy alone closes no circle, and there may be thousands
    members = [structures[place] for place in mentioned(structures, fidelity, table)]
    members = [one for one in members if one.structure_id in subtracted]
    labels = label_rows(members, fidelity, table.within(one.structure_id for one in structures))
    zero = len(members)
    ends = [(int(np.argmax(row)), int(np.argmin(row)) if (row < 0).any() else zero) for row in labels.combination]
    sigma = np.where(labels.sigma > 0, 0.0, ROUNDED)
    covariance = labels.covariance + np.diag(sigma**2)
    paths = _paths(ends, zero + 1)
    for number, (one, other) in enumerate(ends):
        way = paths[one] - paths[other]
        way[number] -= 1.0
        steps = np.flatnonzero(way).tolist()
        if steps:
            spread = float(np.sqrt(way @ covariance @ way))
            gap = float(-way @ labels.energy)
            yield Circle(_words(way, steps, ends, members), _names(steps, ends, members), gap, abs(gap) / spread)


def _paths(ends: Sequence[tuple[int, int]], count: int) -> Array:
    """Return for each place which labels, with which signs, give its energy less that where its tree begins."""
    beside: dict[int, list[tuple[int, int, float]]] = {}
    for number, (one, other) in enumerate(ends):
        beside.setdefault(one, []).append((other, number, -1.0))
        beside.setdefault(other, []).append((one, number, 1.0))
    paths, seen = np.zeros((count, len(ends))), np.zeros(count, dtype=bool)
    for begin in [count - 1, *range(count - 1)]:
        if seen[begin]:
            continue
        queue, seen[begin] = deque([begin]), True
        while queue:
            here = queue.popleft()
            for there, number, sign in beside.get(here, ()):
                if not seen[there]:
                    seen[there] = True
                    paths[there] = paths[here]
                    paths[there, number] += sign
                    queue.append(there)
    return paths


def _words(way: Array, steps: Sequence[int], ends: Sequence[tuple[int, int]], members: Sequence[Structure]) -> str:
    if len(steps) > LONGEST:
        return f"of {len(steps)} steps through {few(_names(steps, ends, members))}"
    named = []
    for step in steps:
        one, other = ends[step]
        label = members[one].structure_id
        if other < len(members):
            label = f"({label} - {members[other].structure_id})"
        named.append(f"{'-' if way[step] > 0 else '+'} {label}")
    return " ".join(named)


def _names(steps: Sequence[int], ends: Sequence[tuple[int, int]], members: Sequence[Structure]) -> tuple[str, ...]:
    places = [place for step in steps for place in ends[step] if place < len(members)]
    return tuple(dict.fromkeys(members[place].structure_id for place in places))
