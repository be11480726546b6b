"""`readout`: freeze the backbone, fit the last weights and E0 to energies, keep forces near an anchor; closed form.

The method of Hložný, Brndiar, Luo and Štich (arXiv:2605.22601) as a Bayesian linear fit: the anchor is a prior on the
weights, energies are data with errors, and the energies' evidence sets how strong everything is.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypedDict

from pydantic import Field

from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.features.cache import DesignCache
from rung.features.passes import build_designs, features_of
from rung.fidelity import require_fidelity
from rung.fit.lift import Context, FitResult, Lift
from rung.fit.linear.closed_form import Solution, hinge_solution, quadratic_solution
from rung.fit.linear.diagnosis import explain
from rung.fit.linear.expected import expected_readout
from rung.fit.linear.model_error import feature_error
from rung.fit.linear.probing import LEAST, ForceDesigns, probing_numbers
from rung.fit.linear.problem import Problem
from rung.fit.linear.result import moved_surface, posterior_of
from rung.fit.linear.surrogate import surrogate_ratio, with_ratio
from rung.fit.linear.terms import Band, Energies, Term, WeightPrior, assemble
from rung.fit.linear.widen import Widening, widened
from rung.fit.method import Designs, Expected, Method, NamedSettings, all_differences
from rung.model.potential import ReadoutPotential, Surface
from rung.progress import Progress

FORCE_ERROR_STEP = 5
"""Every how many of the default's anchored frames tell the force error's size where no band asks for designs."""


class ReadoutSettings(NamedSettings):
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
    force_error: Literal["assumed", "surrogate"] = "assumed"
    """How large force errors are where energies err by s: as an unknown function of the features would have them, or as
    a fit from nothing to the base's own level has them, whose forces the training structures must carry."""

    @property
    def band(self) -> Band | None:
        """The band among the terms, or None."""
        bands = [term for term in self.terms if isinstance(term, Band) and term.anchor != "none"]
        if len(bands) > 1:
            raise ConfigError("The method's terms hold more than one band; keep one.")
        return bands[0] if bands else None


def fit_readout(lift: Lift, settings: ReadoutSettings, context: Context) -> FitResult:
    """Fit the readout and E0 of the target and return the lifted potential with its posterior.

    Parameters
    ----------
    lift
        Training frames, of which those with ``<target>_energy`` are fitted and all may anchor, and the base.
        Validation structures are not used: everything is chosen from the training energies.
    settings
        Terms, widening, how hyper-parameters are chosen.
    context
        Cache, progress.

    Raises
    ------
    ConfigError
        When there is no base, or the settings contradict each other.
    FitError
        When the labels cannot determine the fit.
    """
    problem = gather(lift, settings, context)
    solution = solve(problem, settings)
    base = lift.require_base("readout")
    ratio = surrogate_ratio(problem, base.fidelity) if settings.force_error == "surrogate" else None
    return result_of(problem, solution, base.plain, settings, force_ratio=ratio)


def gather(lift: Lift, settings: ReadoutSettings, context: Context) -> Problem:
    """Build (or read from the cache) the designs that the fit needs: forces only where a frame anchors.

    Without a band some frames are probed along two directions, for the size of force errors.

    Raises
    ------
    ConfigError
        When there is no base, or the band's anchor is no fidelity.
    FitError
        When there are no training frames, or no frame has the forces that anchor.
    """
    base, train = lift.require_base("readout"), lift.train
    if not train:
        raise FitError("There are no training frames.")
    anchored = set(force_frames(train, settings))
    if not anchored and settings.band is not None and settings.band.anchor != "none":
        raise _no_anchor(settings.band.anchor, lift)
    backbone, readout = base.plain.backbone, base.surface.readout
    options = _Options(fidelity=base.fidelity, cache=context.cache, progress=context.progress)
    if settings.widen.units:
        readout = widened(readout, features_of(train, backbone, **options), settings.widen)
    makes = ForceDesigns(backbone, readout, base.fidelity, context.cache, context.progress)
    frames, band = [train[k] for k in sorted(anchored)], settings.band
    if band is None:  # they tell the size of force errors alone
        with_forces = makes.probed(frames, range(LEAST))
    else:
        with_forces = makes.of_band(frames, band, widened=settings.widen.units > 0)
    rest = [k for k in range(len(train)) if k not in anchored]
    without = build_designs([train[k] for k in rest], backbone, readout, forces=False, **options)
    designs = dict(zip([*sorted(anchored), *rest], [*with_forces, *without], strict=True))
    return Problem(
        structures=tuple(train),
        designs=tuple(designs[k] for k in range(len(train))),
        readout=readout,
        surface=Surface(readout, base.surface.reference),
        elements=tuple(sorted(base.plain.elements)),
        target=lift.goal,
        environments=base.environments(train, lift.labelled, context.cache, context.progress),
        table=lift.table,
    )


def _no_anchor(anchor: str, lift: Lift) -> FitError:
    """Return the error of an anchor that no frame has: the band would be left out without a word."""
    require_fidelity(anchor, lift.fidelities)
    return FitError(
        f"No training frame has forces of {anchor}, which are to anchor the band; anchor at 'base', or at 'none'."
    )


class _Options(TypedDict):
    """What every pass over the backbone is told."""

    fidelity: str
    cache: DesignCache | None
    progress: Progress


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


def result_of(
    problem: Problem,
    solution: Solution,
    base: ReadoutPotential,
    settings: ReadoutSettings,
    *,
    force_ratio: float | None = None,
) -> FitResult:
    """Turn a solution into a potential, a posterior and what people should know of them.

    ``force_ratio`` is that of force errors to s, √atom/Å; None takes the one of an unknown function of the features.
    """
    n_weights = len(problem.readout.weights)
    weights, reference = solution.gaussian.mean[:n_weights], solution.gaussian.mean[n_weights:]
    surface = moved_surface(problem, weights, reference)
    anchored = [problem.designs[k] for k in force_frames(problem.structures, settings)]
    error = feature_error(problem, anchored)
    if force_ratio is not None:
        error = with_ratio(error, force_ratio)
    explained = explain(problem, solution, settings.terms)
    return FitResult(
        potential=base.with_surface(problem.target.name, surface),
        posterior=posterior_of(problem, solution, error),
        settings=settings,
        diagnostics={**explained.numbers, **probing_numbers(anchored)},
        warnings=explained.warnings,
        details=explained.tables,
    )


def expected_fit(lift: Lift, settings: ReadoutSettings, context: Context) -> Expected:
    """Return what a fit of the readout takes; passes are timed on one frame."""
    frames = [lift.train[k] for k in force_frames(lift.train, settings)]
    return expected_readout(lift, frames, settings.band, settings.widen.units, context)


READOUT = Method(
    settings=ReadoutSettings,
    fit=fit_readout,
    base="needed",
    designs=lambda _: Designs(gather, forces=True),
    expect=expected_fit,
    differences=all_differences,
    seedless=True,
)
