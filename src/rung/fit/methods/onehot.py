"""``onehot``: one model told by a one-hot vector which fidelity it should speak at (Kim et al., arXiv:2409.07947).

All weights are shared; what a fidelity has of its own is what its entry of that vector is multiplied with. At one
fidelity the vector is a constant, so each fidelity folds into a plain model of the same cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from rung.backends.architectures import AnyArchitecture, new_architecture
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.rows import FidelityLabels, RowSettings
from rung.fit.fidelities.several import fit_together, lesson, start_from, start_new
from rung.fit.lift import Context, FitResult
from rung.fit.training.stages import SeveralTraining
from rung.model.potential import ReadoutPotential


class OneHotSettings(RowSettings):
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
    start: Literal["base", "new"] = "base"
    """From the base where the config names one, or a new model in any case."""
    architecture: AnyArchitecture = Field(default_factory=new_architecture)
    """The shape of a new model; a base brings its own."""
    training: SeveralTraining = SeveralTraining()
    """How it is trained."""
    reference_energies: dict[str, dict[str, float]] | None = None
    """eV by fidelity and element symbol for a new model; by default least squares on the training energies."""


def onehot(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: OneHotSettings,
    context: Context,
) -> FitResult:
    """Train on every fidelity that ``settings`` name; the result offers all of them.

    A base may be a model of one fidelity, or one of several that this method made: then a fidelity that it lacks is
    added. Reference energies are each fidelity's own.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, the base does not offer ``context.base_fidelity``, or there is no base although only
        the target's own numbers should move.
    DataError
        When a structure holds an element that the base, or no training structure, knows.
    FitError
        When a fidelity labels nothing, or the training diverges.
    ModelError
        When the base's fidelities differ in what this form lets them share.
    """
    require_fidelity(target, fidelities)
    origin = None if settings.start == "new" else base
    if settings.trains == "fidelity":
        return _target_alone(train, valid, origin, fidelities, target, settings, context)
    rows = settings if origin is None else _with_stand_ins(train, fidelities, target, settings, context)
    cutoff = settings.architecture.cutoff if origin is None else origin.cutoff
    training = settings.training
    given = lesson(train, valid, base, tuple(fidelities), target, rows, cutoff, training.valid_fraction, context)
    if origin is None:
        begun = start_new(
            settings.architecture,
            given,
            settings.form,
            training.loss.energy_floor,
            settings.reference_energies,
            context,
            one_scale=settings.scale == "shared",
        )
        return fit_together(begun, given, training, settings, (), context)
    begun = start_from(origin, given, settings.form, training, context)
    begun = replace(begun, warnings=(*begun.warnings, *_dropped(origin, given.names)))
    offered = [name for name in given.names if name in origin.fidelities]
    return fit_together(begun, given, training, settings, offered, context)


def _target_alone(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: OneHotSettings,
    context: Context,
) -> FitResult:
    """Train what only the target's rows use, on the target's rows alone: no other row could move it."""
    if base is None:
        raise ConfigError("trains: fidelity adds a fidelity to a base; name one, or let all weights train.")
    training = settings.training
    chosen = {target: (settings.fidelities or {}).get(target, FidelityLabels())}
    rows = settings.model_copy(update={"fidelities": chosen})
    given = lesson(train, valid, base, tuple(fidelities), target, rows, base.cutoff, training.valid_fraction, context)
    kept = [name for name in base.fidelities if name != target]
    begun = start_from(base, given, settings.form, training, context, kept=kept)
    own = set(begun.model.parameters_of(target))
    for name, parameter in begun.model.named_parameters():
        parameter.requires_grad_(name in own)
    return fit_together(begun, given, training, settings, (), context)


def _with_stand_ins(
    train: Sequence[Structure],
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: OneHotSettings,
    context: Context,
) -> OneHotSettings:
    """Return the settings with the base's own labels asked for where there are no labels of its fidelity at all."""
    source = context.base_fidelity
    if settings.fidelities is not None or source == target or labelled_by(train, source):
        return settings
    named = [name for name in fidelities if name == target or labelled_by(train, name)]
    chosen = {name: FidelityLabels() for name in named}
    return settings.model_copy(update={"fidelities": {**chosen, source: FidelityLabels(absent="base")}})


def _dropped(base: ReadoutPotential, trained: Sequence[str]) -> tuple[str, ...]:
    """Say which fidelities of the base the result does not offer: shared weights move, and no label holds them."""
    lost = [name for name in base.fidelities if name not in trained]
    if not lost:
        return ()
    return (
        f"The base offers {', '.join(lost)} too, which no label trains while the shared weights move, so the result "
        "does not offer it; give it labels, or use trains: fidelity.",
    )
