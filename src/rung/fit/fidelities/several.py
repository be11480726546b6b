"""What the methods that train on several fidelities share: from labels to packed rows, a model, and a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import Field, field_validator

from rung.backends import torch_dtype
from rung.backends.architectures import AnyArchitecture, new_architecture
from rung.backends.training import build_trainable, trainable
from rung.data.elements import require_element, symbols
from rung.data.frames import names_of, select
from rung.data.stream import PackedRows
from rung.data.structure import elements_in
from rung.errors import ConfigError, DataError
from rung.fidelity import require_fidelity
from rung.fit.fidelities.agreement import Agreement, agreement, step_zero
from rung.fit.fidelities.normalisation import normalisation, refuse_strangers
from rung.fit.fidelities.references import close_references, move_references, named
from rung.fit.fidelities.replay import with_own_labels
from rung.fit.fidelities.rows import FidelityRows, RowSettings, restricted, split_rows, training_fidelities
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.method import NamedSettings
from rung.fit.training.outcome import fidelity_errors, result_of
from rung.fit.training.stages import SeveralTraining, TrainingSettings
from rung.fit.training.trainer import train as run_training
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.device import require_device
from rung.model.potential import ReadoutPotential
from rung.model.trainable import TrainablePotential
from rung.settings import Settings


class SeveralSettings(NamedSettings, RowSettings):
    """What a method that trains one model on several fidelities is told."""

    start: Literal["base", "new"] = "base"
    """From the base where the config names one, or a new model in any case."""
    architecture: AnyArchitecture = Field(default_factory=new_architecture)
    """The shape of a new model; a base brings its own."""
    training: SeveralTraining = SeveralTraining()
    """How it is trained."""
    reference_energies: dict[str, dict[str, float]] | None = None
    """eV by fidelity and element symbol for a new model; by default least squares on the training energies."""

    @field_validator("reference_energies")
    @classmethod
    def _are_elements(cls, energies: dict[str, dict[str, float]] | None) -> dict[str, dict[str, float]] | None:
        for symbol in {symbol for of_one in (energies or {}).values() for symbol in of_one}:
            require_element(symbol)
        return energies

    def origin(self, base: Base | None) -> Base | None:
        """Return what the training starts from; None for a new model."""
        return None if self.start == "new" else base


@dataclass(frozen=True)
class TrainingData:
    """The rows of a training on one fidelity or several.

    Parameters
    ----------
    rows, held
        What is learnt, and what chooses the epoch.
    packed, held_packed
        The same with neighbours; None where nothing is held out.
    """

    rows: FidelityRows
    held: FidelityRows
    packed: PackedRows
    held_packed: PackedRows | None

    @property
    def names(self) -> tuple[str, ...]:
        """The fidelities, the target first."""
        return self.rows.names


@dataclass(frozen=True)
class Start:
    """A model before its first step.

    Parameters
    ----------
    model
        It.
    facts
        Numbers of how it was made, for the diagnostics.
    warnings
        Sentences that the user must read.
    offered
        Fidelities of the base that are trained on: their errors are reported before the training too.
    fitted
        Fidelities whose reference energies were fitted to the rows; they are fitted once more after the training.
    new
        Whether its weights are random.
    """

    model: TrainablePotential
    facts: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()
    new: bool = False


def training_data(lift: Lift, settings: RowSettings, cutoff: float, fraction: float, context: Context) -> TrainingData:
    """Return the rows that ``settings`` choose.

    Parameters
    ----------
    lift
        Structures to learn from and, where given, to choose by; the base gives labels where the settings ask for them.
    settings
        Which labels, on which geometries.
    cutoff
        Å, within which atoms are neighbours.
    fraction
        Share of the geometries held out where ``lift.valid`` is empty.
    context
        Seed, folder, progress.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, or the base's own labels are asked for where it has none.
    FitError
        When a fidelity that should train labels nothing.
    """
    chosen, target = settings.fidelities or {}, lift.target
    train, valid = (
        with_own_labels(structures, lift.base, chosen, context.progress) for structures in (lift.train, lift.valid)
    )
    names = training_fidelities(train, tuple(lift.fidelities), target, settings)
    everywhere = settings.model_copy(update={"geometries": "all"})
    rows, held = split_rows(
        restricted(train, names, target, settings),
        restricted(valid, names, target, everywhere),
        names,
        fraction,
        context.seed,
    )
    packed = rows.packed(cutoff, context.progress, context.folder)
    return TrainingData(rows, held, packed, held.packed(cutoff, folder=context.folder) if len(held) else None)


def begin(
    lift: Lift,
    settings: SeveralSettings,
    conditioning: Conditioning,
    context: Context,
    *,
    one_scale: bool = False,
) -> tuple[TrainingData, Start]:
    """Return the rows and the model of a training: from the base where the settings start there, or else a new one.

    Parameters
    ----------
    lift
        Labels and base.
    settings
        Which rows train, from what, and how.
    conditioning
        What each fidelity has of its own.
    context
        Seed, type, folder, progress.
    one_scale
        Whether all fidelities of a new model have one scale of the interaction energy.

    Raises
    ------
    ConfigError, DataError, FitError
        As :func:`training_data`, :func:`start_new` and :func:`start_from`.
    """
    origin, training = settings.origin(lift.base), settings.training
    cutoff = settings.architecture.cutoff if origin is None else origin.potential.cutoff
    data = training_data(lift, settings, cutoff, training.valid_fraction, context)
    if origin is not None:
        return data, start_from(origin, data, conditioning, training, context)
    floor, references = training.loss.energy_floor, settings.reference_energies
    return data, start_new(settings.architecture, data, conditioning, floor, references, context, one_scale=one_scale)


def start_new(
    architecture: Architecture,
    data: TrainingData,
    conditioning: Conditioning,
    floor: float,
    references: Mapping[str, Mapping[str, float]] | None,
    context: Context,
    *,
    one_scale: bool = False,
) -> Start:
    """Return a new model with random weights.

    Parameters
    ----------
    architecture
        Its shape.
    data
        What it will learn; reference energies and scales are measured on it.
    conditioning
        What each fidelity has of its own.
    floor
        eV/atom, the model's own error in the fit of reference energies.
    references
        Reference energies that the user gave, by fidelity and symbol.
    context
        Seed and type.
    one_scale
        Whether all fidelities have one scale of the interaction energy.

    Raises
    ------
    ConfigError
        When a fidelity of ``references`` is unknown, or an element is missing there.
    DataError
        When what is held out, or what the model will be asked for, has an element that no training structure has.
    """
    elements = data.rows.elements
    refuse_strangers(data.held.structures, elements)
    _require_asked(context, elements)
    for name in references or {}:
        require_fidelity(name, data.names)
    measured = normalisation(data.rows.structures, data.packed, elements, floor, references)
    scales = {
        name: (measured.common_scale if one_scale else scale, shift) for name, (scale, shift) in measured.scales.items()
    }
    model = build_trainable(
        architecture,
        references=measured.references,
        elements=elements,
        avg_num_neighbors=measured.avg_num_neighbors,
        scales=scales,
        seed=context.seed,
        dtype=dtype_of(context),
        conditioning=conditioning,
    )
    facts = {"avg_num_neighbors": measured.avg_num_neighbors}
    several = len(data.names) > 1
    for name, (scale, shift) in scales.items():
        facts |= {f"scale_{name}" if several else "scale": scale, f"shift_{name}" if several else "shift": shift}
    fitted = tuple(name for name in data.names if name not in (references or {}))
    return Start(model, facts, measured.warnings, fitted=fitted, new=True)


def _require_asked(context: Context, elements: Sequence[int]) -> None:
    held = {number for structures in context.evaluated for number in elements_in(structures)}
    if unknown := held.difference(elements):
        raise DataError(
            f"No structure that trains the new model holds {symbols(unknown)}, which structures to evaluate on hold, "
            "so it could say nothing of them: give it labels of such structures, or leave these out of data.evaluate."
        )


def start_from(
    base: Base,
    data: TrainingData,
    conditioning: Conditioning,
    training: TrainingSettings,
    context: Context,
    *,
    kept: Sequence[str] = (),
) -> Start:
    """Return the base as a model to train: every fidelity starts as the base's surface of it, or else as the base.

    The reference energies of a fidelity that the base does not offer are the base's plus a change, fitted by least
    squares, so that weights need not learn it. Fidelities of the base that are ``kept`` are in the model without rows.

    Raises
    ------
    DataError
        When a structure holds an element that the base does not know.
    """
    potential = base.potential  # not folded: what a fidelity has of its own already is where its training goes on
    for rows in (data.rows, data.held):
        refuse_strangers(rows.structures, sorted(potential.elements))
    starts = {name: name if name in potential.fidelities else base.fidelity for name in (*data.names, *kept)}
    model = trainable(potential, starts, conditioning).to(require_device(context.device), dtype_of(context))
    new = [name for name in data.names if name not in potential.fidelities]
    start = beside_base(with_fitted_references(model, data, new, training), potential, starts, data)
    return replace(start, offered=tuple(name for name in data.names if name in potential.fidelities))


def beside_base(start: Start, base: ReadoutPotential, starts: Mapping[str, str], data: TrainingData) -> Start:
    """Return the start with its distance from the base that it came from; ``starts`` as in ``trainable``."""
    distance = step_zero(start.model, base, starts, data.rows.structures)
    return replace(start, facts={**start.facts, **distance.facts}, warnings=(*start.warnings, *distance.warnings))


def with_fitted_references(
    model: TrainablePotential, data: TrainingData, fidelities: Sequence[str], training: TrainingSettings
) -> Start:
    """Return the model with the change of reference energies of ``fidelities`` fitted to the rows."""
    changes = move_references(model, data.rows.structures, data.packed, fidelities, training)
    facts = {named("reference_rank", name, fidelities): float(fit.rank) for name, fit in changes.items()}
    warnings = tuple(sentence for fit in changes.values() for sentence in fit.warnings)
    return Start(model, facts, warnings, fitted=tuple(changes))


def fit_together(
    start: Start,
    data: TrainingData,
    training: TrainingSettings,
    settings: Settings,
    context: Context,
    *,
    judge: str | None,
) -> FitResult:
    """Train a model on all rows, and return it with its errors at each fidelity.

    Parameters
    ----------
    start
        The model.
    data
        What it learns.
    training
        How; where it has no learning rate, a new model and a base have their own.
    settings
        The method's settings, for the result.
    context
        Seed, device, folder, progress.
    judge
        The fidelity whose validation chooses the epoch, as ``target`` of :func:`rung.fit.training.trainer.train`.
    """
    model, held, training = start.model, data.held_packed, training.starting(new=start.new)
    facts, warnings = dict(start.facts), start.warnings
    for compared in _agreements(model, data):
        facts, warnings = {**facts, **compared.facts}, (*warnings, *compared.warnings)
    if held is not None and start.offered:
        before = fidelity_errors(model.to(require_device(context.device), dtype_of(context)), held, training)
        facts |= {f"{key}_before": value for name in start.offered for key, value in before.get(name, {}).items()}
    trained = run_training(
        model,
        data.packed,
        held,
        training,
        seed=context.seed,
        target=judge,
        device=context.device,
        dtype=dtype_of(context),
        folder=context.folder,
        progress=context.progress,
    )
    rows = data.rows.structures, data.packed
    facts |= close_references(model, *rows, held, start.fitted, training)
    return result_of(model, trained, settings, data.packed, held, facts, warnings)


def _agreements(model: TrainablePotential, data: TrainingData) -> list[Agreement]:
    """Compare what each other fidelity asks of the shared weights with what the target does, geometry by geometry."""
    target, *others = data.names
    if not others:
        return []
    first = {name: place for place, name in reversed(list(enumerate(names_of(data.rows.structures))))}
    geometries = select(data.rows.structures, sorted(first.values()))
    return [agreement(model, geometries, name, target) for name in others]


def dtype_of(context: Context) -> torch.dtype:
    """Return the type in which a model is trained."""
    dtype = torch_dtype(context.dtype)
    if dtype is None:
        raise ConfigError("A training needs the type of its model.")
    return dtype
