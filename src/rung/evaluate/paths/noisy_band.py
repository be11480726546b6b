"""The barrier of a band whose energies carry statistical errors: the highest of noisy numbers is too high."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray

from rung.data.labels import Array
from rung.errors import DataError

_SAMPLES = 1000
_GRID = 101
_GAP = 3.0
"""Of the median step of a path: a longer step is a gap, in which a polynomial of the length may be anything."""


@dataclass(frozen=True)
class NoisyBarrier:
    """What single energies along a fixed band say of its barrier.

    Parameters
    ----------
    highest
        Highest energy less the first, as given, eV.
    highest_stderr
        Its one-sigma error if that image were chosen beforehand: √(σ² + σ₀²), eV.
    bias
        By how much ``highest`` is too high on average, because the highest of noisy numbers was chosen, eV.
    fitted
        Maximum of the smooth curve through all energies less its value at the first image, less the bias that even this
        has, eV: the estimate to quote.
    fitted_stderr
        Its one-sigma error, eV.
    fitted_bias
        What was taken off the curve's own maximum, eV: less than ``bias``, for a curve has fewer ways to be too high.
    degree
        Of the fitted polynomial.
    chi2
        Mean squared distance of the energies from the curve in units of their errors, per degree of freedom; NaN where
        the curve goes through all.
    curve
        The fitted curve less its value at the first image, eV, at each image.
    points
        The energies as given less the fitted curve at the first image, eV: less the first energy, its noise would be
        in all of them.
    """

    highest: float
    highest_stderr: float
    bias: float
    fitted: float
    fitted_stderr: float
    fitted_bias: float
    degree: int
    chi2: float
    curve: Array
    points: Array

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {**asdict(self), "curve": self.curve.tolist(), "points": self.points.tolist()}


def noisy_barrier(
    coordinate: ArrayLike,
    energies: ArrayLike,
    stderr: ArrayLike,
    *,
    shape: ArrayLike | None = None,
    seed: int = 0,
) -> NoisyBarrier:
    """Return the barrier of noisy energies along a band, as given and from a smooth curve through them.

    A polynomial of the path is fitted by weighted least squares, its degree chosen by the information criterion of
    Akaike, IEEE Trans. Autom. Control 19, 716 (1974), for the errors are known. Where steps are unlike, it is a
    polynomial of the number of the image. New noise on that curve, the same
    for all, tells by how much the highest image is too high (a parametric bootstrap, Efron 1979).

    Parameters
    ----------
    coordinate
        Length of the path up to each image, Å, increasing, shape ``(images,)``.
    energies, stderr
        Energies and their independent one-sigma errors, eV, shape ``(images,)``.
    shape
        Energies of a potential at the same images, eV: then the polynomial is that of the difference, for which a
        lower degree does.
    seed
        Of the bootstrap.

    Raises
    ------
    DataError
        When there are fewer than four images, an error is not positive, or the path does not increase.
    """
    x, energy, error = (np.asarray(values, dtype=float) for values in (coordinate, energies, stderr))
    known = np.zeros_like(energy) if shape is None else np.asarray(shape, dtype=float)
    if not (len(x) == len(energy) == len(error) == len(known)) or len(x) < 4:
        raise DataError("A noisy band needs at least four images with an energy and an error each.")
    if not (np.isfinite(energy).all() and np.isfinite(error).all() and (error > 0).all()):
        raise DataError("Every image of a noisy band needs an energy and a positive error.")
    if not (np.diff(x) > 0).all():
        raise DataError("The images of a noisy band must lie one after the other; two of them are the same.")
    x = _places(x)
    start = 0 if shape is not None else 2
    polynomials = [_polynomial(x, error, degree, known) for degree in range(start, len(x) - 1)]
    degree, top = _chosen(polynomials, (energy - known)[None], error)
    best = polynomials[int(degree[0])]
    smooth = best.projector @ (energy - known) + known
    normal = np.random.default_rng(seed).standard_normal((_SAMPLES // 2, len(x)))
    # each with its opposite, so that what is linear in the noise has the mean that it should
    drawn = smooth + np.concatenate([normal, -normal]) * error
    heights = drawn.max(axis=1) - drawn[:, 0]
    # the degree is chosen anew for each draw, for that choice is part of the bias
    _, refitted = _chosen(polynomials, drawn - known, error)
    truth = _heights(best, (smooth - known)[None])[0]
    left_over = float(refitted.mean() - truth)
    freedom = len(x) - best.degree - 1
    place = int(np.argmax(energy))
    return NoisyBarrier(
        highest=float(energy[place] - energy[0]),
        highest_stderr=float(np.hypot(error[place], error[0])) if place else 0.0,
        # the images' own highest: that none of them stands on the top is another matter, which the curve mends
        bias=float(heights.mean() - (smooth.max() - smooth[0])),
        fitted=float(top[0]) - left_over,
        fitted_stderr=float(refitted.std(ddof=1)),
        fitted_bias=left_over,
        degree=best.degree,
        chi2=float((((energy - smooth) / error) ** 2).sum() / freedom) if freedom else float("nan"),
        curve=smooth - smooth[0],
        points=energy - smooth[0],
    )


def _places(x: Array) -> Array:
    """Return where images stand for the curve: along the path, or evenly where a gap would let the curve swing."""
    steps = np.diff(x)
    return np.arange(float(len(x))) if steps.max() > _GAP * np.median(steps) else x


@dataclass(frozen=True)
class _Polynomial:
    """A polynomial of one degree as linear maps: from values at the images to the curve there and on a fine grid."""

    degree: int
    projector: Array
    reach: Array
    known: Array


def _polynomial(x: Array, error: Array, degree: int, known: Array) -> _Polynomial:
    coefficients = _coefficients(x, error, degree)
    dense, dense_known = _dense(x, known)
    return _Polynomial(
        degree, _matrix(x, x, degree) @ coefficients, _matrix(dense, x, degree) @ coefficients, dense_known
    )


def _chosen(polynomials: Sequence[_Polynomial], values: Array, error: Array) -> tuple[NDArray[np.intp], Array]:
    """Return which polynomial the criterion prefers for each row of ``values``, and the height of its curve."""
    criteria = np.array(
        [(((values - values @ one.projector.T) / error) ** 2).sum(axis=1) + 2 * (one.degree + 1) for one in polynomials]
    )
    heights = np.array([_heights(one, values) for one in polynomials])
    place = criteria.argmin(axis=0)
    return place, heights[place, np.arange(len(values))]


def _matrix(at: Array, x: Array, degree: int) -> Array:
    domain = [x[0], x[-1]]
    return np.stack([Chebyshev.basis(k, domain=domain)(at) for k in range(degree + 1)], axis=1)


def _coefficients(x: Array, error: Array, degree: int) -> Array:
    """Return the map from values to weighted least-squares coefficients."""
    weighted = _matrix(x, x, degree) / error[:, None]
    return np.asarray(np.linalg.pinv(weighted) / error)


def _dense(x: Array, known: Array) -> tuple[Array, Array]:
    """Return the path and the known curve on a fine grid; a known curve is read at its images, for it has no other."""
    if not known.any():
        grid = np.linspace(x[0], x[-1], _GRID)
        return grid, np.zeros_like(grid)
    return x, known


def _heights(polynomial: _Polynomial, values: Array) -> Array:
    """Return the maximum less the start of the curve through each row of ``values``, eV."""
    curves = values @ polynomial.reach.T + polynomial.known
    return np.asarray(curves.max(axis=1) - curves[:, 0])
