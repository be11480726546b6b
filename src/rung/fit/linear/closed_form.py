"""From terms to a solution: hyper-parameters by evidence or cross-validation, then the posterior, or the hinge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from rung.data.labels import Array
from rung.errors import ConfigError, FitError
from rung.fit.linear.evidence import HyperPosterior, averaged, infer
from rung.fit.linear.gaussian import MODEL_ERROR, Gaussian
from rung.fit.linear.hinge import HingeProgramme
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import TAU_OVER_FORCE, Assembly, Band, Term, assemble, band_weight, gather_anchor

HINGE_GRID = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Values of τ that cross-validation tries, in units of the anchor's r.m.s. force."""

HINGE_FOLDS = 5

MANY_ENERGIES = 150
POINTS_FEW, POINTS_MANY = 64, 16
"""How many points stand for the hyper-parameters' posterior with fewer and with more than ``MANY_ENERGIES``."""


@dataclass(frozen=True)
class Solution:
    """A solved linear fit.

    Parameters
    ----------
    gaussian
        Of (d, e); the covariance is NaN where the method has none.
    model_error
        s, eV/√atom.
    assembly
        The model that was solved.
    hypers
        The hyper-parameters' posterior, or None where cross-validation chose.
    values
        The hyper-parameters at their best.
    table
        What cross-validation saw, for the report.
    """

    gaussian: Gaussian
    model_error: float
    assembly: Assembly
    hypers: HyperPosterior | None
    values: Mapping[str, float]
    table: tuple[Mapping[str, float], ...] = ()


def quadratic_solution(
    assembly: Assembly, *, choose: str = "evidence", n_points: int | Literal["auto"] = "auto"
) -> Solution:
    """Solve in closed form; without energies the solution is the prior at its medians.

    Parameters
    ----------
    assembly
        Model and hyper-priors.
    choose
        ``evidence`` or ``cross_validation``.
    n_points
        Over how many points the hyper-parameters are averaged; ``auto`` takes fewer once many energies fix them.
    """
    model = assembly.model
    if n_points == "auto":
        n_points = POINTS_FEW if len(model.data) < MANY_ENERGIES else POINTS_MANY
    if not len(model.data):
        values = {name: assembly.priors[name].median for name in model.hypers}
        return Solution(model.posterior(values), values[MODEL_ERROR], assembly, None, values)
    if choose == "cross_validation":
        values = cross_validated(assembly)
        return Solution(model.posterior(values), values[MODEL_ERROR], assembly, None, values)
    hypers = infer(model, assembly.priors, n_points=n_points)
    gaussian, model_error = averaged(model, hypers)
    return Solution(gaussian, model_error, assembly, hypers, hypers.best)


def cross_validated(assembly: Assembly) -> dict[str, float]:
    """Return the hyper-parameters that predict each energy best from all others (log score, leave-one-out)."""
    model = assembly.model
    free = [name for name in model.hypers if assembly.priors[name].width > 0]
    start = {name: assembly.priors[name].median for name in model.hypers}

    def loss(point: Array) -> float:
        error, variance = model.leave_one_out({**start, **dict(zip(free, np.exp(point).tolist(), strict=True))})
        known = np.isfinite(variance)
        return float(np.sum(error[known] ** 2 / variance[known] + np.log(variance[known])))

    if not free:
        return start
    centre = np.log([start[name] for name in free])
    width = np.array([assembly.priors[name].width for name in free])
    found = minimize(
        loss,
        centre,
        method="Nelder-Mead",
        bounds=[*zip(centre - 4 * width, centre + 4 * width, strict=True)],
        options={"xatol": 0.01, "fatol": 0.01, "maxiter": 600},
    )
    return {**start, **dict(zip(free, np.exp(found.x).tolist(), strict=True))}


def hinge_solution(problem: Problem, terms: Sequence[Term], band: Band) -> Solution:
    """Solve with a hinge band: τ by cross-validation of the energies, α and s by evidence under the quadratic band.

    The anchor sits where the quadratic fit puts its uncertain scale. There are no error bars: they are NaN.
    """
    quadratic = tuple(
        term.model_copy(update={"shape": "quadratic", "tau": "auto"}) if isinstance(term, Band) else term
        for term in terms
    )
    guide = quadratic_solution(assemble(quadratic, problem))
    if not len(guide.assembly.model.data):
        raise FitError("The hinge band needs target energies: without any, use the quadratic band.")
    programme, elements = _programme(problem, guide, band)
    typical = guide.assembly.priors["tau"].median / TAU_OVER_FORCE
    if band.tau == "auto":
        table = [_cross_validate(programme, factor * typical) for factor in HINGE_GRID]
        tau = float(min((row["loss"], row["tau"]) for row in table)[1])
    else:
        table = []
        tau = float(band.tau)
    mean = np.asarray(elements @ programme.solve(tau))
    unknown = np.full((len(mean), len(mean)), np.nan)
    gaussian = replace(guide.gaussian, mean=mean, covariance=unknown)
    values = {**guide.values, "tau": tau}
    return Solution(gaussian, guide.model_error, guide.assembly, guide.hypers, values, tuple(table))


def _programme(problem: Problem, guide: Solution, band: Band) -> tuple[HingeProgramme, Array]:
    """Return the convex programme over (d, u) with e = basis @ u, and that basis."""
    gathered = gather_anchor(band, problem)
    if gathered is None:
        raise ConfigError("The hinge band has no frame to anchor; give frames or set its anchor to none.")
    anchor, design = gathered
    model, values = guide.assembly.model, guide.values
    kept = np.repeat(anchor.kept, 3)
    target = (anchor.forces - anchor.base).ravel()
    for column in anchor.directions:
        target = target + _fitted_size(guide, column.forces.ravel()[kept], design[kept]) * column.forces.ravel()
    data = model.data
    basis = data.identified.T if not np.isfinite(model.reference_stderr) else np.eye(data.composition.shape[1])
    noise = data.statistical + values[MODEL_ERROR] ** 2 * data.model
    whiten = np.linalg.inv(np.linalg.cholesky(noise))
    n_weights, n_elements = model.n_weights, basis.shape[1]
    prior = np.zeros((n_weights + n_elements,) * 2)
    for component in model.components:
        if component.hyper != "tau":
            prior[:n_weights, :n_weights] += component.gram / values[component.hyper] ** 2
    if np.isfinite(model.reference_stderr):
        prior[n_weights:, n_weights:] = np.eye(n_elements) / model.reference_stderr**2
    forces = np.hstack([design[kept], np.zeros((int(kept.sum()), n_elements))])
    programme = HingeProgramme(
        rows=whiten @ np.hstack([data.design, data.composition @ basis]),
        target=whiten @ data.target,
        prior=prior,
        forces=forces,
        anchor=target[kept],
        weight=band_weight(design[kept].T @ design[kept], int(anchor.kept.sum())),
    )
    return programme, np.vstack(
        [
            np.hstack([np.eye(n_weights), np.zeros((n_weights, n_elements))]),
            np.hstack([np.zeros((len(basis), n_weights)), basis]),
        ]
    )


def _fitted_size(guide: Solution, direction: Array, design: Array) -> float:
    """Return how much of an uncertain direction the quadratic fit's forces took: its least-squares share."""
    change = design @ guide.gaussian.mean[: design.shape[1]]
    return float(change @ direction) / max(float(direction @ direction), 1e-300)


def _cross_validate(programme: HingeProgramme, tau: float) -> dict[str, float]:
    """Return the mean squared error of energies left out in folds, each over its own error."""
    count = len(programme.target)
    folds = np.arange(count) % min(HINGE_FOLDS, count)
    loss, start = 0.0, programme.solve(tau)
    for fold in np.unique(folds):
        kept = folds != fold
        found = replace(programme, rows=programme.rows[kept], target=programme.target[kept]).solve(tau, start)
        loss += float(np.sum((programme.rows[~kept] @ found - programme.target[~kept]) ** 2))
    return {"tau": float(tau), "loss": loss / count}
