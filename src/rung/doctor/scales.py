"""Checks of units, by slopes: of one fidelity on another, and on the base; offsets prove nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung.data.labels import Array, Labels
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import BasePrediction, Examined
from rung.doctor.findings import finding
from rung.doctor.slopes import (
    ENERGY_UNITS,
    FORCE_UNITS,
    GPA,
    STRESS_UNITS,
    Slope,
    explanations,
    slope_through_zero,
    slope_within_groups,
)
from rung.results.findings import Finding, Severity

PLAUSIBLE = 5.0
"""Two levels of theory agree within this factor on how an energy, a force or a stress changes."""

SURE_SIGN = 0.8
"""Agreement that makes a sign an error: along the vacuum of a slab stress is noise and may agree by chance."""

HUGE_STRESS = 3.0
"""eV/Å³: 480 GPa, beyond the centre of the Earth."""


def energy_units(examined: Examined) -> Iterator[Finding]:
    """Find energies whose changes within a composition do not fit those of another fidelity or of the base."""
    for split, members in examined.bonded.items():
        for one, other in examined.pairs():
            both = [s for s in members if s.labelled(one).has_energy and s.labelled(other).has_energy]
            how, slope = _of_energies(both, [s.labels[one].energy for s in both], other)
            contradiction = _explained(
                slope, f"{one!r} energies", f"{other!r} energies", ENERGY_UNITS, _per_atom(slope, both)
            )
            yield from _finding(contradiction, "energy-unit", split, (one, other), how)
        for fidelity in examined.fidelities if examined.base_energies else ():
            both = [s for s in members if s.labelled(fidelity).has_energy and s.geometry_hash in examined.base_energies]
            how, slope = _of_energies(both, [examined.base_energies[s.geometry_hash] for s in both], fidelity)
            contradiction = _explained(slope, "", f"{fidelity!r} energies", ENERGY_UNITS, _per_atom(slope, both))
            yield from _finding(contradiction, "energy-unit", split, (fidelity,), how)


def force_units(examined: Examined) -> Iterator[Finding]:
    """Find forces whose size does not fit those of another fidelity or of the base."""
    for split, members in examined.splits.items():
        for one, other in examined.pairs():
            both = [s for s in members if s.labelled(one).has_forces and s.labelled(other).has_forces]
            slope = _pooled([s.labels[one].forces for s in both], [s.labels[other].forces for s in both])
            contradiction = _explained(slope, f"{one!r} forces", f"{other!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (one, other), "atom by atom")
        for fidelity, predictions in _against_base(examined, split, lambda labels: labels.has_forces).items():
            slope = _pooled(
                [one.forces for one in predictions], [one.structure.labels[fidelity].forces for one in predictions]
            )
            contradiction = _explained(slope, "", f"{fidelity!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (fidelity,), "atom by atom")


def stress_units(examined: Examined) -> Iterator[Finding]:
    """Find stress of another sign or unit than another fidelity's or the base's, or beyond any pressure."""
    explained: set[tuple[str, str]] = set()
    for split, members in examined.splits.items():
        compared: list[tuple[tuple[str, ...], Slope]] = []
        for one, other in examined.pairs():
            both = [s for s in members if s.labelled(one).has_stress and s.labelled(other).has_stress]
            slope = _of_stress(both, [s.labels[one].stress for s in both], other)
            compared.append(((one, other), slope))
        for fidelity, predictions in _against_base(examined, split, lambda labels: labels.has_stress).items():
            slope = _of_stress([one.structure for one in predictions], [one.stress for one in predictions], fidelity)
            compared.append(((fidelity,), slope))
        for fidelities, slope in compared:
            for contradiction in _stress_finding(slope, split, fidelities):
                explained |= {(split, fidelity) for fidelity in fidelities}
                yield contradiction
    for split, fidelity, members in examined.labelled():
        stress = [s.labels[fidelity].stress for s in members if s.labels[fidelity].has_stress]
        size = float(np.median(np.abs(stress).max(axis=1))) if stress else 0.0
        if size > HUGE_STRESS and (split, fidelity) not in explained:
            sentence = (
                f"{split}: half of the {fidelity!r} stresses exceed {size:.3g} eV/Å³ ({size / GPA:.0f} GPa); "
                "is that the unit, or a virial?"
            )
            yield finding("warning", "stress-huge", sentence, (split,), (fidelity,))


def _stress_finding(slope: Slope, split: str, fidelities: tuple[str, ...]) -> Iterator[Finding]:
    other = f"{fidelities[0]!r} stress" if len(fidelities) == 2 else ""
    if slope.agreement > SURE_SIGN and slope.n >= 6 and slope.value < 0:
        against = other or "the base's stress"
        sentence = (
            f"{split}: the {fidelities[-1]!r} stress runs against {against} (slope {slope.value:.3g}): one of them has "
            "the other sign; ASE counts tension positive."
            if other
            else f"{split}: the {fidelities[-1]!r} stress runs against {against} (slope {slope.value:.3g}); ASE counts "
            "tension positive, many codes pressure."
        )
        yield finding("error", "stress-sign", sentence, (split,), fidelities)
    size = replace(slope, value=abs(slope.value))
    contradiction = _explained(size, other, f"{fidelities[-1]!r} stress", STRESS_UNITS)
    yield from _finding(contradiction, "stress-unit", split, fidelities, "component by component")


def _of_energies(structures: Sequence[Structure], against: Sequence[float], fidelity: str) -> tuple[str, Slope]:
    """Return how the energies of ``fidelity`` change with others: within a composition, or else beyond all E0.

    Where hardly two frames share a composition, what any reference energies explain is taken out of both.
    """
    labels = [structure.labels[fidelity].energy for structure in structures]
    within = slope_within_groups(against, labels, [structure.formula for structure in structures])
    if within.is_sure or not structures:
        return "within one composition", within
    composition = composition_matrix(structures, elements_in(structures))
    energies = np.column_stack([against, labels])
    left = energies - composition @ (np.linalg.pinv(composition) @ energies)
    freedom = len(structures) - int(np.linalg.matrix_rank(composition))
    return "beyond any reference energies", slope_through_zero(left[:, 0], left[:, 1], freedom)


def _of_stress(structures: Sequence[Structure], against: Sequence[Array], fidelity: str) -> Slope:
    """Return the slope of stress component by component within a composition.

    Differences count, not values: another level of theory has another lattice constant, so its stress has an offset.
    """
    groups = [(structure.formula, component) for structure in structures for component in range(6)]
    labels = [structure.labels[fidelity].stress for structure in structures]
    return slope_within_groups(np.ravel(against).tolist(), np.ravel(labels).tolist(), groups)


def _pooled(x: Sequence[Array], y: Sequence[Array]) -> Slope:
    if not x:
        return Slope(np.nan, 0.0, 0)
    return slope_through_zero(
        np.concatenate([np.ravel(one) for one in x]), np.concatenate([np.ravel(one) for one in y])
    )


def _against_base(examined: Examined, split: str, has: Callable[[Labels], bool]) -> Mapping[str, list[BasePrediction]]:
    """Return by fidelity what the base predicted in ``split`` where the label is there."""
    predictions = [one for one in examined.predictions if one.split == split]
    return {
        fidelity: labelled
        for fidelity in examined.fidelities
        if (labelled := [one for one in predictions if has(one.structure.labelled(fidelity))])
    }


def _per_atom(slope: Slope, members: Sequence[Structure]) -> Mapping[str, float]:
    """Return the number of atoms as one more unit where energies per atom would explain a slope."""
    sizes = sorted(len(structure) for structure in members)
    return {"eV per atom": float(sizes[len(sizes) // 2])} if sizes and sizes[0] > 1 and slope.n else {}


def _explained(
    slope: Slope, below: str, above: str, units: Mapping[str, float], more: Mapping[str, float] | None = None
) -> tuple[Severity, str] | None:
    """Return severity and reason where a slope cannot come from two levels of theory in one unit."""
    if not slope.is_sure or not slope.is_tight or not slope.value > 0 or slope.is_within(PLAUSIBLE):
        return None
    against = below or "those of the base"
    observation = f"{above} change {slope.value:.3g} times as much as {against}"
    reason = explanations(slope.value, below, above, {**units, **(more or {})})
    if reason:
        return "error", f"{observation}: {reason}"
    return "warning", f"{observation}, which no usual unit explains"


def _finding(
    contradiction: tuple[Severity, str] | None, code: str, split: str, fidelities: tuple[str, ...], how: str
) -> Iterator[Finding]:
    if contradiction is not None:
        severity, reason = contradiction
        yield finding(severity, code, f"{split}: {how} {reason}; labels are in eV and Å.", (split,), fidelities)
