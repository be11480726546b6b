"""``transfer``: weights of a base, trained on to the target's labels.

Which of them move, what holds them back, what keeps the base's fidelity alive and what is fitted at the end are pieces
that each stand alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from rung.backends.training import trainable, with_lora
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.fidelities.normalisation import refuse_strangers
from rung.fit.fidelities.replay import Replay, with_replay
from rung.fit.fidelities.rows import FidelityLabels, RowSettings
from rung.fit.fidelities.several import (
    Lesson,
    Start,
    beside_base,
    dtype_of,
    fit_together,
    lesson,
    with_fitted_references,
)
from rung.fit.lift import Context, FitResult
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.training.blocks import Blocks, freeze_others
from rung.fit.training.processes import require_device
from rung.fit.training.schedule import Plateau, Schedule
from rung.fit.training.stages import TrainingSettings
from rung.model.potential import ReadoutPotential
from rung.settings import Settings


class LoraSettings(Settings):
    """Low-rank adapters at every linear layer (LoRA, Hu et al., arXiv:2106.09685), merged at the end."""

    rank: int = Field(default=4, ge=1)
    """Rank of each adapter."""
    alpha: float = Field(default=8.0, gt=0)
    """The adapters' product is multiplied by alpha / rank."""


class TransferTraining(TrainingSettings):
    """How a base is trained on: it is left faster than it is learnt."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Of the optimizer, before the schedule."""
    schedule: Schedule = Plateau(warmup=1.0)
    """How the learning rate changes."""


class TransferSettings(Settings):
    """Train weights of the base on the target's labels."""

    name: Literal["transfer"] = "transfer"
    training: TransferTraining = TransferTraining()
    """How."""
    fit_reference: bool = True
    """Whether the change of reference energies is fitted by least squares first, so that weights need not learn it."""
    blocks: Blocks = "all"
    """Which tensors move: all, a part that the base's backend knows (of MACE: readouts, products, last_layer, layers),
    or a list of regular expressions."""
    lora: LoraSettings | None = None
    """Adapters that move in place of the weights; null moves the weights themselves."""
    replay: Replay | None = None
    """What is trained on at the base's fidelity beside the target; null forgets it."""
    closing_readout: ReadoutSettings | None = None
    """A fit of the trained model's readout in closed form at the end; null keeps the trained readout."""


def transfer(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: TransferSettings,
    context: Context,
) -> FitResult:
    """Fit ``target`` by training weights of ``base`` on ``train``; ``valid`` says when to stop.

    The reference energies of the result are the base's plus the fitted change, and training does not move them. With
    replay the result offers the base's fidelity too.

    Raises
    ------
    ConfigError
        When there is no base, it does not offer ``context.base_fidelity``, or no tensor would move.
    DataError
        When a structure holds an element that the base does not know.
    FitError
        When nothing is labelled, or the training diverges.
    """
    require_fidelity(target, fidelities)
    if base is None:
        raise ConfigError("The method 'transfer' starts from a base; name one, or use the method 'scratch'.")
    given = _lesson(train, valid, base, target, settings, context)
    refuse_strangers([*given.rows.structures, *given.held.structures], sorted(base.elements))
    begun = _start(base, given, settings, context)
    replayed = given.names[1:]
    result = fit_together(begun, given, settings.training, settings, replayed, context)
    if settings.closing_readout is None:
        return result
    return _closed(result, train, fidelities, target, settings.closing_readout, context)


def _lesson(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential,
    target: str,
    settings: TransferSettings,
    context: Context,
) -> Lesson:
    """Return the target's rows, and those to be replayed after them."""
    chosen = {target: FidelityLabels()}
    if settings.replay is not None:
        chosen[context.base_fidelity] = FidelityLabels()
        train = with_replay(train, base, target, settings.replay, context)
    rows = RowSettings(fidelities=chosen)
    fraction = settings.training.valid_fraction
    return lesson(train, valid, base, tuple(chosen), target, rows, base.cutoff, fraction, context)


def _start(base: ReadoutPotential, given: Lesson, settings: TransferSettings, context: Context) -> Start:
    """Return the base as a model of which only what the settings let move does."""
    own = settings.replay is not None and settings.replay.through == "own"
    starts = dict.fromkeys(given.names, context.base_fidelity)
    model = trainable(base, starts, "readouts" if own else "shared")
    model.to(require_device(context.device), dtype_of(context))
    new = given.names[:1] if settings.fit_reference else ()
    begun = with_fitted_references(model, given, new, settings.training)
    if settings.lora is not None:
        adapted = with_lora(begun.model, rank=settings.lora.rank, alpha=settings.lora.alpha, seed=context.seed)
        begun = replace(begun, model=adapted)
    freeze_others(begun.model, settings.blocks)
    return beside_base(begun, base, starts, given)


def _closed(
    result: FitResult,
    train: Sequence[Structure],
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: ReadoutSettings,
    context: Context,
) -> FitResult:
    """Return the trained potential with its readout fitted in closed form, and what both fits say."""
    trained = replace(context, base_fidelity=target)
    closed = fit_readout(train, (), result.potential, fidelities, target, settings, trained)
    return FitResult(
        potential=closed.potential,
        posterior=closed.posterior,
        settings=result.settings,
        diagnostics={**closed.diagnostics, **result.diagnostics},
        warnings=(*result.warnings, *closed.warnings),
        details={**closed.details, **result.details},
    )
