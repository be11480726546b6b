"""``scratch``: a new model, trained on the target's own energies and forces. This is how a base is made."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ase.data import atomic_numbers
from pydantic import Field, field_validator

from rung.backends import torch_dtype
from rung.backends.architectures import AnyArchitecture, new_architecture
from rung.backends.training import build_trainable
from rung.data.packing import pack_rows
from rung.data.structure import Structure, elements_in
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.fidelities.heldout import hold_out
from rung.fit.fidelities.normalisation import normalisation, refuse_strangers
from rung.fit.lift import Context, FitResult
from rung.fit.training.outcome import result_of
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train as run_training
from rung.model.potential import ReadoutPotential
from rung.settings import Settings


class ScratchSettings(Settings):
    """Train a new model on the target alone."""

    name: Literal["scratch"] = "scratch"
    architecture: AnyArchitecture = Field(default_factory=new_architecture)
    """The shape of the model."""
    training: TrainingSettings = TrainingSettings()
    """How it is trained."""
    reference_energies: dict[str, float] | None = None
    """eV by element symbol, such as those of isolated atoms; by default least squares on the training energies."""

    @field_validator("reference_energies")
    @classmethod
    def _are_elements(cls, energies: dict[str, float] | None) -> dict[str, float] | None:
        unknown = [symbol for symbol in energies or {} if symbol not in atomic_numbers]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not an element")
        return energies


def scratch(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: ScratchSettings,
    context: Context,
) -> FitResult:
    """Fit ``target`` by a new model trained on ``train``; ``valid`` says when to stop.

    Raises
    ------
    ConfigError
        When a base is given: it would not be used.
    DataError
        When a validation structure holds an element that no training structure does.
    FitError
        When nothing is labelled, or the training diverges.
    """
    require_fidelity(target, fidelities)
    if base is not None:
        raise ConfigError(
            "The method 'scratch' trains a new model and uses no base; the method 'transfer' starts from one."
        )
    training = settings.training
    kept, held = hold_out(train, valid, target, training.valid_fraction, context.seed)
    elements = elements_in(kept)
    refuse_strangers(held, elements)
    cutoff = settings.architecture.cutoff
    folder = context.folder
    rows = pack_rows(kept, [target] * len(kept), cutoff, names=(target,), folder=folder, progress=context.progress)
    held_rows = pack_rows(held, [target] * len(held), cutoff, names=(target,), folder=folder) if held else None
    given = None if settings.reference_energies is None else {target: settings.reference_energies}
    start = normalisation(kept, rows, elements, training.loss.energy_floor, given)
    dtype = torch_dtype(context.dtype)
    assert dtype is not None  # noqa: S101 - only None gives None
    model = build_trainable(
        settings.architecture,
        references=start.references,
        elements=elements,
        avg_num_neighbors=start.avg_num_neighbors,
        scales=start.scales,
        seed=context.seed,
        dtype=dtype,
    )
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
    scale, shift = start.scales[target]
    facts = {"scale": scale, "shift": shift, "avg_num_neighbors": start.avg_num_neighbors}
    return result_of(model, trained, settings, rows, held_rows, facts, start.warnings)
