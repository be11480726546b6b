"""The evidence: how probable the energies are under a prior, as a function of its hyper-parameters.

It is the restricted likelihood: energies enter only through contrasts that no change of E0 touches. The prior's
normaliser counts, the anchor's own misfit does not. Hyper-parameters have log-normal hyper-priors; few labels leave
them open, so the posterior is averaged over them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc
from scipy.stats import t as student

from rung.data.labels import Array
from rung.errors import FitError
from rung.fit.linear.gaussian import MODEL_ERROR, Explained, Gaussian, LinearModel

DEGREES_OF_FREEDOM = 5.0
"""Of the Student distribution through which the points are drawn: heavier tails than the posterior has."""


@dataclass(frozen=True)
class HyperPrior:
    """A log-normal prior of one hyper-parameter.

    Parameters
    ----------
    median
        In the unit of the hyper-parameter.
    width
        Standard deviation of its natural logarithm; zero fixes it at the median.
    """

    median: float
    width: float


@dataclass(frozen=True)
class HyperPosterior:
    """What the energies say of the hyper-parameters.

    Parameters
    ----------
    names
        The free ones, in the order of the arrays' columns.
    best
        All hyper-parameters at the maximum.
    points
        Logarithms of the free ones at the points that stand for the posterior, shape ``(K, H)``.
    weights
        Of the points, summing to one, shape ``(K,)``.
    log_evidence
        At the maximum, hyper-priors apart.
    log_marginal
        With the hyper-parameters integrated over (Laplace's approximation): compares models.
    fixed
        Those that were not free.
    """

    names: tuple[str, ...]
    best: Mapping[str, float]
    points: Array
    weights: Array
    log_evidence: float
    log_marginal: float
    fixed: Mapping[str, float]

    def at(self, point: Array) -> dict[str, float]:
        """Return all hyper-parameters at one point."""
        return {**self.fixed, **dict(zip(self.names, np.exp(point).tolist(), strict=True))}

    def interval(self, name: str, level: float = 0.68) -> tuple[float, float]:
        """Return the central interval of one hyper-parameter that holds ``level`` of the weight."""
        if name not in self.names:
            return self.fixed[name], self.fixed[name]
        column = self.points[:, self.names.index(name)]
        order = np.argsort(column)
        cumulative = np.cumsum(self.weights[order]) - 0.5 * self.weights[order]
        low, high = np.interp([0.5 - level / 2, 0.5 + level / 2], cumulative, column[order])
        return float(np.exp(low)), float(np.exp(high))


def log_evidence(model: LinearModel, hypers: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Return the log restricted likelihood of the energies and its derivative by each log hyper-parameter."""
    prior, data = model.prior(hypers), model.blind
    known = Explained(data, prior, hypers[MODEL_ERROR])
    residual, solved, gram, half = known.residual, known.solved, known.gram, known.half
    value = -0.5 * (residual @ solved + known.log_determinant + data.freedom * np.log(2 * np.pi))
    # With K the contrasts' covariance: d(value) = ½ tr[(K⁻¹r rᵀK⁻¹ - K⁻¹) dK] + rᵀK⁻¹ A dm
    pulled = data.design.T @ solved
    curvature = prior.inverse @ (np.outer(pulled, pulled) - gram + gram @ half.T @ half @ gram)
    pulled = prior.inverse @ pulled
    moved = curvature @ prior.directions
    # d(value) for a step of Λ along each gram: through the covariance, the uncertain directions and the mean
    response = curvature @ prior.inverse + 2.0 * moved @ prior.directions.T + 2.0 * np.outer(pulled, prior.mean)
    gradient = dict.fromkeys(model.hypers, 0.0)
    gradient[MODEL_ERROR] = hypers[MODEL_ERROR] ** 2 * known.precision.response(solved, known.factor)
    start = 0
    for scale, component in zip(prior.scales, prior.components, strict=True):
        stop = start + len(component.direction_stderr)
        own = component.directions * component.direction_stderr
        change = np.sum(response * component.gram)
        change -= 2.0 * np.sum(moved[:, start:stop] * own) + 2.0 * pulled @ component.offset
        gradient[component.hyper] += float(scale * change)
        start = stop
    return float(value), gradient


def infer(
    model: LinearModel,
    priors: Mapping[str, HyperPrior],
    *,
    n_points: int = 64,
    starts: Sequence[Mapping[str, float]] = (),
) -> HyperPosterior:
    """Find the hyper-parameters' posterior: its maximum, and points with weights that stand for the rest of it.

    The points are a scrambled Sobol sequence (a fixed seed) through a Student distribution around the maximum,
    weighted by what the evidence says of each, so that a posterior with a long tail keeps it.

    Parameters
    ----------
    model
        Prior components and energies.
    priors
        One hyper-prior for each of ``model.hypers``.
    n_points
        How many points to average over; 1 keeps the maximum alone.
    starts
        More places to begin the search than the medians.
    """
    missing = set(model.hypers) - set(priors)
    if missing:
        raise FitError(f"There is no hyper-prior for {sorted(missing)}.")
    free = tuple(name for name in model.hypers if priors[name].width > 0)
    fixed = {name: priors[name].median for name in model.hypers if name not in free}
    centre = np.log([priors[name].median for name in free])
    width = np.array([priors[name].width for name in free])

    def objective(point: Array) -> tuple[float, Array]:
        hypers = {**fixed, **dict(zip(free, np.exp(point).tolist(), strict=True))}
        value, gradient = log_evidence(model, hypers)
        offset = (point - centre) / width
        slope = np.array([gradient[name] for name in free])
        return -(value - 0.5 * offset @ offset), -(slope - offset / width)

    best_value, best_point = np.inf, centre
    for start in [centre, *(np.log([start[name] for name in free]) for start in starts)]:
        if not free:
            best_value = objective(centre)[0]
            break
        found = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[*zip(centre - 5 * width, centre + 5 * width, strict=True)],
        )
        if found.fun < best_value:
            best_value, best_point = float(found.fun), found.x
    best = {**fixed, **dict(zip(free, np.exp(best_point).tolist(), strict=True))}
    peak = log_evidence(model, best)[0] if free else -best_value
    points, weights, log_marginal = _spread(objective, best_point, best_value, width, n_points)
    return HyperPosterior(free, best, points, weights, float(peak), log_marginal, fixed)


def _spread(
    objective: Callable[[Array], tuple[float, Array]], best: Array, value: float, width: Array, n_points: int
) -> tuple[Array, Array, float]:
    """Return points, weights and the log integral over the hyper-parameters around a maximum."""
    size = len(best)
    if size == 0:
        return best[None], np.ones(1), -value
    step = 1e-3
    hessian = np.array(
        [(objective(best + step * axis)[1] - objective(best - step * axis)[1]) / (2 * step) for axis in np.eye(size)]
    )
    eigenvalues, axes = np.linalg.eigh(0.5 * (hessian + hessian.T))
    spread = axes / np.sqrt(np.maximum(eigenvalues, width.min() ** -2 * 0.1))
    normaliser = -np.log(width).sum() + np.log(np.abs(np.linalg.det(spread)))
    if n_points <= 1:
        return best[None], np.ones(1), float(-value + normaliser)
    uniform = qmc.Sobol(size, seed=np.random.default_rng(0)).random(n_points)
    standard = np.vstack([np.zeros(size), student.ppf(np.clip(uniform, 1e-6, 1 - 1e-6), DEGREES_OF_FREEDOM)])
    points = best + standard @ spread.T
    log_density = student.logpdf(standard, DEGREES_OF_FREEDOM).sum(axis=1)
    log_target = np.array([-objective(point)[0] for point in points])
    log_weights = log_target - log_density
    top = log_weights.max()
    weights = np.exp(log_weights - top)
    marginal = top + np.log(weights.mean()) + normaliser - 0.5 * size * np.log(2 * np.pi)
    return points, weights / weights.sum(), float(marginal)


def averaged(model: LinearModel, hypers: HyperPosterior) -> tuple[Gaussian, float]:
    """Return the posterior of (d, e) and s, eV/√atom, averaged over the hyper-parameters.

    Moments of the mixture: the spread of the means counts as covariance, and s is the root of the mean of s².
    """
    kept = np.flatnonzero(hypers.weights > 1e-4 * hypers.weights.max())
    weights = hypers.weights[kept] / hypers.weights[kept].sum()
    points = [hypers.at(hypers.points[index]) for index in kept]
    parts = [model.posterior(values) for values in points]
    mean = np.sum([weight * part.mean for weight, part in zip(weights, parts, strict=True)], axis=0)
    covariance = np.zeros((len(mean), len(mean)))
    for weight, part in zip(weights, parts, strict=True):
        apart = part.mean - mean  # squares of the means themselves would drown the covariance where E0 moves by 10⁵ eV
        covariance += weight * (part.covariance + np.outer(apart, apart))
    model_error = sum(weight * values[MODEL_ERROR] ** 2 for weight, values in zip(weights, points, strict=True))
    gaussian = Gaussian(np.asarray(mean), 0.5 * (covariance + covariance.T), parts[0].unidentified)
    return gaussian, float(np.sqrt(model_error))
