"""`readout`: freeze the backbone, fit the last weights and E0 to energies, keep forces near an anchor; closed form.

The method of Hložný, Brndiar, Luo and Štich (arXiv:2605.22601) as a Bayesian linear fit: the anchor is a prior on the
weights, energies are data with errors, and the energies' evidence sets how strong everything is.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.passes import build_designs, features_of
from rung.fidelity import Fidelity
from rung.fit.lift import Context, FitResult
from rung.fit.linear.closed_form import Solution, hinge_solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.model_error import FeatureError, feature_error
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Band, Energies, Term, WeightPrior, assemble
from rung.fit.linear.widen import Widening, widened
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface
from rung.settings import Settings

FORCE_ERROR_STEP = 5
"""Every how many of the default's anchored frames tell the force error's size where no band asks for designs."""


class ReadoutSettings(Settings):
    """The force-anchored readout fit."""

    name: Literal["readout"] = "readout"
    terms: tuple[Term, ...] = (Energies(), Band(), WeightPrior())
    """The objective as a list of terms."""
    widen: Widening = Widening()
    """Random hidden units added to the readout."""
    choose: Literal["evidence", "cross_validation"] = "evidence"
    """What sets the hyper-parameters that are ``auto``: the energies' evidence, or leave-one-out predictions."""
    average: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Over how many points the hyper-parameters are averaged; 1 takes their best values alone, ``auto`` 64 for few
    energies and 16 for many."""

    @property
    def band(self) -> Band | None:
        """The band among the terms, or None."""
        bands = [term for term in self.terms if isinstance(term, Band) and term.anchor != "none"]
        if len(bands) > 1:
            raise ConfigError("The method's terms hold more than one band; keep one.")
        return bands[0] if bands else None


def fit_readout(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    base: ReadoutPotential | None,
    fidelities: Mapping[str, Fidelity],
    target: str,
    settings: ReadoutSettings,
    context: Context,
) -> FitResult:
    """Fit the readout and E0 of ``target`` and return the lifted potential with its posterior.

    Parameters
    ----------
    train
        Frames; those with ``<target>_energy`` are fitted, all may anchor.
    valid
        Not used: everything is chosen from the training energies.
    base
        The potential to lift.
    fidelities, target
        What the labels are, and which of them is lifted to.
    settings
        Terms, widening, how hyper-parameters are chosen.
    context
        Seed, cache, base fidelity, progress.

    Raises
    ------
    ConfigError
        When there is no base, or the settings contradict each other.
    FitError
        When the labels cannot determine the fit.
    """
    del valid
    if base is None:
        raise ConfigError("The method readout needs a base: name its file and fidelity in the config.")
    problem = gather(train, base, fidelities[target], settings, context)
    solution = solve(problem, settings)
    return result_of(problem, solution, base, settings)


def gather(
    train: Sequence[Structure], base: ReadoutPotential, target: Fidelity, settings: ReadoutSettings, context: Context
) -> Problem:
    """Build (or read from the cache) the designs that the fit needs: forces only where a frame anchors."""
    if not train:
        raise FitError("There are no training frames.")
    source = context.base_fidelity or base.fidelities[0]
    surface = base.surface(source)
    readout = surface.readout
    arguments: dict[str, Any] = {"fidelity": source, "cache": context.cache, "progress": context.progress}
    if settings.widen.units:
        readout = widened(readout, features_of(train, base.backbone, **arguments), settings.widen)
    anchored = set(force_frames(train, settings))
    with_forces = build_designs(
        [train[k] for k in sorted(anchored)],
        base.backbone,
        readout,
        forces=True,
        # random units change with their seed and number: the Jacobian's entry serves them all
        kind="jacobian" if settings.widen.units else "auto",
        **arguments,
    )
    rest = [k for k in range(len(train)) if k not in anchored]
    without = build_designs([train[k] for k in rest], base.backbone, readout, forces=False, **arguments)
    found = dict(zip([*sorted(anchored), *rest], [*with_forces, *without], strict=True))
    return Problem(
        structures=tuple(train),
        designs=tuple(found[k] for k in range(len(train))),
        readout=readout,
        surface=Surface(readout, surface.reference),
        elements=tuple(sorted(base.elements)),
        target=target,
    )


def force_frames(train: Sequence[Structure], settings: ReadoutSettings) -> list[int]:
    """Return the positions of the training frames whose force designs the fit reads."""
    chosen = (settings.band or Band()).frames(train)
    # without a band they only tell the force error's size: a part of the default's, so that a comparison shares designs
    return chosen if settings.band is not None else chosen[::FORCE_ERROR_STEP]


def solve(problem: Problem, settings: ReadoutSettings) -> Solution:
    """Solve the linear fit that ``settings`` describe."""
    if settings.band is not None and settings.band.shape == "hinge":
        return hinge_solution(problem, settings.terms, settings.band)
    assembly = assemble(settings.terms, problem)
    return quadratic_solution(assembly, choose=settings.choose, n_points=settings.average)


def result_of(problem: Problem, solution: Solution, base: ReadoutPotential, settings: ReadoutSettings) -> FitResult:
    """Turn a solution into a potential, a posterior and what people should know of them."""
    n_weights = len(problem.readout.weights)
    weights, reference = solution.gaussian.mean[:n_weights], solution.gaussian.mean[n_weights:]
    surface = moved_surface(problem, weights, reference)
    anchored = [problem.designs[k] for k in force_frames(problem.structures, settings)]
    error = feature_error(problem, anchored)
    explained = explain(problem, solution, settings.terms)
    return FitResult(
        potential=base.with_surface(problem.target.name, surface),
        posterior=posterior_of(problem, solution, error),
        settings=settings,
        diagnostics=explained.numbers,
        warnings=explained.warnings,
        details=explained.tables,
    )


def moved_surface(problem: Problem, weights: Array, reference: Array) -> Surface:
    """Return the base's surface with the change of its weights and E0; no change leaves every bit."""
    known = [k for k, element in enumerate(problem.elements) if element in problem.surface.reference.energies]
    elements = tuple(problem.elements[k] for k in known)
    return Surface(
        problem.readout.moved(weights) if weights.any() else problem.readout,
        problem.surface.reference.moved(elements, reference[known]) if reference.any() else problem.surface.reference,
    )


def posterior_of(problem: Problem, solution: Solution, error: FeatureError) -> Posterior:
    """Return the posterior with the model's own error in energies, forces and differences."""
    size, n_weights = len(solution.gaussian.mean), len(problem.readout.weights)
    own = np.zeros((size, size))
    own[:n_weights, :n_weights] = solution.model_error**2 * error.covariance
    return Posterior(
        parameters=(*problem.readout.parameters, *(f"E0[{element}]" for element in problem.elements)),
        mean=solution.gaussian.mean,
        covariance=solution.gaussian.covariance,
        unidentified=solution.gaussian.unidentified,
        model_error=solution.model_error,
        force_error=solution.model_error * error.force_ratio,
        model_covariance=own,
    )
