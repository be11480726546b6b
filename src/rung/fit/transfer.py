"""``transfer``: all weights of a base, trained on to the target's labels."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from rung.backends import torch_dtype
from rung.backends.training import trainable
from rung.data.stream import pack
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.heldout import hold_out
from rung.fit.method import Context, FitResult
from rung.fit.normalisation import change_of_reference, refuse_strangers
from rung.fit.outcome import result_of
from rung.fit.processes import require_device
from rung.fit.schedule import Plateau
from rung.fit.stages import TrainingSettings
from rung.fit.trainer import train as run_training
from rung.model.potential import ReadoutPotential
from rung.settings import Settings


class TransferSettings(Settings):
    """Train all weights of the base on the target's labels."""

    name: Literal["transfer"] = "transfer"
    training: TrainingSettings = TrainingSettings(learning_rate=1e-3, schedule=Plateau(warmup=1.0))
    """How; a base is left faster than it is learnt, hence the smaller learning rate."""
    fit_reference: bool = True
    """Whether the change of reference energies is fitted by least squares first, so that weights need not learn it."""


def transfer(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: TransferSettings,
    context: Context,
) -> FitResult:
    """Fit ``target`` by training all weights of ``base`` on ``train``; ``valid`` says when to stop.

    The reference energies of the result are the base's plus the fitted change, and training does not move them.

    Raises
    ------
    ConfigError
        When there is no base, or it does not offer ``context.base_fidelity``.
    DataError
        When a structure holds an element that the base does not know.
    FitError
        When nothing is labelled, or the training diverges.
    """
    require_fidelity(target, fidelities)
    if base is None:
        raise ConfigError("The method 'transfer' starts from a base; name one, or use the method 'scratch'.")
    training = settings.training
    kept, held = hold_out(train, valid, target, training.valid_fraction, context.seed)
    refuse_strangers([*kept, *held], sorted(base.elements))
    rows = pack(kept, [target] * len(kept), base.cutoff, known=(target,), progress=context.progress)
    held_rows = pack(held, [target] * len(held), base.cutoff, known=(target,)) if held else None
    dtype = torch_dtype(context.dtype)
    assert dtype is not None  # noqa: S101 - only None gives None
    model = trainable(base, {target: context.base_fidelity}).to(require_device(context.device), dtype)
    warnings: tuple[str, ...] = ()
    facts: dict[str, float] = {}
    if settings.fit_reference and np.isfinite(rows.energy).any():
        floor, size = training.loss.energy_floor, training.valid_batch_size
        fit = change_of_reference(model, kept, rows, floor, size)[target]
        reference = model.references[target].moved(fit.elements, fit.energies)
        model.set_references({target: reference})
        warnings, facts = fit.warnings, {"reference_rank": float(fit.rank)}
    trained = run_training(
        model,
        rows,
        held_rows,
        training,
        seed=context.seed,
        device=context.device,
        dtype=dtype,
        folder=context.folder,
        progress=context.progress,
    )
    return result_of(model, trained, settings, rows, held_rows, facts, warnings)
