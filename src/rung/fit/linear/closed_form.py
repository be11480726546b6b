"""From terms to a solution: hyper-parameters by evidence or cross-validation, then the posterior, or the hinge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rung.data.labels import Array
from rung.errors import ConfigError, FitError
from rung.fit.linear.anchored import band_weight, gather_anchor
from rung.fit.linear.energies import Energies, Positions
from rung.fit.linear.evidence import HyperPosterior, averaged, infer
from rung.fit.linear.gaussian import MODEL_ERROR, Gaussian
from rung.fit.linear.hinge import HingeProgramme
from rung.fit.linear.label_error import LabelError, fitted_label_error
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import TAU_OVER_FORCE, Assembly, Band, Term, assemble

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
    label_error
        What evidence gave to labels without an error; None where nobody asked.
    """

    gaussian: Gaussian
    model_error: float
    assembly: Assembly
    hypers: HyperPosterior | None
    values: Mapping[str, float]
    table: tuple[Mapping[str, float], ...] = ()
    label_error: LabelError | None = None

    def leave_one_out(self) -> tuple[Array, Array]:
        """Return how far each datum is from what the others predict, eV, and the variance expected of that, eV².

        NaN for a hinge: its solution without one energy is no closed form, and that of a quadratic band is another fit.
        """
        if np.isnan(self.gaussian.covariance).any():
            unknown = np.full(len(self.assembly.model.data), np.nan)
            return unknown, unknown
        return self.assembly.model.leave_one_out(self.values)


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
    label_error = None
    if assembly.exact is not None and len(assembly.model.data):
        assembly, label_error = fitted_label_error(assembly)
    model = assembly.model
    if n_points == "auto":
        n_points = POINTS_FEW if len(model.data) < MANY_ENERGIES else POINTS_MANY
    if not len(model.data):
        values = {name: assembly.priors[name].median for name in model.hypers}
        return Solution(model.posterior(values), values[MODEL_ERROR], assembly, None, values)
    if choose == "cross_validation":
        values = cross_validated(assembly)
        return Solution(model.posterior(values), values[MODEL_ERROR], assembly, None, values, label_error=label_error)
    hypers = infer(model, assembly.priors, n_points=n_points)
    gaussian, model_error = averaged(model, hypers)
    return Solution(gaussian, model_error, assembly, hypers, hypers.best, label_error=label_error)


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

    Raises
    ------
    ConfigError
        When no frame anchors.
    FitError
        When there are no target energies, or τ is to be chosen and no energy can be predicted from the others.
    """
    quadratic = tuple(
        term.model_copy(update={"shape": "quadratic", "tau": "auto"}) if isinstance(term, Band) else term
        for term in terms
    )
    guide = quadratic_solution(assemble(quadratic, problem))
    if not len(guide.assembly.model.data):
        raise FitError("The hinge band needs target energies: without any, use the quadratic band.")
    fit = _hinge_fit(problem, guide, band)
    typical = guide.assembly.priors["tau"].median / TAU_OVER_FORCE
    if band.tau == "auto":
        table = [_cross_validate(fit, factor * typical) for factor in HINGE_GRID]
        tau = float(min((row["loss"], row["tau"]) for row in table)[1])
    else:
        table = []
        tau = float(band.tau)
    mean = fit.solve(np.arange(len(fit.data)), tau)
    unknown = np.full((len(mean), len(mean)), np.nan)
    gaussian = replace(guide.gaussian, mean=mean, covariance=unknown)
    values = {**guide.values, "tau": tau}
    return Solution(gaussian, guide.model_error, guide.assembly, guide.hypers, values, tuple(table))


@dataclass(frozen=True)
class HingeFit:
    """What a hinge fit is made of, whichever of the energies it sees.

    Parameters
    ----------
    data
        All energies.
    noise
        Covariance of their errors and the model's own, eV², shape ``(n, n)``.
    prior
        Precision of d, shape ``(P, P)``.
    reference_stderr
        One-sigma prior of each E0 change, eV; infinite leaves them flat.
    forces, anchor, weight
        As in :class:`~rung.fit.linear.hinge.HingeProgramme`, over d alone.
    """

    data: Energies
    noise: Array
    prior: Array
    reference_stderr: float
    forces: Array
    anchor: Array
    weight: float

    def solve(self, chosen: Positions, tau: float) -> Array:
        """Return (d, e), shape ``(P + E,)``, of the fit to the energies whose positions are ``chosen``.

        Along changes of E0 that they do not identify e is zero.
        """
        data = self.data.rows(chosen)
        n_weights, n_elements = data.design.shape[1], data.composition.shape[1]
        flat = not np.isfinite(self.reference_stderr)
        basis = data.identified.T if flat else np.eye(n_elements)  # e = basis @ u
        prior = np.zeros((n_weights + basis.shape[1],) * 2)
        prior[:n_weights, :n_weights] = self.prior
        if not flat:
            prior[n_weights:, n_weights:] = np.eye(n_elements) / self.reference_stderr**2
        whiten = np.linalg.inv(np.linalg.cholesky(self.noise[np.ix_(chosen, chosen)]))
        programme = HingeProgramme(
            rows=whiten @ np.hstack([data.design, data.composition @ basis]),
            target=whiten @ data.target,
            prior=prior,
            forces=np.hstack([self.forces, np.zeros((len(self.forces), basis.shape[1]))]),
            anchor=self.anchor,
            weight=self.weight,
        )
        coordinates = np.zeros((n_weights + n_elements, n_weights + basis.shape[1]))
        coordinates[:n_weights, :n_weights] = np.eye(n_weights)
        coordinates[n_weights:, n_weights:] = basis
        return np.asarray(coordinates @ programme.solve(tau))

    def left_out(self, kept: Positions, others: Positions, tau: float) -> Array:
        """Return how far the fit to the energies ``kept`` is from the ``others``, over their errors, shape ``(m,)``.

        Errors that labels share with those that the fit has seen are predicted too: what is left is compared with the
        covariance that is left. Energies of which the kept ones do not identify the composition are not compared.
        """
        parameters = self.solve(kept, tau)
        judged = others[self._identified(kept, others)]
        residual = self.data.target - np.hstack([self.data.design, self.data.composition]) @ parameters
        shared = self.noise[np.ix_(kept, judged)]
        gain = np.linalg.solve(self.noise[np.ix_(kept, kept)], shared).T
        covariance = self.noise[np.ix_(judged, judged)] - gain @ shared
        error = residual[judged] - gain @ residual[kept]
        return np.asarray(np.linalg.solve(np.linalg.cholesky(covariance), error))

    def _identified(self, kept: Positions, others: Positions) -> NDArray[np.bool_]:
        """Return of which of ``others`` the reference energy follows from the energies ``kept``."""
        if np.isfinite(self.reference_stderr):
            return np.ones(len(others), dtype=bool)
        rows, basis = self.data.composition[others], self.data.rows(kept).identified
        rest = rows - rows @ basis.T @ basis
        return np.linalg.norm(rest, axis=1) <= 1e-8 * np.linalg.norm(rows, axis=1)


def _hinge_fit(problem: Problem, guide: Solution, band: Band) -> HingeFit:
    """Return the hinge fit whose anchor and hyper-parameters other than τ are those of the quadratic fit."""
    chosen = band.frames(problem.structures)
    if not chosen:
        raise ConfigError("The hinge band has no frame to anchor; give frames or set its anchor to none.")
    anchor, design = gather_anchor(band.anchor, band.transforms, problem, chosen)
    model, values = guide.assembly.model, guide.values
    kept = np.repeat(anchor.kept, 3)
    target = (anchor.forces - anchor.base).ravel()
    for column in anchor.directions:
        target = target + _fitted_size(guide, column.forces.ravel()[kept], design[kept]) * column.forces.ravel()
    prior = np.zeros((model.n_weights,) * 2)
    for component in model.components:
        if component.hyper != "tau":
            prior += component.gram / values[component.hyper] ** 2
    return HingeFit(
        data=model.data,
        noise=model.data.covariance(values[MODEL_ERROR]),
        prior=prior,
        reference_stderr=model.reference_stderr,
        forces=design[kept],
        anchor=target[kept],
        weight=band_weight(design[kept].T @ design[kept], int(anchor.kept.sum())),
    )


def _fitted_size(guide: Solution, direction: Array, design: Array) -> float:
    """Return how much of an uncertain direction the quadratic fit's forces took: its least-squares share."""
    change = design @ guide.gaussian.mean[: design.shape[1]]
    return float(change @ direction) / max(float(direction @ direction), 1e-300)


def _cross_validate(fit: HingeFit, tau: float) -> dict[str, float]:
    """Return the mean squared error of energies left out in folds, each over its own error."""
    count = len(fit.data)
    folds = np.arange(count) % min(HINGE_FOLDS, count)
    errors = [
        fit.left_out(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold), tau) for fold in np.unique(folds)
    ]
    compared = np.concatenate(errors)
    if not len(compared):
        raise FitError(
            "No energy can be predicted from the others, for each is alone in its composition: tau cannot be chosen by "
            "cross-validation, so give it in eV/Å, or use the quadratic band."
        )
    return {"tau": float(tau), "loss": float(np.sum(compared**2)) / len(compared)}
