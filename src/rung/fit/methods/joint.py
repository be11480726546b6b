"""``joint``: one backbone, a readout and reference energies per fidelity, trained together.

The labels of a cheap level, forces among them, shape the features that the few labels of the target are read from
(Messerly et al., arXiv:2505.01590). From scratch, or from a base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from rung.backends.architectures import AnyArchitecture, new_architecture
from rung.data.structure import Structure
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.fidelities.rows import RowSettings
from rung.fit.fidelities.several import fit_together, lesson, start_from, start_new
from rung.fit.lift import Context, FitResult
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.fit.training.stages import SeveralTraining
from rung.model.potential import ReadoutPotential


class JointSettings(RowSettings):
    """Train one backbone on several fidelities, each with a readout of its own."""

    name: Literal["joint"] = "joint"
    start: Literal["base", "new"] = "base"
    """From the base where the config names one, or a new model in any case."""
    architecture: AnyArchitecture = Field(default_factory=new_architecture)
    """The shape of a new model; a base brings its own."""
    training: SeveralTraining = SeveralTraining()
    """How it is trained."""
    reference_energies: dict[str, dict[str, float]] | None = None
    """eV by fidelity and element symbol for a new model; by default least squares on the training energies."""


def joint(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: JointSettings,
    context: Context,
) -> FitResult:
    """Train on every fidelity that ``settings`` name; the result offers all of them.

    Where they name others than the target, the target has the surface of the first of them with reference energies of
    its own, as the method ``offset`` gives them: what the cheap level alone is worth.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, or the base does not offer ``context.base_fidelity``.
    DataError
        When a structure holds an element that the base, or no training structure, knows.
    FitError
        When a fidelity labels nothing, or the training diverges.
    """
    if settings.fidelities and target not in settings.fidelities:
        return _without_target(train, valid, base, fidelities, target, settings, context)
    origin = None if settings.start == "new" else base
    cutoff = settings.architecture.cutoff if origin is None else origin.cutoff
    training = settings.training
    given = lesson(train, valid, base, tuple(fidelities), target, settings, cutoff, training.valid_fraction, context)
    if origin is None:
        floor = training.loss.energy_floor
        begun = start_new(settings.architecture, given, "readouts", floor, settings.reference_energies, context)
    else:
        begun = start_from(origin, given, "readouts", training, context)
    offered = () if origin is None else [name for name in given.names if name in origin.fidelities]
    return fit_together(begun, given, training, settings, offered, context)


def _without_target(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: JointSettings,
    context: Context,
) -> FitResult:
    """Train on the other fidelities alone, then give the target the first one's surface and its own E0."""
    require_fidelity(target, fidelities)
    first = next(iter(settings.fidelities or {}))
    others = joint(train, valid, base, fidelities, first, settings, context)
    begun = replace(context, base_fidelity=first, cache=None)
    moved = fit_offset(train, valid, others.potential, fidelities, target, OffsetSettings(), begun)
    return replace(
        others,
        potential=moved.potential,
        diagnostics={**others.diagnostics, "n_energies": moved.diagnostics["n_energies"]},
        warnings=(
            *others.warnings,
            f"The labels of {target!r} gave it reference energies and nothing else: the settings let {first!r} train.",
            *moved.warnings,
        ),
    )
