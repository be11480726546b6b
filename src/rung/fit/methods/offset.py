"""`offset`: the base with new reference energies, the least that a new level of theory asks for."""

from dataclasses import replace
from typing import Literal

import numpy as np

from rung.fit.lift import Context, Designs, FitResult, Lift, Method, NamedSettings
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.problem import Problem
from rung.fit.linear.result import moved_surface, posterior_of
from rung.fit.linear.terms import Energies, Term, WeightPrior, assemble

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
    problem = Problem(tuple(labelled), tuple(designs), surface.readout, surface, elements, lift.goal)
    terms: tuple[Term, ...] = (Energies(), WeightPrior(alpha=FROZEN, random_alpha=FROZEN))
    size = len(surface.readout.weights)
    # error bars of differences need to know which environments are alike; the fit stays plain least squares
    environments = base.environments(lift.train, (), context.cache, context.progress)
    solution = _frozen(quadratic_solution(assemble(terms, problem)), size)
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


def _prepare(lift: Lift, settings: OffsetSettings, context: Context) -> None:
    del settings
    base = lift.require_base("offset")
    base.energy_designs(lift.labelled, context.cache, context.progress)
    base.environments(lift.train, (), context.cache, context.progress)


def _frozen(solution: Solution, n_weights: int) -> Solution:
    """Return the solution without the weights' rounding: their change and covariance are exactly zero."""
    kept = np.arange(len(solution.gaussian.mean)) >= n_weights
    gaussian = replace(
        solution.gaussian,
        mean=np.where(kept, solution.gaussian.mean, 0.0),
        covariance=np.where(np.outer(kept, kept), solution.gaussian.covariance, 0.0),
    )
    return replace(solution, gaussian=gaussian)


OFFSET = Method(
    settings=OffsetSettings, fit=fit_offset, base="needed", designs=lambda _: Designs(_prepare, forces=False)
)
