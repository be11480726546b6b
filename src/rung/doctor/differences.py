"""A check for labels that hold differences to another fidelity or to the base, where totals are due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import Examined
from rung.doctor.findings import finding
from rung.doctor.relaxed import least_change, still
from rung.doctor.slopes import ENERGY_UNITS, FORCE_UNITS, explained, slope_through_zero
from rung.results.findings import Finding

FLAT = 0.35
"""Slope on another surface, up to which labels follow their difference: totals of another level have one near 1."""

SMALL = 0.5
"""Of the other surface's changes: differences change less than that, labels of another system or pure noise more."""

SURE = 8.0
"""By how many standard errors the slope must lie below 1."""

ENOUGH = 8
"""Independent numbers that a slope needs."""

LEAST = 1.0e-4
"""eV/Å, r.m.s.: forces of another surface that are smaller tell nothing."""


@dataclass(frozen=True)
class Compared:
    """Labels of one kind beside what another surface says of the same structures.

    Parameters
    ----------
    against
        The other surface, for a sentence.
    kind
        ``energies`` or ``forces``.
    x, y
        The other surface's values and the labels, less what reference energies explain, in eV or eV/Å.
    free
        How many of them are independent.
    least
        R.m.s. of the other surface's values below which they tell nothing, in eV or eV/Å.
    noise
        R.m.s. of the errors that the labels state, in eV; 0 where they state none.
    """

    against: str
    kind: Literal["energies", "forces"]
    x: Array
    y: Array
    free: int
    least: float = LEAST
    noise: float = 0.0

    @property
    def sizes(self) -> tuple[float, float]:
        """R.m.s. of the labels and of the other surface."""
        return _rms(self.y), _rms(self.x)

    @property
    def slope(self) -> float:
        """Least squares of the labels on the other surface."""
        return float(self.x @ self.y / (self.x @ self.x))

    @property
    def slope_stderr(self) -> float:
        """One standard error of the slope, by what it leaves of the labels: their noise counts."""
        left = self.y - self.slope * self.x
        return float(np.sqrt(left @ left / (self.x @ self.x) / self.free))

    @property
    def are_differences(self) -> bool:
        """Whether the labels are small and all but level, and no unit explains it."""
        small, large = self.sizes
        if self.free < ENOUGH or large < self.least or not 1e-9 < small / large < SMALL:
            return False
        units = ENERGY_UNITS if self.kind == "energies" else FORCE_UNITS
        unit = explained(slope_through_zero(self.x, self.y, self.free), "", self.kind, units)
        return (
            abs(self.slope) < FLAT
            and 1.0 - self.slope > SURE * self.slope_stderr
            and (unit is None or unit[0] != "error")
        )


def difference_labels(examined: Examined) -> Iterator[Finding]:
    """Find energies or forces that change as the difference to another fidelity or to the base would."""
    for split, members in examined.bonded.items():
        for fidelity in examined.judged:
            compared = [one for one in compared_with_others(examined, split, members, fidelity) if one.are_differences]
            if compared:
                one = compared[0]
                small, large = one.sizes
                unit = "eV" if one.kind == "energies" else "eV/Å"
                sentence = (
                    f"{split}: the {fidelity!r} {one.kind} do not follow {one.against} (slope {one.slope:.2f}): they "
                    f"change by {small:.2g} {unit}, r.m.s., where those change by {large:.2g}. Are they differences to "
                    f"them? Labels are totals; add {one.against} to the {fidelity!r} labels."
                )
                yield finding("error", "difference-labels", sentence, (split,), (fidelity,))


def compared_with_others(
    examined: Examined, split: str, members: Sequence[Structure], fidelity: str
) -> Iterator[Compared]:
    """Yield energies and forces of ``fidelity`` beside those of each other fidelity, and beside the base's."""
    for other in examined.fidelities:
        if other == fidelity:
            continue
        both = [s for s in members if s.labelled(fidelity).has_energy and s.labelled(other).has_energy]
        yield _energies(f"the {other!r} energies", both, [s.labels[other].energy for s in both], fidelity)
        both = [s for s in members if s.labelled(fidelity).has_forces and s.labelled(other).has_forces]
        yield _forces(f"the {other!r} forces", both, [s.labels[other].forces for s in both], fidelity)
    known = examined.base_energies
    both = [s for s in members if s.labelled(fidelity).has_energy and s.geometry_hash in known]
    yield _energies("the base's energies", both, [known[s.geometry_hash] for s in both], fidelity)
    predictions = [
        one for one in examined.predictions if one.split == split and one.structure.labelled(fidelity).has_forces
    ]
    both = [one.structure for one in predictions]
    yield _forces("the base's forces", both, [one.forces for one in predictions], fidelity)


def _energies(words: str, structures: Sequence[Structure], against: Sequence[float], fidelity: str) -> Compared:
    if not structures:
        return Compared(words, "energies", np.empty(0), np.empty(0), 0)
    # reference energies, and what is added to every energy, prove nothing
    known = np.column_stack([composition_matrix(structures, elements_in(structures)), np.ones(len(structures))])
    energies = np.column_stack([against, [structure.labels[fidelity].energy for structure in structures]])
    left = energies - known @ (np.linalg.pinv(known) @ energies)
    free = len(structures) - int(np.linalg.matrix_rank(known))
    noise = _rms(np.nan_to_num([structure.labels[fidelity].energy_stderr for structure in structures]))
    return Compared(words, "energies", left[:, 0], left[:, 1], free, least_change(structures), noise)


def _forces(words: str, structures: Sequence[Structure], against: Sequence[Array], fidelity: str) -> Compared:
    """Return forces of the frames that are not relaxed at ``fidelity``; of none where most are.

    Forces of a relaxed frame are small beside any other level's, as differences are, and do not follow them.
    """
    labels = [structure.labels[fidelity].forces for structure in structures]
    moving = [k for k, at_rest in enumerate(still(labels)) if not at_rest]
    if 2 * len(moving) < len(labels):
        moving = []
    x = np.concatenate([np.empty(0), *(np.ravel(against[k]) for k in moving)])
    y = np.concatenate([np.empty(0), *(np.ravel(labels[k]) for k in moving)])
    return Compared(words, "forces", x, y, len(moving))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
