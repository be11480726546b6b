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
from rung.errors import counted
from rung.fit.fidelities.agreement import STEP_ZERO_STRUCTURES
from rung.fit.fidelities.differences import Learns, difference, differences, require_pairs, require_two
from rung.fit.fidelities.expected import expected_training
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.normalisation import refuse_strangers
from rung.fit.fidelities.replay import predicted_labels
from rung.fit.fidelities.rows import RowSettings
from rung.fit.fidelities.several import Start, TrainingData, fit_together, start_new, training_data
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.linear.expected import expected_readout, n_weights_of
from rung.fit.linear.terms import Energies, EnergyPairs, ReferencePrior, WeightPrior
from rung.fit.linear.widen import Widening
from rung.fit.method import Designs, Expected, Method, NamedSettings
from rung.fit.methods.readout import ReadoutSettings, fit_readout, force_frames, gather
from rung.fit.training.stages import TrainingSettings
from rung.model.delta import summed
from rung.model.potential import ReadoutPotential
from rung.results.fit import FitDetails
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


class DeltaSettings(NamedSettings):
    """Learn the difference between the target and the base, and add it to the base."""

    name: Literal["delta"] = "delta"
    learns: Learns = "base"
    """``base``: the target's labels less what the base says there; ``labels``: less the labels of the base's fidelity
    on the same structures, which keeps the base's own error out of what is learnt (and in the result)."""
    learner: Learner = Field(default_factory=ModelLearner)
    """What learns it: features, those of the base, or a new small model by the name of its backend, such as mace."""


def fit_delta(lift: Lift, settings: DeltaSettings, context: Context) -> FitResult:
    """Fit what the target adds to the base and return their sum, which offers the base's fidelities too.

    Raises
    ------
    ConfigError
        When there is no base, or its fidelity is the target and labels of both are asked for.
    DataError
        When a structure holds an element that the base does not know.
    FitError
        When there is no difference to learn, or the training diverges.
    """
    base = lift.require_base("delta")
    if settings.learns == "labels":
        require_two(lift.target, base.fidelity)
    learner = settings.learner
    if isinstance(learner, FeaturesLearner):
        result = _with_features(lift, base, settings.learns, learner, context)
    else:
        result = _with_model(lift, base, settings, learner, context)
    labelled = (structure for structure in lift.train if structure.labelled(lift.target).says_anything)
    frame = next(labelled, lift.train[0])
    costs = measured_cost(base.plain, base.fidelity, result.potential, lift.target, frame)
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
    base_seconds, lifted_seconds = (median(times) for times in seconds)
    return {
        "seconds_per_call_base": base_seconds,
        "seconds_per_call": lifted_seconds,
        "cost_ratio": lifted_seconds / base_seconds,
    }


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
    prediction = model.eval()(batch)
    assert prediction.forces is not None  # noqa: S101 - they are predicted by default
    constant = surface.reference.of(batch.numbers) + readout.constant
    energy = (prediction.atom_energies.detach() - constant).abs().max() * MILLI
    force = prediction.forces.detach().abs().max() * MILLI
    facts = {"step_zero_energy": float(energy), "step_zero_force": float(force)}
    return replace(start, model=model, facts={**start.facts, **facts})


def _with_model(lift: Lift, base: Base, settings: DeltaSettings, learner: ModelLearner, context: Context) -> FitResult:
    """Return the base plus a new model trained on the differences."""
    target, potential = lift.target, base.plain
    data, start = _begun(lift, base, settings.learns, learner, context)
    result = fit_together(start, data, learner.training, settings, context, judge=target)
    # a training leaves its model on the CPU
    change = trainable(result.potential, {target: target}).to(potential.device).frozen()
    return replace(result, potential=summed(potential, base.fidelity, change, target, target=target))


def _begun(
    lift: Lift, base: Base, learns: Learns, learner: ModelLearner, context: Context
) -> tuple[TrainingData, Start]:
    """Return the differences, and the new model before its first step."""
    target, potential = lift.target, base.plain
    context = replace(context, dtype=str(potential.dtype).removeprefix("torch."))
    labelled = [*labelled_by(lift.train, target), *labelled_by(lift.valid, target)]
    refuse_strangers(labelled, sorted(potential.elements))
    train = differences(lift.train, base, target, learns, context.progress)
    if learns == "labels":
        require_pairs(train, target, base.fidelity)
    valid = differences(lift.valid, base, target, learns, context.progress)
    training, shape = learner.training, learner.architecture
    alone = Lift(train, valid, None, {target: lift.goal}, target)
    data = training_data(alone, RowSettings(), shape.cutoff, training.valid_fraction, context)
    new = start_new(shape, data, "shared", training.loss.energy_floor, None, context)
    return data, starting_at_zero(new, target, train)


def _with_features(lift: Lift, base: Base, learns: Learns, learner: FeaturesLearner, context: Context) -> FitResult:
    """Return the base with its readout moved by the fitted difference: one potential of the base's own kind."""
    readout = _readout(learner)
    if learns == "base":
        return fit_readout(lift, readout, context)
    goal, target = lift.goal, lift.target
    train = _shifted_to_base(lift.train, base, target, context)
    require_pairs(train, target, base.fidelity)
    shared = math.hypot(goal.energy_shared_stderr, lift.fidelities[base.fidelity].energy_shared_stderr)
    fidelities = {**lift.fidelities, target: replace(goal, energy_shared_stderr=shared)}
    result = fit_readout(replace(lift, train=train, fidelities=fidelities), readout, context)
    note = _left_out_of_bars(lift.train, train, target, base.fidelity)
    return replace(result, details=result.details.with_tables(FitDetails(notes=(*result.details.notes, note))))


def _readout(learner: FeaturesLearner) -> ReadoutSettings:
    """Return the settings of the readout fit that the learner is."""
    return ReadoutSettings(terms=learner.terms, widen=learner.widen, choose=learner.choose, average=learner.average)


def _designs(settings: DeltaSettings) -> Designs[DeltaSettings] | None:
    """Return the designs that the base's own features are fitted with; a model beside the base reads none."""
    return Designs(_prepare, forces=True) if isinstance(settings.learner, FeaturesLearner) else None


def _prepare(lift: Lift, settings: DeltaSettings, context: Context) -> None:
    if isinstance(settings.learner, FeaturesLearner):
        gather(lift, _readout(settings.learner), context)


def _shifted_to_base(structures: Sequence[Structure], base: Base, target: str, context: Context) -> list[Structure]:
    """Return all structures, with the base's energy plus the labels' difference for the target's energy of each pair.

    The closed-form fit subtracts the base's energy again, so it sees the differences of the labels alone.
    """
    low = base.fidelity
    pairs = [
        k for k, item in enumerate(structures) if item.labelled(target).has_energy and item.labelled(low).has_energy
    ]
    predictions = predicted_labels([structures[k] for k in pairs], base.plain, low, context.progress)
    predicted = dict(zip(pairs, predictions, strict=True))
    shifted = []
    for k, item in enumerate(structures):
        labels = {name: label for name, label in item.labels.items() if name != target}
        if k in predicted:
            change = difference(item.labelled(target), item.labelled(low))
            labels[target] = replace(change, energy=predicted[k].energy + change.energy)
        shifted.append(replace(item, labels=labels))
    return shifted


def _left_out_of_bars(train: Sequence[Structure], shifted: Sequence[Structure], target: str, source: str) -> str:
    """Return the sentence that the base's own error, which a label shifted to the base carries, is in no error bar."""
    errors = [
        (after.labels[target].energy - before.labels[target].energy) / len(before)
        for before, after in zip(train, shifted, strict=True)
        if after.labelled(target).has_energy
    ]
    size, pairs = MILLI * math.sqrt(sum(error**2 for error in errors) / len(errors)), len(errors)
    return (
        f"Error bars are those of the difference that was learnt. They leave out the base's own error at {source}, "
        f"which stays in every prediction: {size:.3g} meV/atom, r.m.s., on {counted(pairs, 'training structure')} with "
        "both labels."
    )


def _differences(settings: DeltaSettings) -> bool:
    """Return whether labels enter a linear model as they are: not where those of two levels are subtracted before."""
    return isinstance(settings.learner, FeaturesLearner) and settings.learns == "base"


def _expected(lift: Lift, settings: DeltaSettings, context: Context) -> Expected:
    learner, base = settings.learner, lift.require_base("delta")
    if isinstance(learner, FeaturesLearner):  # labels of two levels are subtracted before, and read the same designs
        readout = _readout(learner)
        frames = [lift.train[k] for k in force_frames(lift.train, readout)]
        return expected_readout(lift, frames, readout.band, learner.widen.units, context)
    data, start = _begun(lift, base, settings.learns, learner, context)
    training, kept = expected_training(start, data, learner.training, context), n_weights_of(base)
    frozen = None if kept is None or training.n_frozen is None else training.n_frozen + kept
    return replace(training, n_frozen=frozen)


DELTA = Method(
    settings=DeltaSettings,
    fit=fit_delta,
    base="needed",
    designs=_designs,
    expect=_expected,
    differences=_differences,
)
