"""``joint``: one backbone, a readout and reference energies per fidelity, trained together.

The labels of a cheap level, forces among them, shape the features that the few labels of the target are read from
(Messerly et al., arXiv:2505.01590). From scratch, or from a base.
"""

from dataclasses import replace
from typing import Literal

from rung.errors import ConfigError
from rung.fit.fidelities.expected import expected_training
from rung.fit.fidelities.several import SeveralSettings, begin, fit_together
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import Expected, Method
from rung.fit.methods.closing import expected_with_closing, with_closing_readout, with_readout_fit
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.fit.methods.readout import ReadoutSettings, expected_fit, fit_readout


class JointSettings(SeveralSettings):
    """Train one backbone on several fidelities, each with a readout of its own."""

    name: Literal["joint"] = "joint"
    closing_readout: ReadoutSettings | None = None
    """A fit of the target's readout in closed form at the end, with error bars; null keeps the trained readout."""
    opening_readout: ReadoutSettings | None = None
    """A fit of the target's readout in closed form before the first step, which training starts from; null starts from
    the base's own readout."""


def fit_joint(lift: Lift, settings: JointSettings, context: Context) -> FitResult:
    """Train on every fidelity that ``settings`` name; the result offers all of them.

    Where they name others than the target, the target has the surface of the first of them with reference energies of
    its own, as the method ``offset`` gives them: what the cheap level alone is worth.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, or a readout should be fitted before and there is no base.
    DataError
        When a structure holds an element that the base, or no training structure, knows.
    FitError
        When a fidelity labels nothing, or the training diverges.
    ModelError
        When the base's fidelities differ before the readout, and more than one of them trains.
    """
    return with_closing_readout(_trained(lift, settings, context), lift, settings.closing_readout, context)


def _trained(lift: Lift, settings: JointSettings, context: Context) -> FitResult:
    if settings.fidelities and lift.target not in settings.fidelities:
        return _without_target(lift, settings, next(iter(settings.fidelities)), context)
    data, start = begin(_opened(lift, settings, context), settings, "readouts", context)
    if settings.opening_readout is not None:  # its E0 are fitted, as those of a new fidelity are
        start = replace(start, fitted=(*start.fitted, lift.target))
    return fit_together(start, data, settings.training, settings, context, judge=lift.target)


def _opened(lift: Lift, settings: JointSettings, context: Context) -> Lift:
    """Return the lift with a base that offers the target as a closed-form fit has it, where the settings ask for it."""
    if settings.opening_readout is None:
        return lift
    base = _to_open(lift, settings)
    opened = fit_readout(lift, settings.opening_readout, context).potential
    return replace(
        lift, base=Base(base.potential.with_surface(lift.target, opened.surface(lift.target)), base.fidelity)
    )


def _to_open(lift: Lift, settings: JointSettings) -> Base:
    """Return the base whose features the opening fit reads."""
    base = settings.origin(lift.base)
    if base is None:
        raise ConfigError("opening_readout fits the features of a base: name one, or remove the key.")
    return base


def _without_target(lift: Lift, settings: JointSettings, first: str, context: Context) -> FitResult:
    """Train on the other fidelities alone, then give the target the surface of ``first`` and its own E0."""
    others = _trained(replace(lift, target=first), settings, context)
    trained = replace(lift, base=Base(others.potential, first))
    moved = fit_offset(trained, OffsetSettings(), replace(context, cache=None))
    return replace(
        others,
        potential=moved.potential,
        diagnostics={**others.diagnostics, "n_energies": moved.diagnostics["n_energies"]},
        warnings=(
            *others.warnings,
            f"The labels of {lift.target!r} gave it reference energies and nothing else: the settings let {first!r} "
            "train.",
            *moved.warnings,
        ),
    )


def _expected(lift: Lift, settings: JointSettings, context: Context) -> Expected:
    if settings.fidelities and lift.target not in settings.fidelities:
        lift = replace(lift, target=next(iter(settings.fidelities)))
    if settings.opening_readout is not None:
        _to_open(lift, settings)
    data, start = begin(lift, settings, "readouts", context)
    expected = expected_training(start, data, settings.training, context)
    if settings.opening_readout is not None:
        expected = with_readout_fit(expected, expected_fit(lift, settings.opening_readout, context), "opening_readout")
    return expected_with_closing(expected, start.model, lift, settings.closing_readout, context)


JOINT = Method(settings=JointSettings, fit=fit_joint, base="optional", continues=True, expect=_expected)
