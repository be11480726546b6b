"""`tangent`: every weight of the network moves once along the energies' gradients, in closed form.

Near the base, energies are linear in all weights θ: row s of G is ∂E_s/∂θ. With a prior width on θ the change is a
combination of the rows of G (and of probed forces, where a band is asked for), so that a fit of a hundred thousand
weights is a linear fit of as many numbers as there are rows. Evidence sets its hyper-parameters as in the readout fit.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from rung.backends.training import trainable
from rung.data.label_rows import label_rows
from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure, composition_matrix
from rung.features.weights import energy_row, moving_tensors
from rung.fit.fidelities.agreement import step_zero
from rung.fit.lift import DOMAIN_STRUCTURES, Base, Context, FitResult, Lift
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.course import Arrival, Course
from rung.fit.linear.derivatives import derivative_rows, design_derivatives, displaced, energies_of
from rung.fit.linear.diagnosis import composition_notes, hyper_rows, unidentified_references
from rung.fit.linear.evidence import HyperPrior
from rung.fit.linear.expected import expected_tangent
from rung.fit.linear.gaussian import MODEL_ERROR, EnergyData, LinearModel, PriorComponent
from rung.fit.linear.label_error import with_label_error
from rung.fit.linear.landing import landing_of, rms_of_known
from rung.fit.linear.model_error import probed_force_ratio
from rung.fit.linear.outlying import outlying
from rung.fit.linear.problem import Problem, energy_data, exact_labels
from rung.fit.linear.reach import not_reached
from rung.fit.linear.result import domain_of_fit
from rung.fit.linear.spans import Rows, Span, Surroundings, posterior_of, spans_of, step_of
from rung.fit.linear.terms import Assembly, Choice, band_prior, misfit, model_error_prior, required_label_error
from rung.fit.linear.walk import where_equal
from rung.fit.method import Expected, Method, NamedSettings, StepZero, all_differences
from rung.model.device import require_device
from rung.model.environments import KnownEnvironments
from rung.model.trainable import TrainablePotential
from rung.results.fit import FitDetails, HyperParameter

MEANING = ("eV/√atom", "energy by which all moving weights together may move a frame")

CURVED = (
    "The network is not linear as far as the energies ask its weights to move: its energies leave the linear fit by "
    "more than the model's own error. Compare with the method readout, or let fewer layers move."
)

TOLERATED = 1.2
"""By how much the curvature may exceed the model's own error."""

INSPECTED = 24
"""On how many structures beside the labelled ones the network is compared with the linear fit."""

PROBED = 16
"""On how many training structures the size of force errors beside that of energies is probed."""

RATTLED = 0.05
"""Å; how far atoms of labelled frames are moved to make structures to inspect where there are too few others."""


class TangentSettings(NamedSettings):
    """One step of all weights from the energies, as long as the network's curvature lets it be."""

    name: Literal["tangent"] = "tangent"
    layers: str = ".*"
    """A regular expression: which tensors move, by their names in the backend's model."""
    groups: Literal["one", "layers"] = "one"
    """One prior width for all tensors, or one for each layer."""
    probes: int = Field(default=0, ge=0, le=10000)
    """How many random directional derivatives of forces hold the band; 0 goes without a band."""
    scale_stderr: float = Field(default=0.3, ge=0)
    """One-sigma uncertainty of the factor on the anchor's forces."""
    label_error: Choice = 0.0
    """The error of each label that has no ``energy_stderr``, eV, or ``auto``: what evidence gives them."""

    @field_validator("layers")
    @classmethod
    def _is_expression(cls, layers: str) -> str:
        try:
            re.compile(layers)
        except re.error as error:
            raise ValueError(f"{layers!r} is no regular expression ({error}); all is '.*'") from error
        return layers


def fit_tangent(lift: Lift, settings: TangentSettings, context: Context) -> FitResult:
    """Fit the target's energies with all weights of the base, in the linear model of its tangent, and go there.

    The weights walk until the network says what the linear model says. Where it curves too much for that, what it
    leaves counts as the model's own error.

    Parameters
    ----------
    lift
        Training frames, of which those with ``<target>_energy`` are fitted and random ones are probed for the band,
        and the base, whose backend must be able to train. Validation structures are not used: everything is chosen
        from the training energies.
    settings
        Which weights move, and the band.
    context
        Seed, device, progress.

    Raises
    ------
    ConfigError
        When there is no base, no tensor matches ``layers``, or the device is not there.
        Or when the derivatives of all labels by all moving weights do not fit into the machine's memory.
    FitError
        When no training frame carries a target energy.
    """
    if settings.label_error != "auto":
        required_label_error(settings.label_error)
    base, target = lift.require_base("tangent"), lift.target
    labelled = lift.require_labelled()
    model = _start(lift).to(require_device(context.device))
    before = energies_of(model, labelled, target)
    rows = derivative_rows(
        model,
        labelled,
        lift.train,
        target,
        settings.layers,
        probes=settings.probes,
        seed=context.seed,
        progress=context.progress,
    )
    elements = tuple(sorted(base.plain.elements))
    composition = composition_matrix(labelled, elements)
    spans = spans_of(rows, composition, by_layer=settings.groups == "layers")
    known = base.environments(lift.train, labelled, context.cache, context.progress)
    combination = label_rows(labelled, target, lift.table).combination
    design = np.hstack([span.design for span in spans])
    data = energy_data(labelled, lift.goal, before, design[: len(labelled)], composition, known, lift.table)
    seen = _seen(lift, context)
    size = misfit(data, seen.spread)
    assembly = _assembly(data, size, rows, design[len(labelled) :], settings, spans)
    exact = exact_labels(labelled, target, lift.table)
    assembly, label_error = with_label_error(assembly, exact, settings.label_error)
    course = _course(model, lift, rows.energy, before, settings)
    agreed = _agreed(course, assembly, size, partial(step_of, rows, spans))
    solution = replace(agreed.solution, label_error=label_error)
    _finish(model, elements, target, solution, combination @ agreed.arrival.change)
    error, variance = solution.leave_one_out()
    numbers = {**_numbers(agreed, solution, error), "n_parameters": float(rows.stacked.shape[1])}
    potential = model.to(base.plain.device).frozen()
    landing = landing_of(potential, target, base, labelled, course.inspected, numbers["leave_one_out_rmse"], lift.table)
    warnings = (
        *landing.warnings,
        *(() if agreed.sound else (CURVED,)),
        *unidentified_references(assembly.model.data, composition, solution),
        *_beyond(seen, before, composition),
        *_off([one.structure_id for one in labelled], error, variance),
        *(() if label_error is None else (label_error.sentence,)),
    )
    notes = (*landing.notes, *composition_notes(assembly.model.data, solution))
    details = FitDetails(hyperparameters=_hypers(solution), notes=notes)
    shared, around = lift.goal.energy_shared_stderr, _surroundings(base, seen, known, context)
    posterior = posterior_of(solution, spans, rows, base, composition, around, shared, combination)
    return FitResult(potential, posterior, settings, {**numbers, **landing.numbers}, warnings, details)


def _start(lift: Lift) -> TrainablePotential:
    """Return the base as a module at the target, on the base's own device."""
    base = lift.require_base("tangent")
    return trainable(base.plain, {lift.target: base.fidelity})


def _step_zero(lift: Lift, settings: TangentSettings) -> StepZero:
    del settings
    base = lift.require_base("tangent")
    return step_zero(_start(lift), base.plain, {lift.target: base.fidelity}, lift.train)


def _inspected(lift: Lift) -> list[Structure]:
    """Return geometries beside the labelled ones: training frames without a label, or else moved copies of labelled."""
    labelled = lift.require_labelled()
    known = {structure.geometry_hash for structure in labelled}
    others = [structure for structure in lift.train if structure.geometry_hash not in known]
    chosen = [others[k] for k in evenly_spread(range(len(others)), INSPECTED)]
    copied = evenly_spread(range(len(labelled)), INSPECTED - len(chosen))
    return [*chosen, *(_rattled(labelled[k], k) for k in copied)]


def _rattled(structure: Structure, seed: int) -> Structure:
    by = np.random.default_rng(seed).normal(scale=RATTLED, size=structure.atoms.positions.shape)
    return replace(displaced(structure, by), structure_id=f"{structure.structure_id}-moved")


def _course(model: TrainablePotential, lift: Lift, rows: Array, before: Array, settings: TangentSettings) -> Course:
    """Return the model at the base's weights, and what it needs to follow a linear fit."""
    inspected, moving = _inspected(lift), moving_tensors(model, settings.layers)
    model.train()
    return Course(
        model=model,
        start={name: tensor.detach().clone() for name, tensor in moving.items()},
        fidelity=lift.target,
        labelled=lift.require_labelled(),
        inspected=inspected,
        before=before,
        inspected_before=energies_of(model, inspected, lift.target),
        rows=rows,
        inspected_rows=np.array(
            [energy_row(model, structure, lift.target, [*moving.values()]) for structure in inspected], dtype=np.float64
        ),
        elements=sorted(lift.require_base("tangent").plain.elements),
    )


@dataclass(frozen=True)
class Agreed:
    """A linear fit and a network that says the same, to within the model's own error.

    Parameters
    ----------
    solution
        The linear fit.
    arrival
        Where the weights of the network have come to.
    """

    solution: Solution
    arrival: Arrival

    @property
    def sound(self) -> bool:
        """Whether the network is as near the linear fit as the model's own error lets it be."""
        return self.arrival.curvature <= TOLERATED * self.solution.model_error


def _agreed(course: Course, assembly: Assembly, size: float, step_of: Callable[[Array], Array]) -> Agreed:
    """Return the fit of the evidence, or where the network cannot follow it, that with s as large as the curvature.

    Parameters
    ----------
    course
        Of the network.
    assembly
        The linear fit in coordinates.
    size
        The base's misfit, eV/√atom: where all of it is the model's own error, no step is left that could bend.
    step_of
        The step of the weights that coordinates stand for.
    """

    def at(linear: Assembly) -> Agreed:
        solution = quadratic_solution(linear)
        coordinates = solution.gaussian.mean[: assembly.model.data.design.shape[1]]
        return Agreed(solution, course.follow(step_of(coordinates), solution.model_error))

    def fixed(error: float) -> Agreed:
        return at(replace(assembly, priors={**assembly.priors, MODEL_ERROR: HyperPrior(error, 0.0)}))

    first = at(assembly)
    if first.sound:
        return first
    most = float(np.fmin(first.arrival.curvature, size))
    if most <= first.solution.model_error:
        return first  # the evidence's s is as large as it may become already
    return fixed(where_equal(lambda error: fixed(error).arrival.curvature, first.solution.model_error, most))


def _numbers(agreed: Agreed, solution: Solution, error: Array) -> dict[str, float]:
    """Return the numbers of a fit, given each label's error when it is left out, eV, shape ``(n,)``."""
    assert solution.hypers is not None  # noqa: S101 - there are energies, so evidence chose
    return {
        **dict(solution.values),
        "n_energies": float(len(error)),
        "leave_one_out_rmse": rms_of_known(error),
        "log_evidence": solution.hypers.log_evidence,
        "log_marginal": solution.hypers.log_marginal,
        "curvature": agreed.arrival.curvature,
        **({} if solution.label_error is None else {"label_error": solution.label_error.value}),
    }


def _beyond(seen: Problem, before: Array, composition: Array) -> tuple[str, ...]:
    """Return a warning where the labelled structures, of the base's energies ``before``, reach little of the others."""
    energies = np.concatenate([before, seen.base_energy])
    return not_reached(energies, np.concatenate([composition, seen.composition]), np.arange(len(before)))


def _off(names: Sequence[str], error: Array, variance: Array) -> tuple[str, ...]:
    """Return a warning of labels that the others do not predict; differences have no structure to name."""
    return outlying(names, error, variance) if len(error) == len(names) else ()


def _hypers(solution: Solution) -> Sequence[HyperParameter]:
    return hyper_rows(solution, {name: MEANING for name in solution.values if name.startswith("alpha")})


def _assembly(
    data: EnergyData, size: float, rows: Rows, probe: Array, settings: TangentSettings, spans: Sequence[Span]
) -> Assembly:
    """Return the linear model over the coordinates in the bases of ``spans``.

    Parameters
    ----------
    data
        The labels less the base's energies.
    size
        The base's misfit, eV/√atom.
    rows, probe
        What the band is made of: the anchor's forces along the probes, and their design in coordinates.
    settings
        The band's.
    spans
        Bases of the step, each with its hyper-parameter.
    """
    assembly = Assembly(LinearModel((), data), {MODEL_ERROR: model_error_prior(size)}, {})
    owner = np.repeat(np.arange(len(spans)), [len(span.combination) for span in spans])
    for k, span in enumerate(spans):
        component = PriorComponent.centred(span.hyper, np.diag((owner == k).astype(float)))
        assembly = assembly.with_component(component, HyperPrior(2.0 * size / np.sqrt(len(spans)), 1.5))
    if len(rows.force):
        typical = float(np.sqrt(np.mean(rows.anchor**2)))
        assembly = assembly.with_component(_band(rows, probe, settings.scale_stderr), band_prior(typical))
    return assembly


def _seen(lift: Lift, context: Context) -> Problem:
    """Return what the base's readout says of an even choice of the training structures."""
    base = lift.require_base("tangent")
    some = [lift.train[k] for k in evenly_spread(range(len(lift.train)), DOMAIN_STRUCTURES)]
    designs = base.energy_designs(some, context.cache, context.progress)
    elements = tuple(sorted(base.plain.elements))
    return Problem(tuple(some), tuple(designs), base.surface.readout, base.surface, elements, lift.goal)


def _surroundings(base: Base, seen: Problem, known: KnownEnvironments, context: Context) -> Surroundings:
    """Return what the base's readout and features say of the training structures that were ``seen``."""
    probed = [seen.structures[k] for k in evenly_spread(range(len(seen.structures)), PROBED)]
    derivatives = design_derivatives(base, probed, np.random.default_rng(context.seed))
    ratio = probed_force_ratio(seen, derivatives, sum(3 * len(one) for one in probed))
    return Surroundings(known.kernel, domain_of_fit(seen, known.elements), ratio)


def _band(rows: Rows, probe: Array, scale_stderr: float) -> PriorComponent:
    """Return the band in coordinates whose design ``probe`` is: probes stand for all forces of the training frames.

    A random direction of unit variance sees the squared length of a departure per atom, so τ keeps its meaning.
    """
    weight = min(probe.shape) / len(probe)
    pull = (weight * probe.T @ rows.anchor)[:, None]
    return PriorComponent("tau", weight * probe.T @ probe, np.zeros(probe.shape[1]), pull, np.array([scale_stderr]))


def _finish(
    model: TrainablePotential, elements: tuple[int, ...], target: str, solution: Solution, change: Array
) -> None:
    """Set the reference energies by generalised least squares at the weights where the step ended."""
    data = solution.assembly.model.data
    rest = replace(data, design=np.zeros((len(data), 1)), target=data.target - change)
    alone = LinearModel((PriorComponent.centred("alpha", np.eye(1)),), rest)
    moved = alone.posterior({"alpha": 1.0, MODEL_ERROR: solution.values[MODEL_ERROR]}).mean[1:]
    model.set_references({target: model.references[target].moved(elements, moved)})


def _expected(lift: Lift, settings: TangentSettings, context: Context) -> Expected:
    del context
    return expected_tangent(lift, settings.layers, settings.probes, INSPECTED)


TANGENT = Method(
    settings=TangentSettings,
    fit=fit_tangent,
    base="needed",
    start=_step_zero,
    expect=_expected,
    differences=all_differences,
)
