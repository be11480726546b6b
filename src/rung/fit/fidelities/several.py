"""What the methods that train on several fidelities share: from labels to packed rows, a model, and a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from rung.backends import torch_dtype
from rung.backends.training import build_trainable, trainable
from rung.data.frames import names_of, select
from rung.data.stream import PackedRows
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fidelity import require_fidelity
from rung.fit.fidelities.agreement import agreement, step_zero
from rung.fit.fidelities.normalisation import change_of_reference, normalisation, refuse_strangers
from rung.fit.fidelities.replay import with_own_labels
from rung.fit.fidelities.rows import FidelityRows, RowSettings, restricted, split_rows, training_fidelities
from rung.fit.lift import Context, FitResult
from rung.fit.training.outcome import fidelity_errors, result_of
from rung.fit.training.processes import require_device
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train as run_training
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.trainable import TrainablePotential
from rung.settings import Settings


@dataclass(frozen=True)
class Lesson:
    """The rows of a training on several fidelities.

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
    """A model before its first step, with numbers and warnings of how it was made."""

    model: TrainablePotential
    facts: Mapping[str, float]
    warnings: tuple[str, ...] = ()


def lesson(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    known: Sequence[str],
    target: str,
    settings: RowSettings,
    cutoff: float,
    fraction: float,
    context: Context,
) -> Lesson:
    """Return the rows that ``settings`` choose.

    Parameters
    ----------
    train, valid
        Structures to learn from and, where given, to choose by.
    base
        Gives labels where the settings ask for its own.
    known, target
        The fidelities of the config, and the one to lift to.
    settings
        Which labels, on which geometries.
    cutoff
        Å, within which atoms are neighbours.
    fraction
        Share of the geometries held out where ``valid`` is empty.
    context
        Seed, base fidelity, progress.

    Raises
    ------
    ConfigError
        When a fidelity is unknown, or the base's own labels are asked for where it has none.
    FitError
        When a fidelity that should train labels nothing.
    """
    require_fidelity(target, known)
    chosen = settings.fidelities or {}
    train, valid = (
        with_own_labels(structures, base, context.base_fidelity, chosen, context.progress)
        for structures in (train, valid)
    )
    names = training_fidelities(train, known, target, settings)
    everywhere = settings.model_copy(update={"geometries": "all"})
    rows, held = split_rows(
        restricted(train, names, target, settings),
        restricted(valid, names, target, everywhere),
        names,
        fraction,
        context.seed,
    )
    packed = rows.packed(cutoff, context.progress, context.folder)
    return Lesson(rows, held, packed, held.packed(cutoff, folder=context.folder) if len(held) else None)


def start_new(
    architecture: Architecture,
    given: Lesson,
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
    given
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
    """
    elements = given.rows.elements
    refuse_strangers(given.held.structures, elements)
    for name in references or {}:
        require_fidelity(name, given.names)
    measured = normalisation(given.rows.structures, given.packed, elements, floor, references)
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
    several = len(given.names) > 1
    for name, (scale, shift) in scales.items():
        facts |= {f"scale_{name}" if several else "scale": scale, f"shift_{name}" if several else "shift": shift}
    return Start(model, facts, measured.warnings)


def start_from(
    base: ReadoutPotential,
    given: Lesson,
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
    ConfigError
        When the base does not offer ``context.base_fidelity``.
    DataError
        When a structure holds an element that the base does not know.
    """
    for rows in (given.rows, given.held):
        refuse_strangers(rows.structures, sorted(base.elements))
    origin = require_fidelity(context.base_fidelity, base.fidelities)
    starts = {name: name if name in base.fidelities else origin for name in (*given.names, *kept)}
    model = trainable(base, starts, conditioning).to(require_device(context.device), dtype_of(context))
    new = [name for name in given.names if name not in base.fidelities]
    return beside_base(with_fitted_references(model, given, new, training), base, starts, given)


def beside_base(start: Start, base: ReadoutPotential, starts: Mapping[str, str], given: Lesson) -> Start:
    """Return the start with what a comparison with the base it came from says; ``starts`` as in ``trainable``."""
    found = step_zero(start.model, base, starts, given.rows.structures)
    return replace(start, facts={**start.facts, **found.facts}, warnings=(*start.warnings, *found.warnings))


def with_fitted_references(
    model: TrainablePotential, given: Lesson, fidelities: Sequence[str], training: TrainingSettings
) -> Start:
    """Return the model with the change of reference energies of ``fidelities`` fitted to the rows."""
    if not fidelities:
        return Start(model, {})
    changes = change_of_reference(
        model, given.rows.structures, given.packed, training.loss.energy_floor, training.valid_batch_size
    )
    references = dict(model.references)
    facts: dict[str, float] = {}
    warnings: list[str] = []
    for name in fidelities:
        if name in changes:
            fit = changes[name]
            references[name] = references[name].moved(fit.elements, fit.energies)
            facts["reference_rank" if len(fidelities) == 1 else f"reference_rank_{name}"] = float(fit.rank)
            warnings += fit.warnings
    model.set_references(references)
    return Start(model, facts, tuple(warnings))


def fit_together(
    start: Start,
    given: Lesson,
    training: TrainingSettings,
    settings: Settings,
    offered: Sequence[str],
    context: Context,
) -> FitResult:
    """Train a model on all rows, and return it with its errors at each fidelity.

    Parameters
    ----------
    start
        The model.
    given
        What it learns.
    training
        How.
    settings
        The method's settings, for the result.
    offered
        Fidelities that the base offered: their errors are told before the training too.
    context
        Seed, device, folder, progress.
    """
    model, held = start.model, given.held_packed
    facts, warnings = dict(start.facts), start.warnings
    first = {name: place for place, name in reversed(list(enumerate(names_of(given.rows.structures))))}
    geometries = select(given.rows.structures, sorted(first.values()))
    for name in given.names[1:]:
        asked = agreement(model, geometries, name, given.names[0])
        facts, warnings = {**facts, **asked.facts}, (*warnings, *asked.warnings)
    if held is not None and offered:
        before = fidelity_errors(model.to(require_device(context.device), dtype_of(context)), held, training)
        facts |= {f"{key}_before": value for name in offered for key, value in before.get(name, {}).items()}
    trained = run_training(
        model,
        given.packed,
        held,
        training,
        seed=context.seed,
        target=given.names[0],
        device=context.device,
        dtype=dtype_of(context),
        folder=context.folder,
        progress=context.progress,
    )
    return result_of(model, trained, settings, given.packed, held, facts, warnings)


def dtype_of(context: Context) -> torch.dtype:
    """Return the type in which a model is trained."""
    found = torch_dtype(context.dtype)
    if found is None:
        raise ConfigError("A training needs the type of its model.")
    return found
