"""Checks of units, by slopes: of one fidelity on another, and on the base; offsets prove nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rung.data.labels import Array, Labels
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.doctor.examined import BasePrediction, Examined
from rung.doctor.findings import finding
from rung.doctor.per_atom import per_atom
from rung.doctor.relaxed import least_change, telling_forces
from rung.doctor.slopes import (
    ENERGY_UNITS,
    FORCE_UNITS,
    Slope,
    centred,
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
            forces = ([s.labels[name].forces for s in both] for name in (one, other))
            slope = slope_through_zero(*telling_forces(*forces))
            contradiction = explained(slope, f"{one!r} forces", f"{other!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (one, other), "atom by atom")
        for fidelity, predictions in _against_base(examined, split, lambda labels: labels.has_forces).items():
            labels = [one.structure.labels[fidelity].forces for one in predictions]
            slope = slope_through_zero(*telling_forces([one.forces for one in predictions], labels))
            contradiction = explained(slope, "", f"{fidelity!r} forces", FORCE_UNITS)
            yield from _finding(contradiction, "force-unit", split, (fidelity,), "atom by atom")


def _of_energies(structures: Sequence[Structure], against: Sequence[float], fidelity: str) -> tuple[str, Slope]:
    """Return how the energies of ``fidelity`` change with others: within a composition, or else beyond all E0.

    Where hardly two frames share a composition, or those that do are relaxed to one minimum, what any reference
    energies explain is taken out of both.
    """
    labels = [structure.labels[fidelity].energy for structure in structures]
    formulas = [structure.formula for structure in structures]
    within = slope_within_groups(against, labels, formulas)
    if not structures:
        return "within one composition", within
    energies, least = np.column_stack([against, labels]), least_change(structures)
    if within.is_sure and _change(centred(energies, np.array(formulas))) > least:
        return "within one composition", within
    composition = composition_matrix(structures, elements_in(structures))
    left = energies - composition @ (np.linalg.pinv(composition) @ energies)
    freedom = len(structures) - int(np.linalg.matrix_rank(composition))
    slope = slope_through_zero(left[:, 0], left[:, 1], freedom if _change(left) > least else 0)
    return "beyond any reference energies", slope


def _change(energies: Array) -> float:
    """Return the larger r.m.s. of two columns: in whatever unit, what changes little in both tells nothing."""
    return float(np.sqrt(np.mean(energies**2, axis=0)).max())


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
