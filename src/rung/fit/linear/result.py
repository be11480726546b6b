"""What a solved linear fit becomes: a surface, and a posterior of its parameters."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rung.data.labels import Array
from rung.fit.linear.closed_form import Solution
from rung.fit.linear.model_error import FeatureError
from rung.fit.linear.problem import Problem
from rung.model.domain import Domain, ElementDomain, domain_of
from rung.model.posterior import Posterior
from rung.model.potential import Surface


def moved_surface(problem: Problem, weights: Array, reference: Array) -> Surface:
    """Return the base's surface with the change of its weights and E0; no change leaves every bit.

    Parameters
    ----------
    problem
        The fit.
    weights, reference
        Changes of the readout's weights, shape ``(P,)``, and of the reference energies, eV, shape ``(E,)``.
    """
    known = [k for k, element in enumerate(problem.elements) if element in problem.surface.reference.energies]
    elements = tuple(problem.elements[k] for k in known)
    return Surface(
        problem.readout.moved(weights) if weights.any() else problem.readout,
        problem.surface.reference.moved(elements, reference[known]) if reference.any() else problem.surface.reference,
    )


def posterior_of(problem: Problem, solution: Solution, error: FeatureError) -> Posterior:
    """Return the posterior with the model's own error in energies, forces and differences."""
    smooth, known = error.smooth_share, problem.environments
    return Posterior(
        parameters=(*problem.readout.parameters, *(f"E0[{element}]" for element in problem.elements)),
        mean=solution.gaussian.mean,
        covariance=solution.gaussian.covariance,
        unidentified=solution.gaussian.unidentified,
        model_error=solution.model_error,
        force_error=solution.model_error * error.force_ratio,
        model_covariance=smooth * solution.model_error**2 * error.covariance,
        rough_error=float(np.sqrt(1.0 - smooth)) * solution.model_error,
        environments=None if known is None else known.kernel,
        domain=None if known is None or not known.elements else domain_of_fit(problem, known.elements),
        shared=shared_response(solution, problem.target.energy_shared_stderr),
        shared_stderr=problem.target.energy_shared_stderr,
    )


def shared_response(solution: Solution, size: float) -> Array | None:
    """Return how the parameters follow an error of ``size``, eV, that all labels share; None without one.

    In a difference it cancels. Weights that a fit of reference energies alone leaves where they are do not follow.
    """
    model = solution.assembly.model
    if size == 0.0 or not len(model.data):
        return None
    moved = replace(model, data=replace(model.data, target=model.data.target + size * model.data.share))
    response = moved.posterior(solution.values).mean - model.posterior(solution.values).mean
    return np.concatenate([np.zeros(len(solution.gaussian.mean) - len(response)), response])


def domain_of_fit(problem: Problem, elements: Mapping[int, ElementDomain]) -> Domain:
    """Return where the training structures lie, in the directions of the base's own basis.

    Parameters
    ----------
    problem
        The training structures and their designs.
    elements
        Their environments, by atomic number.
    """
    random = np.array([group.endswith(".random") for group in problem.readout.groups])
    scale = np.where(random, np.inf, problem.column_scale)
    return domain_of(problem.energy_design, problem.composition, scale, elements)
