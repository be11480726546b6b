"""`offset`: the base with new reference energies, the least that a new level of theory asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.passes import build_designs
from rung.fidelity import Fidelity
from rung.fit.lift import Context, FitResult
from rung.fit.linear.closed_form import Solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.model_error import FeatureError
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Energies, Term, WeightPrior, assemble
from rung.fit.methods.readout import moved_surface, posterior_of
from rung.model.potential import ReadoutPotential
from rung.settings import Settings

FROZEN = 1e-12
"""α in eV/√atom at which no weight moves by more than rounding."""


class OffsetSettings(Settings):
    """Reference energies alone."""

    name: Literal["offset"] = "offset"


def fit_offset(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: OffsetSettings,
    context: Context,
) -> FitResult:
    """Fit the reference energies of ``target``; forces stay the base's, bit for bit.

    Raises
    ------
    ConfigError
        When there is no base.
    FitError
        When no training frame carries a target energy.
    """
    del valid
    if base is None:
        raise ConfigError("The method offset needs a base: name its file and fidelity in the config.")
    source = context.base_fidelity or base.fidelities[0]
    surface = base.surface(source)
    labelled = [structure for structure in train if structure.labelled(target).has_energy]
    if not labelled:
        raise FitError(f"No training frame carries {target}_energy.")
    designs = build_designs(
        labelled,
        base.backbone,
        surface.readout,
        forces=False,
        fidelity=source,
        cache=context.cache,
        progress=context.progress,
    )
    elements = tuple(sorted(base.elements))
    problem = Problem(tuple(labelled), tuple(designs), surface.readout, surface, elements, fidelities[target])
    terms: tuple[Term, ...] = (Energies(), WeightPrior(alpha=FROZEN, random_alpha=FROZEN))
    solution = _frozen(quadratic_solution(assemble(terms, problem)), len(surface.readout.weights))
    explained = explain(problem, solution, terms)
    size = len(surface.readout.weights)
    nothing = FeatureError(np.zeros((size, size)), np.nan)
    return FitResult(
        potential=base.with_surface(
            target, moved_surface(problem, solution.gaussian.mean[:size], solution.gaussian.mean[size:])
        ),
        posterior=posterior_of(problem, solution, nothing),
        settings=settings,
        diagnostics=explained.numbers,
        warnings=explained.warnings,
        details=explained.tables,
    )


def _frozen(solution: Solution, n_weights: int) -> Solution:
    """Return the solution without the weights' rounding: their change and covariance are exactly zero."""
    kept = np.arange(len(solution.gaussian.mean)) >= n_weights
    gaussian = replace(
        solution.gaussian,
        mean=np.where(kept, solution.gaussian.mean, 0.0),
        covariance=np.where(np.outer(kept, kept), solution.gaussian.covariance, 0.0),
    )
    return replace(solution, gaussian=gaussian)
