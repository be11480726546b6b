"""Checks of stress: sign, unit, virials, and the order of the shears, against whatever tells what it should be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import finding
from rung.doctor.slopes import STRESS_UNITS, Slope, centred, explained, nearest_unit, slope_within_groups
from rung.doctor.strains import ORDERS, RIGHT, Strained, strained_pairs
from rung.results.findings import Finding
from rung.units import GPA

SURE_SIGN = 0.8
"""Agreement that makes a sign an error: along the vacuum of a slab stress is noise and may agree by chance."""

HUGE_STRESS = 3.0
"""eV/Å³: 480 GPa, beyond the centre of the Earth."""

FRAMES = 3_000
"""Frames that are compared between two fidelities: more would not move a median."""

SURE_ORDER = 0.7
"""Correlation of the shears that a wrong order must reach in the right one."""

SURE_STEP = 4.0
"""By how many standard errors (Fisher's z) one order must fit better than another to be told apart from it."""

VIRIAL = "eV per cell, as a virial is"


@dataclass(frozen=True)
class Beside:
    """Stress labels of ``n`` structures beside other stresses of the same ones.

    Parameters
    ----------
    words
        What stands beside, for a sentence; "" where it is right for certain.
    fidelities
        The fidelity of the other stresses where they are labels too, then the one that is judged.
    structures
        The structures.
    labels, against
        Stresses, eV/Å³, shape ``(n, 6)``.
    """

    words: str
    fidelities: tuple[str, ...]
    structures: Sequence[Structure]
    labels: Array
    against: Array

    @property
    def volumes(self) -> Array:
        """Volumes of the cells, Å³, shape ``(n,)``."""
        return np.array([structure.atoms.cell.volume for structure in self.structures])

    def slope(self) -> Slope:
        """Return how the labels change with the others, component by component within a composition.

        Differences count, not values: another level of theory has another lattice constant, so its stress has an
        offset.
        """
        groups = [(structure.formula, component) for structure in self.structures for component in range(6)]
        return slope_within_groups(np.ravel(self.against).tolist(), np.ravel(self.labels).tolist(), groups)

    def fits(self) -> tuple[Mapping[str, float], int]:
        """Return how well the shears fit in each order (a correlation), and from how many numbers."""
        formulas = np.array([structure.formula for structure in self.structures])
        across, up = centred(self.against[:, 3:], formulas), centred(self.labels[:, 3:], formulas)
        free = 3 * (len(formulas) - len(set(formulas.tolist())))
        return {name: abs(_correlation(across, up[:, list(place)])) for name, place in ORDERS.items()}, free


def stress_labels(examined: Examined) -> Iterator[Finding]:
    """Find stress of another sign, unit or order than it should have, virials, and stress beyond any pressure."""
    named: set[tuple[str, str]] = set()
    for split, members in examined.splits.items():
        for evidence in _evidence(examined, split, members):
            if not {(split, fidelity) for fidelity in evidence.fidelities} & named:
                found = [*_size_or_sign(evidence, split), *_order(evidence, split)]
                if found:
                    named |= {(split, fidelity) for fidelity in evidence.fidelities}
                yield from found
    for split, fidelity, members in examined.labelled():
        stress = [s.labels[fidelity].stress for s in members if s.labels[fidelity].has_stress]
        size = float(np.median(np.abs(stress).max(axis=1))) if stress else 0.0
        if size > HUGE_STRESS and (split, fidelity) not in named:
            sentence = (
                f"{split}: half of the {fidelity!r} stresses exceed {size:.3g} eV/Å³ ({size / GPA:.0f} GPa); "
                "is that the unit, or a virial? A stress is -virial / volume."
            )
            yield finding("warning", "stress-huge", sentence, (split,), (fidelity,))


def _evidence(examined: Examined, split: str, members: Sequence[Structure]) -> Iterator[Beside | Strained]:
    """Yield all that tells what the stresses of a split should be, what judges one fidelity alone first."""
    for fidelity in examined.fidelities:
        pairs = strained_pairs([s for s in members if s.labelled(fidelity).has_stress], fidelity)
        if len(pairs):
            yield pairs
        predictions = [
            one for one in examined.predictions if one.split == split and one.structure.labelled(fidelity).has_stress
        ]
        if predictions:
            structures = [one.structure for one in predictions]
            against = np.array([one.stress for one in predictions])
            yield Beside("the base's stress", (fidelity,), structures, _stresses(structures, fidelity), against)
    for one, other in examined.pairs():
        both = [s for s in members if s.labelled(one).has_stress and s.labelled(other).has_stress]
        both = evenly_spread(both, FRAMES)
        if both:
            yield Beside(f"{one!r} stress", (one, other), both, _stresses(both, other), _stresses(both, one))


def _size_or_sign(evidence: Beside | Strained, split: str) -> Iterator[Finding]:
    slope, fidelity = evidence.slope(), evidence.fidelities[-1]
    other = evidence.words if len(evidence.fidelities) == 2 else ""
    size = replace(slope, value=abs(slope.value))
    volume = float(np.median(evidence.volumes))  # of none where frames have no cell
    units = {**STRESS_UNITS, **({VIRIAL: 1.0 / volume} if volume > 0 else {})}
    contradiction = explained(size, other, f"{fidelity!r} stress", units, against=evidence.words)
    if contradiction is not None and nearest_unit(size.value, units) == VIRIAL:
        remedy = "-virial / volume" if slope.value < 0 else "virial / volume, for here it has the stress's sign"
        sentence = (
            f"{split}: the {fidelity!r} stress changes {slope.value:.3g} times as much as {evidence.words}, near the "
            f"cells' volume in Å³: a virial in eV, not a stress; write {fidelity}_stress = {remedy}, in eV/Å³."
        )
        yield finding("error", "stress-virial", sentence, (split,), evidence.fidelities)
        return
    if slope.agreement > SURE_SIGN and slope.n >= 6 and slope.value < 0:
        against = f"{evidence.words} (slope {slope.value:.3g})"
        sentence = (
            f"{split}: the {fidelity!r} stress runs against {against}: one of them has the other sign; ASE counts "
            "tension positive."
            if other
            else f"{split}: the {fidelity!r} stress runs against {against}; ASE counts tension positive, many codes "
            "pressure."
        )
        yield finding("error", "stress-sign", sentence, (split,), evidence.fidelities)
    if contradiction is not None:
        severity, reason = contradiction
        sentence = f"{split}: component by component {reason}; labels are in eV and Å."
        yield finding(severity, "stress-unit", sentence, (split,), evidence.fidelities)


def _order(evidence: Beside | Strained, split: str) -> Iterator[Finding]:
    """Find shears that fit in another order than yz xz xy and not in this one."""
    fits, free = evidence.fits()
    best = max(fits.values())
    if free < 6 or best < SURE_ORDER:
        return
    step = SURE_STEP / np.sqrt(free - 3)
    fisher = {name: float(np.arctanh(min(max(fit, 0.0), 1.0 - 1e-9))) for name, fit in fits.items()}
    likely = [name for name in ORDERS if fisher[name] > max(fisher.values()) - step]
    if RIGHT in likely:
        return
    fidelity = evidence.fidelities[-1]
    which = " or ".join(f"xx yy zz {name}" for name in likely)
    unsure = "" if len(evidence.fidelities) == 1 else ", or the other way round"
    sentence = (
        f"{split}: the {fidelity!r} shears fit {evidence.words} in the order {which}{unsure} (correlation {best:.2f}), "
        f"and as xx yy zz {RIGHT} only to {fits[RIGHT]:.2f}: write {fidelity}_stress in the latter order, or as nine "
        "numbers."
    )
    yield finding("error", "stress-order", sentence, (split,), evidence.fidelities)


def _stresses(structures: Sequence[Structure], fidelity: str) -> Array:
    return np.array([structure.labels[fidelity].stress for structure in structures])


def _correlation(one: Array, other: Array) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / size if size > 0 else 0.0
