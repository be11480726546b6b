"""``delta``: what the target adds to the base, learnt as a quantity of its own; the result is their sum (Δ-learning).

The difference of two levels is smoother than either (Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015)). A
small model of it leaves the base alone, and costs its own time at every call; the base's features cost nothing more.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rung.backends.architectures import SmallArchitecture, small_architecture, small_architectures
from rung.backends.registry import DEFAULT
from rung.backends.training import trainable
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fidelity import Fidelity, require_fidelity
from rung.fit.fidelities.agreement import STEP_ZERO_STRUCTURES
from rung.fit.fidelities.differences import Learns, difference, differences, require_pairs, require_two
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.normalisation import refuse_strangers
from rung.fit.fidelities.replay import predicted_labels
from rung.fit.fidelities.rows import RowSettings
from rung.fit.fidelities.several import Start, fit_together, lesson, start_new
from rung.fit.lift import Context, FitResult
from rung.fit.linear.terms import Energies, EnergyPairs, ReferencePrior, WeightPrior
from rung.fit.linear.widen import Widening
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.training.stages import TrainingSettings
from rung.model.delta import summed
from rung.model.potential import ReadoutPotential
from rung.settings import ChosenBy, Settings
from rung.units import MILLI

_CALLS = 15
"""How many calls of each potential a cost is the median of."""


class ModelLearner(Settings):
    """A new, small model of the difference, trained on energies, and on forces and stress where the target has them."""

    name: str = DEFAULT
    """The backend that builds it."""
    architecture: SmallArchitecture = Field(default_factory=small_architecture)
    """Its shape: what it costs at every call comes on top of the base."""
    training: TrainingSettings = TrainingSettings()
    """How it is trained."""

    @model_validator(mode="before")
    @classmethod
    def _architecture_of_its_backend(cls, values: Any) -> Any:
        shape = values.get("architecture", {}) if isinstance(values, Mapping) else None
        if not isinstance(shape, Mapping):
            return values
        return {**values, "architecture": {"kind": values.get("name", DEFAULT), **shape}}

    @model_validator(mode="after")
    def _one_backend(self) -> Self:
        if self.architecture.kind != self.name:
            raise ValueError(f"an architecture of the kind {self.architecture.kind!r} is none of {self.name!r}")
        return self


class FeaturesLearner(Settings):
    """The base's own features, weighted in closed form on energies: the fit of ``readout`` without a band."""

    name: Literal["features"] = "features"
    terms: tuple[Annotated[Energies | EnergyPairs | WeightPrior | ReferencePrior, Field(discriminator="kind")], ...] = (
        Energies(),
        WeightPrior(),
    )
    """The objective as a list of terms; a difference has no anchor."""
    widen: Widening = Widening()
    """Random hidden units added to the readout."""
    choose: Literal["evidence", "cross_validation"] = "evidence"
    """What sets the hyper-parameters that are ``auto``."""
    average: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Over how many points the hyper-parameters are averaged."""


def _learners() -> Mapping[str, type[Settings]]:
    return {"features": FeaturesLearner, **dict.fromkeys(small_architectures(), ModelLearner)}


Learner = Annotated[ModelLearner | FeaturesLearner, ChosenBy("name", _learners)]


class DeltaSettings(Settings):
    """Learn the difference between the target and the base, and add it to the base."""

    name: Literal["delta"] = "delta"
    learns: Learns = "base"
    """``base``: the target's labels less what the base says there; ``labels``: less the labels of the base's fidelity
    on the same structures, which keeps the base's own error out of what is learnt (and in the result)."""
    learner: Learner = Field(default_factory=ModelLearner)
    """What learns it: features, those of the base, or a new small model by the name of its backend, such as mace."""


def delta(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: DeltaSettings,
    context: Context,
) -> FitResult:
    """Fit what ``target`` adds to ``base`` and return their sum, which offers the base's fidelities too.

    Raises
    ------
    ConfigError
        When there is no base, it does not offer ``context.base_fidelity``, or that is the target and labels of both
        are asked for.
    DataError
        When a structure holds an element that the base does not know.
    FitError
        When there is no difference to learn, or the training diverges.
    """
    require_fidelity(target, fidelities)
    if base is None:
        raise ConfigError("The method delta adds to a base: name its file and fidelity in the config.")
    source = require_fidelity(context.base_fidelity, base.fidelities)
    if settings.learns == "labels":
        require_two(target, source)
    fit = _with_features if isinstance(settings.learner, FeaturesLearner) else _with_model
    result = fit(train, valid, base, fidelities, target, settings, context)
    frame = next((structure for structure in train if structure.labelled(target).says_anything), train[0])
    costs = measured_cost(base, source, result.potential, target, frame)
    return replace(result, settings=settings, diagnostics={**result.diagnostics, **costs})


def measured_cost(
    base: ReadoutPotential, source: str, lifted: ReadoutPotential, target: str, structure: Structure
) -> dict[str, float]:
    """Return the median seconds of a call for energy and forces of one structure, of both potentials, and their ratio.

    Calls of the two alternate, so that a busy machine slows both.
    """
    pairs = [(base, source), (lifted, target)]
    batches = [collate([structure], [name], item.cutoff, dtype=item.dtype, device=item.device) for item, name in pairs]
    seconds: list[list[float]] = [[], []]
    for call in range(_CALLS + 1):
        for place, (item, _) in enumerate(pairs):
            started = time.perf_counter()
            item.predict(batches[place]).energy.tolist()  # waits for an accelerator
            if call:  # the first call of each warms up
                seconds[place].append(time.perf_counter() - started)
    below, above = (median(own) for own in seconds)
    return {"seconds_per_call_base": below, "seconds_per_call": above, "cost_ratio": above / below}


def starting_at_zero(start: Start, target: str, structures: Sequence[Structure]) -> Start:
    """Return the model with its last weights at zero: before any step it says reference energies and shift alone.

    What it says of a few ``structures`` besides is told as ``step_zero_energy``, meV/atom, and ``step_zero_force``,
    meV/Å: how far the sum starts from the base.
    """
    potential = start.model.frozen()
    surface = potential.surface(target)
    readout = surface.readout.moved(-surface.readout.weights)
    model = trainable(potential.with_surface(target, replace(surface, readout=readout)), {target: target})
    few = structures[:STEP_ZERO_STRUCTURES]
    batch = collate(few, [target] * len(few), model.cutoff, dtype=model.dtype)
    said = model.eval()(batch)
    assert said.forces is not None  # noqa: S101 - they are predicted by default
    constant = surface.reference.of(batch.numbers) + readout.constant
    apart = (said.atom_energies.detach() - constant).abs().max() * MILLI
    facts = {"step_zero_energy": float(apart), "step_zero_force": float(said.forces.detach().abs().max() * MILLI)}
    return replace(start, model=model, facts={**start.facts, **facts})


def _with_model(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: DeltaSettings,
    context: Context,
) -> FitResult:
    """Return the base plus a new model trained on the differences."""
    del fidelities
    learner = settings.learner
    assert isinstance(learner, ModelLearner)  # noqa: S101 - the other learner has its own function
    context = replace(context, dtype=str(base.dtype).removeprefix("torch."))
    refuse_strangers([*labelled_by(train, target), *labelled_by(valid, target)], sorted(base.elements))
    learnt = differences(train, base, target, settings.learns, context)
    if settings.learns == "labels":
        require_pairs(learnt, target, context.base_fidelity)
    chooses = differences(valid, base, target, settings.learns, context)
    training, shape = learner.training, learner.architecture
    given = lesson(
        learnt, chooses, None, (target,), target, RowSettings(), shape.cutoff, training.valid_fraction, context
    )
    begun = starting_at_zero(
        start_new(shape, given, "shared", training.loss.energy_floor, None, context), target, learnt
    )
    result = fit_together(begun, given, training, settings, (), context)
    potential = summed(base, context.base_fidelity, result.potential, target, target=target)
    return replace(result, potential=potential)


def _with_features(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: DeltaSettings,
    context: Context,
) -> FitResult:
    """Return the base with its readout moved by the fitted difference: one potential of the base's own kind."""
    learner = settings.learner
    assert isinstance(learner, FeaturesLearner)  # noqa: S101 - the other learner has its own function
    goal = fidelities[target]
    if settings.learns == "labels":
        source = context.base_fidelity
        train = _shifted_to_base(train, base, target, context)
        require_pairs(train, target, source)
        shared = fidelities[source].energy_shared_stderr if source in fidelities else 0.0
        goal = replace(goal, energy_shared_stderr=math.hypot(goal.energy_shared_stderr, shared))
    plain = ReadoutSettings(terms=learner.terms, widen=learner.widen, choose=learner.choose, average=learner.average)
    return fit_readout(train, valid, base, {**fidelities, target: goal}, target, plain, context)


def _shifted_to_base(
    structures: Sequence[Structure], base: ReadoutPotential, target: str, context: Context
) -> list[Structure]:
    """Return all structures, with the base's energy plus the labels' difference for the target's energy of each pair.

    The closed-form fit subtracts the base's energy again, so it sees the differences of the labels alone.
    """
    source = context.base_fidelity
    pairs = [
        k for k, item in enumerate(structures) if item.labelled(target).has_energy and item.labelled(source).has_energy
    ]
    own = dict(
        zip(pairs, predicted_labels([structures[k] for k in pairs], base, source, context.progress), strict=True)
    )
    found = []
    for k, item in enumerate(structures):
        labels = {name: label for name, label in item.labels.items() if name != target}
        if k in own:
            between = difference(item.labelled(target), item.labelled(source))
            labels[target] = replace(between, energy=own[k].energy + between.energy)
        found.append(replace(item, labels=labels))
    return found
