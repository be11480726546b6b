"""Checks of units, by slopes: of one fidelity on another, and on the base; offsets prove nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rung.data.labels import Array, Labels
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import BasePrediction, Examined
from rung.doctor.findings import finding
from rung.doctor.per_atom import per_atom
from rung.doctor.slopes import (
    ENERGY_UNITS,
    FORCE_UNITS,
    Slope,
    explained,
    slope_through_zero,
    slope_within_groups,
)
from rung.results.findings import Finding, Severity


def energy_units(examined: Examined) -> Iterator[Finding]:
    """Find energies whose changes within a composition do not fit those of another fidelity or of the base."""
    for split, members in examined.bonded.items():
        known = {fidelity for where, fidelity in per_atom(examined) if where == split}  # their slopes follow from it
        for one, other in examined.pairs():
            if known.intersection((one, other)):
                continue
            both = [s for s in members if s.labelled(one).has_energy and s.labelled(other).has_energy]
            how, slope = _of_energies(both, [s.labels[one].energy for s in both], other)
            contradiction = explained(
                slope, f"{one!r} energies", f"{other!r} energies", ENERGY_UNITS, _per_atom(slope, both)
            )
            yield from _finding(contradiction, "energy-unit", split, (one, other), how)
        for fidelity in sorted({*examined.fidelities} - known) if examined.base_energies else ():
            both = [s for s in members if s.labelled(fidelity).has_energy and s.geometry_hash in examined.base_energies]
            how, slope = _of_energies(both, [examined.base_energies[s.geometry_hash] for s in both], fidelity)
            contradiction = explained(slope, "", f"{fidelity!r} energies", ENERGY_UNITS, _per_atom(slope, both))
            yield from _finding(contradiction, "energy-unit", split, (fidelity,), how)


def force_units(examined: Examined) -> Iterator[Finding]:
    """Find forces whose size does not fit those of another fidelity or of the base."""
    for split, members in examined.splits.items():
        for one, other in examined.pairs():
            both = [s for s in members if s.labelled(one).has_forces and s.labelled(other).has_forces]
            slope = _pooled([s.labels[one].forces for s in both], [s.labels[other].forces for s in both])
            contradiction = explained(slope, f"{one!r} forces", f"{other!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (one, other), "atom by atom")
        for fidelity, predictions in _against_base(examined, split, lambda labels: labels.has_forces).items():
            slope = _pooled(
                [one.forces for one in predictions], [one.structure.labels[fidelity].forces for one in predictions]
            )
            contradiction = explained(slope, "", f"{fidelity!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (fidelity,), "atom by atom")


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


def _finding(
    contradiction: tuple[Severity, str] | None, code: str, split: str, fidelities: tuple[str, ...], how: str
) -> Iterator[Finding]:
    if contradiction is not None:
        severity, reason = contradiction
        yield finding(severity, code, f"{split}: {how} {reason}; labels are in eV and Å.", (split,), fidelities)
