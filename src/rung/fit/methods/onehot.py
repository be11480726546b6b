"""``onehot``: one model told by a one-hot vector which fidelity it should speak at (Kim et al., arXiv:2409.07947).

All weights are shared; what a fidelity has of its own is what its entry of that vector is multiplied with. At one
fidelity the vector is a constant, so each fidelity folds into a plain model of the same cost.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rung.errors import ConfigError
from rung.fit.fidelities.expected import expected_training
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.rows import FidelityLabels
from rung.fit.fidelities.several import (
    SeveralSettings,
    Start,
    TrainingData,
    begin,
    fit_together,
    start_from,
    training_data,
)
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import Expected, Method
from rung.fit.methods.closing import expected_with_closing, with_closing_readout
from rung.fit.methods.readout import ReadoutSettings
from rung.model.potential import ReadoutPotential


class OneHotSettings(SeveralSettings):
    """Train one model on several fidelities, each with a few numbers of its own inside it.

    Where the base's fidelity labels no training structure and ``fidelities`` is not given, the base's own energies and
    forces stand in for its labels.
    """

    name: Literal["onehot"] = "onehot"
    form: Literal["embedding", "all"] = "all"
    """Where a fidelity enters: ``embedding``, a vector added to every element's embedding; ``all``, that, and biases on
    the scalars inside every layer and in the readout."""
    scale: Literal["shared", "own"] = "shared"
    """Whether the fidelities of a new model have one scale of the interaction energy, the size of all forces, or each
    that of its own; from a base each has the scale of what it starts from."""
    trains: Literal["all", "fidelity"] = "all"
    """What moves: all weights, or the target's own numbers alone, which leaves the base's fidelities bit for bit as
    they were."""
    closing_readout: ReadoutSettings | None = None
    """A fit of the target's readout in closed form at the end, with error bars; null keeps the trained readout."""


def fit_onehot(lift: Lift, settings: OneHotSettings, context: Context) -> FitResult:
    """Train on every fidelity that ``settings`` name; the result offers all of them.

    A base may be a model of one fidelity, or one of several that this method made: then a fidelity that it lacks is
    added. Reference energies are each fidelity's own.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, or there is no base although only the target's own numbers should move.
    DataError
        When a structure holds an element that the base, or no training structure, knows.
    FitError
        When a fidelity labels nothing, or the training diverges.
    ModelError
        When the base's fidelities differ in what this form lets them share.
    """
    return with_closing_readout(_trained(lift, settings, context), lift, settings.closing_readout, context)


def _trained(lift: Lift, settings: OneHotSettings, context: Context) -> FitResult:
    data, start = _begun(lift, settings, context)
    return fit_together(start, data, settings.training, settings, context, judge=lift.target)


def _begun(lift: Lift, settings: OneHotSettings, context: Context) -> tuple[TrainingData, Start]:
    """Return the rows, and the model before its first step, with what must not move held."""
    origin = settings.origin(lift.base)
    if settings.trains == "fidelity":
        return _target_alone(lift, origin, settings, context)
    rows = settings if origin is None else _with_stand_ins(lift, origin, settings)
    data, start = begin(lift, rows, settings.form, context, one_scale=settings.scale == "shared")
    if origin is not None:
        start = replace(start, warnings=(*start.warnings, *_dropped(origin.potential, data.names)))
    return data, start


def _target_alone(
    lift: Lift, base: Base | None, settings: OneHotSettings, context: Context
) -> tuple[TrainingData, Start]:
    """Let what only the target's rows use move, on the target's rows alone: no other row could move it."""
    if base is None:
        raise ConfigError("trains: fidelity adds a fidelity to a base; name one, or let all weights train.")
    training, target = settings.training, lift.target
    chosen = {target: (settings.fidelities or {}).get(target, FidelityLabels())}
    rows = settings.model_copy(update={"fidelities": chosen})
    data = training_data(lift, rows, base.potential.cutoff, training.valid_fraction, context)
    kept = [name for name in base.potential.fidelities if name != target]
    start = replace(start_from(base, data, settings.form, training, context, kept=kept), offered=())
    moving = set(start.model.parameters_of(target))
    for name, parameter in start.model.named_parameters():
        parameter.requires_grad_(name in moving)
    return data, start


def _with_stand_ins(lift: Lift, base: Base, settings: OneHotSettings) -> OneHotSettings:
    """Return the settings with the base's own labels asked for where there are no labels of its fidelity at all."""
    if settings.fidelities is not None or base.fidelity == lift.target or labelled_by(lift.train, base.fidelity):
        return settings
    named = [name for name in lift.fidelities if name == lift.target or labelled_by(lift.train, name)]
    chosen = {name: FidelityLabels() for name in named}
    return settings.model_copy(update={"fidelities": {**chosen, base.fidelity: FidelityLabels(absent="base")}})


def _dropped(base: ReadoutPotential, trained: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence on the fidelities of the base that the result lacks: shared weights move, no label trains."""
    lost = [name for name in base.fidelities if name not in trained]
    if not lost:
        return ()
    return (
        f"The base offers {', '.join(lost)} too, which no label trains while the shared weights move, so the result "
        "does not offer it; give it labels, or use trains: fidelity.",
    )


def _expected(lift: Lift, settings: OneHotSettings, context: Context) -> Expected:
    data, start = _begun(lift, settings, context)
    training = expected_training(start, data, settings.training, context)
    return expected_with_closing(training, start.model, lift, settings.closing_readout, context)


ONEHOT = Method(settings=OneHotSettings, fit=fit_onehot, base="optional", continues=True, expect=_expected)
