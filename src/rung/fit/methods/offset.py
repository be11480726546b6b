"""`offset`: the base with new reference energies, the least that a new level of theory asks for."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rung.data.labels import Array
from rung.data.splits import labelled_with
from rung.data.structure import Structure
from rung.errors import FitError
from rung.features.predict import surface_energies
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context, FitResult, Lift
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.evidence import HyperPrior
from rung.fit.linear.expected import expected_offset
from rung.fit.linear.gaussian import MODEL_ERROR, Gaussian, LinearModel, PriorComponent
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.problem import Problem, energy_labels, grouped_by, spread_beyond
from rung.fit.linear.result import moved_surface, posterior_of
from rung.fit.linear.terms import Assembly, Energies, Term, WeightPrior, assemble, misfit, model_error_prior
from rung.fit.method import Designs, Method, NamedSettings, all_differences
from rung.model.potential import ReadoutPotential

FROZEN = 1e-12
"""α in eV/√atom at which no weight moves by more than rounding."""


class OffsetSettings(NamedSettings):
    """Reference energies alone."""

    name: Literal["offset"] = "offset"


def fit_offset(lift: Lift, settings: OffsetSettings, context: Context) -> FitResult:
    """Fit the reference energies of the target; forces stay the base's, bit for bit.

    Parameters
    ----------
    lift
        Training structures with energies of the target, and the base; validation structures are not used.
    settings
        Nothing but the name.
    context
        Cache, progress.

    Raises
    ------
    ConfigError
        When there is no base.
    FitError
        When no training frame carries a target energy.
    """
    base = lift.require_base("offset")
    labelled = lift.require_labelled()
    designs, surface = base.energy_designs(labelled, context.cache, context.progress), base.surface
    elements = tuple(sorted(base.plain.elements))
    problem = Problem(tuple(labelled), tuple(designs), surface.readout, surface, elements, lift.goal, table=lift.table)
    terms: tuple[Term, ...] = (Energies(), WeightPrior(alpha=FROZEN, random_alpha=FROZEN))
    size = len(surface.readout.weights)
    # error bars of differences need to know which environments are alike; the fit stays plain least squares
    environments = base.environments(lift.train, (), context.cache, context.progress)
    solution = _with_weights(of_references(assemble(terms, problem)), size)
    explained = explain(problem, solution, terms)
    return FitResult(
        potential=base.plain.with_surface(
            lift.target, moved_surface(problem, solution.gaussian.mean[:size], solution.gaussian.mean[size:])
        ),
        posterior=posterior_of(replace(problem, environments=environments), solution, feature_error(problem, ())),
        settings=settings,
        diagnostics=explained.numbers,
        warnings=explained.warnings,
        details=explained.tables,
    )


def offset_to(base: Base, parts: Iterable[Sequence[Structure]], target: Fidelity) -> ReadoutPotential:
    """Return what :func:`fit_offset` does as the potential, from structures of which one part is in memory at a time.

    Structures without an energy of the target do not count.

    Raises
    ------
    FitError
        When no structure carries an energy of the target.
    """
    elements, surface = tuple(sorted(base.plain.elements)), base.surface
    names: list[str] = []
    columns: list[tuple[Array, ...]] = []
    for part in parts:
        labelled = [part[k] for k in labelled_with(part, target.name)]
        if labelled:
            designs = base.energy_designs(labelled, None)
            energy, sigma = energy_labels(labelled, target)
            before = surface_energies(designs, surface.readout, surface, elements)
            names += [structure.geometry_hash for structure in labelled]
            columns.append((energy - before, sigma, before, np.array([design.composition for design in designs])))
    if not columns:
        raise FitError(f"No structure has an energy of {target.name!r}.")
    change, sigma, before, composition = (np.concatenate(column) for column in zip(*columns, strict=True))
    no_weights, shared = np.zeros((len(change), 0)), target.energy_shared_stderr
    data = grouped_by(names, no_weights, composition, change, sigma, composition.sum(axis=1), shared)
    prior = model_error_prior(misfit(data, spread_beyond(before, composition)))
    moved = of_references(Assembly(LinearModel((), data), {MODEL_ERROR: prior}, {})).gaussian.mean
    known = [k for k, element in enumerate(elements) if element in surface.reference.energies]
    reference = surface.reference.moved(tuple(elements[k] for k in known), moved[known])
    return base.plain.with_surface(target.name, replace(surface, reference=reference))


def _prepare(lift: Lift, settings: OffsetSettings, context: Context) -> None:
    del settings
    base = lift.require_base("offset")
    base.energy_designs(lift.labelled, context.cache, context.progress)
    base.environments(lift.train, (), context.cache, context.progress)


def of_references(assembly: Assembly) -> Solution:
    """Return the solution over the reference energies alone: no weight moves, so the designs have no columns."""
    hypers = dict.fromkeys([component.hyper for component in assembly.model.components] or ["alpha"])
    model = replace(
        assembly.model,
        components=tuple(PriorComponent.centred(name, np.zeros((0, 0))) for name in hypers),
        data=replace(assembly.model.data, design=np.zeros((len(assembly.model.data), 0))),
    )
    return quadratic_solution(
        replace(assembly, model=model, priors={"alpha": HyperPrior(FROZEN, 0.0), **assembly.priors})
    )


def _with_weights(solution: Solution, n_weights: int) -> Solution:
    """Return the solution over weights and reference energies: the weights' change and covariance are exactly zero."""
    old = solution.gaussian
    covariance = np.zeros((n_weights + len(old.mean),) * 2)
    covariance[n_weights:, n_weights:] = old.covariance
    gaussian = Gaussian(
        np.concatenate([np.zeros(n_weights), old.mean]),
        covariance,
        np.hstack([np.zeros((len(old.unidentified), n_weights)), old.unidentified]),
    )
    return replace(solution, gaussian=gaussian)


OFFSET = Method(
    settings=OffsetSettings,
    fit=fit_offset,
    base="needed",
    designs=lambda _: Designs(_prepare, forces=False),
    expect=lambda lift, _, context: expected_offset(lift, context),
    differences=all_differences,
    seedless=True,
)
