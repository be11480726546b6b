"""Diffusivity from mean squared displacements, with the error that their correlations leave.

Mean squared displacements at different lags share their trajectory, so a straight line through them by ordinary least
squares has an error that is several times what it seems. Here the line is fitted with the covariance that they have for
Brownian motion (Michalet, Phys. Rev. E 82, 041914 (2010); McCluskey, Coles and Morgan, J. Chem. Theory Comput. 21, 79
(2025), whose package kinisi does the same from the observed variances), summed exactly for the lags at hand. Atoms that
hop take steps that are rarer and larger than Gaussian ones; the fourth moment of their displacements says by how much,
and the covariance has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve

from rung.data.labels import Array
from rung.evaluate.transport.displacement import Moments

SQUARE_CM_PER_SECOND = 0.1
"""One Å²/fs in cm²/s."""

_ROUNDS = 6
_JITTER = 1e-10


@dataclass(frozen=True)
class Walk:
    """What the covariance of mean squared displacements depends on, besides the length of a step.

    Parameters
    ----------
    rattle, excess
        As for :func:`walk_covariance`.
    """

    rattle: float
    excess: float

    def near(self, other: "Walk") -> bool:
        """Return whether nothing moved that an error bar would show."""
        pairs = ((self.rattle, other.rattle), (self.excess, other.excess))
        return all(abs(now - before) <= 1e-3 * max(abs(now), 1.0) for now, before in pairs)


@dataclass(frozen=True)
class LineFit:
    """A straight line through mean squared displacements, 2 d D t + c.

    Parameters
    ----------
    diffusivity
        D, Å²/fs.
    stderr
        Its one-sigma error, Å²/fs.
    intercept
        c, Å²: what vibrations add at every lag.
    walk
        What the steps looked like.
    """

    diffusivity: float
    stderr: float
    intercept: float
    walk: Walk


@dataclass(frozen=True)
class Slope:
    """d ln MSD / d ln t over a range of lags: 1 where atoms diffuse, 0 where they rattle, 2 where they fly.

    Parameters
    ----------
    value, stderr
        The slope and its one-sigma error.
    """

    value: float
    stderr: float


def chosen_lags(first: int, last: int, count: int = 24) -> Array:
    """Return up to ``count`` whole numbers from ``first`` to ``last``, in nearly equal ratios."""
    return np.unique(np.round(np.geomspace(first, last, count)).astype(int))


def walk_covariance(lags: ArrayLike, n_frames: int, *, rattle: float = 0.0, excess: float = 0.0) -> Array:
    """Return the covariance of one walker's mean squared displacements along one axis, shape ``(L, L)``.

    Parameters
    ----------
    lags
        Numbers of frames, shape ``(L,)``.
    n_frames
        Frames of the trajectory.
    rattle
        Variance of a jitter about the walk that is new at each frame, in units of the variance of a step.
    excess
        Excess kurtosis of a step: 0 for Brownian motion, 1/p − 3 for a walker that hops at a share p of the frames.

    Returns
    -------
    Array
        In units of the squared variance of a step: multiply by (2 D δt)².

    Notes
    -----
    Displacements u over frames (i, i+n) and (j, j+m) have covariance
    q = o + r [δ(i, j) + δ(i+n, j+m) − δ(i+n, j) − δ(i, j+m)], o being the frames that they share, and where steps are
    independent cov(u², u'²) = 2 q² + excess o; the sum runs over every pair of starting times.
    """
    frames = [int(lag) for lag in np.asarray(lags)]
    parts = np.array([[_pair(max(n, m), min(n, m), n_frames) for m in frames] for n in frames])
    return np.asarray(parts @ np.array([2.0, 4.0 * rattle, 2.0 * rattle**2, excess]))


@lru_cache(maxsize=200_000)
def _pair(n: int, m: int, n_frames: int) -> tuple[float, float, float, float]:
    """Return the sums of o², o j, j² and o over all pairs of windows, o being shared frames and j the jitter's part."""
    shift = np.arange(-m, n + 1)  # of the second window's start against the first's; further apart they share nothing
    shared = (np.minimum(n, shift + m) - np.maximum(0, shift)).astype(float)
    jitter = (shift == 0).astype(float) + (shift == n - m) - (shift == n) - (shift == -m)
    starts = np.minimum(n_frames - n, n_frames - m - shift) - np.maximum(0, -shift)
    weights = np.maximum(starts, 0) / ((n_frames - n) * (n_frames - m))
    sums = (shared**2, shared * jitter, jitter**2, shared)
    return tuple(float((weights * one).sum()) for one in sums)  # type: ignore[return-value] # four of them


def fit_line(moments: Moments, *, n_frames: int, frame_fs: float, n_walkers: float, dimensions: int) -> LineFit:
    """Fit 2 d D t + c by generalised least squares, with the covariance of a walk.

    Parameters
    ----------
    moments
        Mean squared displacements at three lags or more, summed over the axes.
    n_frames
        Frames of the trajectory that they are means over.
    frame_fs
        Time between frames, fs.
    n_walkers
        Independent walkers that they are means over: what the atoms are worth
        (:func:`~rung.evaluate.transport.company.independent_walkers`); 1 for the collective displacement.
    dimensions
        Axes that they are sums over.

    Notes
    -----
    The covariance depends on D and c, so all are found in turn. How far the steps are from Gaussian is taken from the
    variance of the squared displacement at the first lag.
    """
    lags = moments.lags.astype(float)
    design = np.column_stack([2.0 * dimensions * frame_fs * lags, np.ones_like(lags)])
    walk = Walk(0.0, 0.0)
    for _ in range(_ROUNDS):
        factor = _factor(walk_covariance(moments.lags, n_frames, rattle=walk.rattle, excess=walk.excess))
        normal = np.linalg.inv(design.T @ cho_solve(factor, design))
        diffusivity, intercept = normal @ (design.T @ cho_solve(factor, moments.mean))
        step = max(2.0 * diffusivity * frame_fs, _least_step(moments, dimensions))
        before, walk = walk, _walk(moments, step, intercept, dimensions)
        if walk.near(before):
            break
    # a sum over d axes has d times one axis's covariance, a mean over n walkers a n-th of one's
    stderr = float(step * np.sqrt(dimensions / n_walkers * normal[0, 0]))
    return LineFit(float(diffusivity), stderr, float(intercept), walk)


def log_slope(moments: Moments, walk: Walk, *, n_frames: int, n_walkers: float, dimensions: int) -> Slope:
    """Return the slope of ln MSD against ln t with its error, for moments and trajectories as in :func:`fit_line`."""
    if (moments.mean <= 0).any():
        return Slope(float("nan"), float("inf"))
    lags = moments.lags.astype(float)
    expected = dimensions * (lags + 2.0 * walk.rattle)  # in variances of a step, as the covariance is
    covariance = walk_covariance(moments.lags, n_frames, rattle=walk.rattle, excess=walk.excess)
    factor = _factor(covariance * dimensions / np.outer(expected, expected))
    design = np.column_stack([np.log(lags), np.ones_like(lags)])
    normal = np.linalg.inv(design.T @ cho_solve(factor, design))
    slope = (normal @ (design.T @ cho_solve(factor, np.log(moments.mean))))[0]
    return Slope(float(slope), float(np.sqrt(normal[0, 0] / n_walkers)))


def combined(values: Sequence[float], stderrs: Sequence[float], lengths: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of runs, its error, and the factor by which their spread widened it.

    Parameters
    ----------
    values, stderrs
        One number a run, and its own error.
    lengths
        How long each run was: its weight. Errors are no weights here: a run whose value came out low has a low one.

    Notes
    -----
    Where the runs scatter more than their errors say, the error is widened by √(χ²/(n−1)), as the Particle Data Group
    does (Phys. Rev. D 110, 030001 (2024), section 5.2.2); it is never narrowed.
    """
    given, errors, weights = (np.asarray(one, dtype=float) for one in (values, stderrs, lengths))
    mean = float((weights * given).sum() / weights.sum())
    at_length_one = float((np.square(errors) * weights).mean())
    stderr = float(np.sqrt(at_length_one / weights.sum()))
    if len(given) < 2 or stderr == 0.0:
        return mean, stderr, 1.0
    scatter = float((weights * np.square(given - mean)).sum() / at_length_one / (len(given) - 1))
    scale = max(1.0, float(np.sqrt(scatter)))
    return mean, stderr * scale, scale


def _walk(moments: Moments, step: float, intercept: float, dimensions: int) -> Walk:
    rattle = max(intercept, 0.0) / (2.0 * dimensions * step)
    first = float(moments.lags[0])
    gaussian = 2.0 * dimensions * (first + 2.0 * rattle) ** 2
    excess = (float(moments.variance[0]) / step**2 - gaussian) / (dimensions * first)
    return Walk(rattle, max(excess, 0.0))


def _least_step(moments: Moments, dimensions: int) -> float:
    """Return half the variance of a step that the mean over all lags says.

    One walker's fitted line may come out flat, or fall; its error goes with the step and would then be far too small.
    """
    return max(0.5 * float(moments.mean.mean() / (dimensions * moments.lags.mean())), 1e-30)


def _factor(covariance: Array) -> tuple[Array, bool]:
    ridge = _JITTER * np.diag(np.diag(covariance))  # neighbouring lags are nearly one number
    factor: tuple[Array, bool] = cho_factor(covariance + ridge, lower=True)
    return factor
