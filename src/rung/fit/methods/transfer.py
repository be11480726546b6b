"""``transfer``: weights of a base, trained on to the target's labels.

Which of them move, what holds them back, what keeps the base's fidelity alive and what is fitted at the end are pieces
that each stand alone.
"""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from rung.backends.training import trainable, with_lora
from rung.fit.fidelities.expected import expected_training
from rung.fit.fidelities.normalisation import refuse_strangers
from rung.fit.fidelities.replay import Replay, with_replay
from rung.fit.fidelities.rows import FidelityLabels, RowSettings
from rung.fit.fidelities.several import (
    Start,
    TrainingData,
    beside_base,
    dtype_of,
    fit_together,
    training_data,
    with_fitted_references,
)
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import Expected, Method, NamedSettings
from rung.fit.methods.closing import expected_with_closing, with_closing_readout
from rung.fit.methods.readout import ReadoutSettings
from rung.fit.training.blocks import Blocks, freeze_others
from rung.fit.training.schedule import Plateau, Schedule
from rung.fit.training.stages import TrainingSettings
from rung.model.device import require_device
from rung.settings import Settings


class LoraSettings(Settings):
    """Low-rank adapters at every linear layer (LoRA, Hu et al., arXiv:2106.09685), merged at the end."""

    rank: int = Field(default=4, ge=1, le=4096)
    """Rank of each adapter."""
    alpha: float = Field(default=8.0, gt=0)
    """The adapters' product is multiplied by alpha / rank."""


class TransferTraining(TrainingSettings):
    """How a base is trained on."""

    schedule: Schedule = Plateau(warmup=1.0)
    """How the learning rate changes."""


class TransferSettings(NamedSettings):
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


def fit_transfer(lift: Lift, settings: TransferSettings, context: Context) -> FitResult:
    """Fit the target by training weights of the base on ``lift.train``; ``lift.valid`` says when to stop.

    The reference energies of the result are the base's plus the fitted change, and training does not move them. With
    replay the result offers the base's fidelity too.

    Raises
    ------
    ConfigError
        When there is no base, or no tensor would move.
    DataError
        When a structure holds an element that the base does not know.
    FitError
        When nothing is labelled, or the training diverges.
    """
    data, start = _begun(lift, settings, context)
    result = fit_together(start, data, settings.training, settings, context, judge=lift.target)
    return with_closing_readout(result, lift, settings.closing_readout, context)


def _begun(lift: Lift, settings: TransferSettings, context: Context) -> tuple[TrainingData, Start]:
    base = lift.require_base("transfer")
    data = _data(lift, base, settings, context)
    refuse_strangers([*data.rows.structures, *data.held.structures], sorted(base.plain.elements))
    return data, _start(base, data, settings, context)


def _expected(lift: Lift, settings: TransferSettings, context: Context) -> Expected:
    data, start = _begun(lift, settings, context)
    training = expected_training(start, data, settings.training, context)
    return expected_with_closing(training, start.model, lift, settings.closing_readout, context)


def _data(lift: Lift, base: Base, settings: TransferSettings, context: Context) -> TrainingData:
    """Return the target's rows, and those to be replayed after them."""
    chosen = {lift.target: FidelityLabels()}
    if settings.replay is not None:
        chosen[base.fidelity] = FidelityLabels()
        lift = replace(lift, train=with_replay(lift.train, base, lift.target, settings.replay, context))
    rows = RowSettings(fidelities=chosen)
    return training_data(lift, rows, base.plain.cutoff, settings.training.valid_fraction, context)


def _start(base: Base, data: TrainingData, settings: TransferSettings, context: Context) -> Start:
    """Return the base as a model of which only what the settings let move does."""
    target, *replayed = data.names
    apart = settings.replay is not None and settings.replay.through == "own"
    starts = dict.fromkeys(data.names, base.fidelity)
    model = trainable(base.plain, starts, "readouts" if apart else "shared")
    model.to(require_device(context.device), dtype_of(context))
    start = with_fitted_references(model, data, (target,) if settings.fit_reference else (), settings.training)
    if settings.lora is not None:
        adapted = with_lora(start.model, rank=settings.lora.rank, alpha=settings.lora.alpha, seed=context.seed)
        start = replace(start, model=adapted)
    freeze_others(start.model, settings.blocks)
    return replace(beside_base(start, base.plain, starts, data), offered=tuple(replayed))


TRANSFER = Method(settings=TransferSettings, fit=fit_transfer, base="needed", expect=_expected)
