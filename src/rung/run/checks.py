"""Checks that every run makes of itself: that it starts at its base, and what became of the other fidelities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.predict import surface_energies
from rung.fit.fidelities.agreement import tolerance_of
from rung.fit.fidelities.heldout import has_label
from rung.fit.lift import Base, Lift
from rung.fit.linear.probing import ForceDesigns
from rung.fit.method import NamedSettings, StepZero
from rung.fit.methods import method_of
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress
from rung.results.metrics import SplitErrors
from rung.run.evaluation import errors_of, predict
from rung.units import MILLI

OTHER_STRUCTURES = 60
"""At most so many structures of a split, evenly spaced, are asked what became of a fidelity other than the target."""

START_STRUCTURES = 4
"""Structures on which a closed-form fit's designs are compared with the base."""

RISEN = 1.05
"""An error of another fidelity that is more than so many times the base's is warned of."""


@dataclass(frozen=True)
class OtherFidelities:
    """Errors at fidelities other than the target that the fitted potential still offers.

    Parameters
    ----------
    after, before
        By fidelity, as in ``metrics.json``: of the fitted potential, and of the base where it offers the fidelity.
    warnings
        A sentence for each fidelity whose error rose.
    """

    after: Mapping[str, SplitErrors] = field(default_factory=dict)
    before: Mapping[str, SplitErrors] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def other_fidelities(
    fitted: ReadoutPotential,
    base: ReadoutPotential | None,
    structures: Sequence[Structure],
    target: str,
    *,
    split: str = "",
    progress: Progress = SILENT,
) -> OtherFidelities:
    """Compare fitted potential and base at every fidelity but the target that both can be asked for and labels know.

    Parameters
    ----------
    fitted, base
        The potentials; without a base only ``after`` is told.
    structures
        Of one split; at most :data:`OTHER_STRUCTURES` labelled ones, evenly spaced, are looked at.
    target
        The fidelity that was lifted to.
    split
        What the warnings call the split.
    progress
        Where long work reports.
    """
    after: dict[str, SplitErrors] = {}
    before: dict[str, SplitErrors] = {}
    warnings: tuple[str, ...] = ()
    for name in fitted.fidelities:
        chosen = evenly_spread([one for one in structures if has_label(one, name)], OTHER_STRUCTURES)
        if name == target or not chosen:
            continue
        if base is not None and name in base.fidelities:
            before[name] = _errors(base, chosen, name, progress)
        unmoved = name in before and base is not None and same_surface(fitted, base, name)
        after[name] = before[name] if unmoved else _errors(fitted, chosen, name, progress)
        warnings += risen(name, before.get(name), after[name], split)
    return OtherFidelities(after, before, warnings)


def same_surface(one: ReadoutPotential, other: ReadoutPotential, fidelity: str) -> bool:
    """Return whether two potentials say the same at a fidelity because they are made of the same tensors."""
    parts = [ReadoutPotential(each.backbone, {fidelity: each.surface(fidelity)}) for each in (one, other)]
    return parts[0].fingerprint == parts[1].fingerprint


def risen(fidelity: str, before: SplitErrors | None, after: SplitErrors, split: str = "") -> tuple[str, ...]:
    """Return a sentence for each error of a fidelity that is above :data:`RISEN` times what it was."""
    if before is None:
        return ()
    where = f"On {split} the" if split else "The"
    return tuple(
        f"{where} errors of {fidelity} {what} rose from {was:.3g} to {now:.3g} {unit}: what the base knew was partly "
        "forgotten."
        for what, unit, was, now in (
            ("energies", "meV/atom", before.energy_rmse, after.energy_rmse),
            ("forces", "meV/Å", before.force_rmse, after.force_rmse),
        )
        if now > RISEN * was
    )


def start_of(
    lift: Lift,
    settings: NamedSettings,
    diagnostics: Mapping[str, float],
    *,
    cache: DesignCache | None = None,
    progress: Progress = SILENT,
) -> StepZero | None:
    """Return how far the method's untrained start lies from the base; None where a method has no such start.

    A training has measured it, in ``diagnostics``. What is fitted in closed form starts from designs of the base,
    and those are compared with the base, on a few training structures. Any other method's record measures it.
    """
    base, method = lift.base, method_of(settings)
    if base is None or not len(lift.train):
        return None
    if "step_zero_energy" in diagnostics:
        tolerance = tolerance_of(base.potential.dtype, 1.0)
        return StepZero(diagnostics["step_zero_energy"], diagnostics["step_zero_force"], tolerance)
    designs = method.designs(settings)
    if designs is not None:
        chosen = evenly_spread(lift.train, START_STRUCTURES)
        return _designs_beside(base, chosen, forces=designs.forces, cache=cache, progress=progress)
    return None if method.start is None else method.start(lift, settings)


def _designs_beside(
    base: Base,
    structures: Sequence[Structure],
    *,
    forces: bool,
    cache: DesignCache | None,
    progress: Progress,
) -> StepZero:
    """Compare predictions from designs with those of the whole model."""
    potential, fidelity = base.plain, base.fidelity
    whole = predict(potential, structures, fidelity, forces=forces, progress=progress)
    makes = ForceDesigns(potential.backbone, base.surface.readout, fidelity, cache, progress)
    designs = base.energy_designs(structures, cache, progress)
    surface, elements = base.surface, sorted(potential.elements)
    sizes = np.array([len(structure) for structure in structures])
    energy = np.max(np.abs(surface_energies(designs, surface.readout, surface, elements) - whole.energy) / sizes)
    off, largest = 0.0, 0.0
    if forces:
        # what the fit reads: every component, or random directions, whose sums are as large as √(3n) components
        for design, known in zip(makes.affordable(structures), whole.forces, strict=True):
            if known is None:
                continue
            rest = design.forces @ surface.readout.weights + design.fixed_forces - design.seen(known)
            off = max(off, float(np.max(np.abs(rest))) / np.sqrt(design.components_a_row))
            largest = max(largest, float(np.max(np.abs(known), initial=0.0)))
    return StepZero(MILLI * float(energy), MILLI * off, tolerance_of(potential.dtype, largest))


def _errors(
    potential: ReadoutPotential, structures: Sequence[Structure], fidelity: str, progress: Progress
) -> SplitErrors:
    return errors_of(predict(potential, structures, fidelity, progress=progress), structures, fidelity)
