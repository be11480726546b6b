"""Whether error bars are honest: z², shares within intervals, and a score that punishes bars too small and too wide."""

from math import pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.coverage import coverage
from rung.results.metrics import Calibration
from rung.units import MILLI

CURVE = (0.5, 0.68, 0.9, 0.95)
"""The probabilities whose intervals are counted."""


def crps(error: ArrayLike, stderr: ArrayLike) -> Array:
    """Return the continuous ranked probability score of normal predictions, in the unit of the errors.

    It is ∫ (F(x) − [x ≥ y])² dx for the distribution function F of the prediction and the truth y.

    Parameters
    ----------
    error
        Mean of the prediction less the truth.
    stderr
        Its standard deviation, above zero, same shape.

    Notes
    -----
    Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007), eq. 5 of Gneiting et al., Mon. Weather Rev. 133, 1098
    (2005): σ [z (2Φ(z) − 1) + 2φ(z) − 1/√π] with z = error/σ.
    """
    sigma = np.asarray(stderr, dtype=float)
    z = np.asarray(error, dtype=float) / sigma
    density = np.exp(-0.5 * z**2) / sqrt(2 * pi)
    return np.asarray(sigma * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / sqrt(pi)))


def calibration(error: ArrayLike, variance: ArrayLike, n_atoms: ArrayLike) -> Calibration:
    """Return how well error bars of energies hold.

    Parameters
    ----------
    error
        Prediction less label, eV, shape ``(S,)``.
    variance
        Of that difference, the label's own error in it, eV², shape ``(S,)``; an energy whose variance is not finite or
        not positive does not count.
    n_atoms
        Atoms of each structure, shape ``(S,)``.

    Raises
    ------
    DataError
        When the shapes disagree.
    """
    errors, variances, atoms = (np.asarray(values, dtype=float) for values in (error, variance, n_atoms))
    if not errors.shape == variances.shape == atoms.shape:
        raise DataError(f"Calibration needs equal shapes, not {errors.shape}, {variances.shape} and {atoms.shape}.")
    usable = np.isfinite(errors) & np.isfinite(variances) & (variances > 0)
    errors, bars, atoms = errors[usable], np.sqrt(variances[usable]), atoms[usable]
    scores = MILLI * crps(errors, bars) / atoms
    within = {f"within_{100 * level:.0f}": coverage(errors, np.zeros_like(errors), bars, level) for level in CURVE}
    return Calibration(n=len(errors), z2=_mean(np.square(errors / bars)), crps=_mean(scores), **within)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
