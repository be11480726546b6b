"""Variances of what is linear in the fitted parameters."""

from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.model.posterior import Posterior

_TOLERANCE = 1e-8


def unidentified(gradient: Array, posterior: Posterior) -> bool:
    """Return whether the labels say nothing of the change along ``gradient``, shape ``(K,)``."""
    along = np.linalg.norm(posterior.unidentified @ gradient) if len(posterior.unidentified) else 0.0
    return bool(along > _TOLERANCE * np.linalg.norm(gradient))


def linear_covariance(gradients: Array, posterior: Posterior) -> Array:
    """Return the covariance ``g Σ gᵀ`` of quantities with ``gradients`` of shape ``(Q, K)``, shape ``(Q, Q)``.

    Rows and columns of quantities that no label identifies are infinite; a difference of two of them that is
    identified must be given as one gradient.
    """
    covariance = np.array(gradients @ posterior.covariance @ gradients.T)
    unknown = np.array([unidentified(gradient, posterior) for gradient in gradients], dtype=bool)
    covariance[unknown, :] = np.inf
    covariance[:, unknown] = np.inf
    return covariance


@dataclass(frozen=True)
class DifferenceVariance:
    """The variance of a difference of two energies, eV².

    Parameters
    ----------
    weights
        From the posterior of the weights and E0 alone.
    correlated
        With the model's own error as a random function of the features: what two similar structures share cancels.
    independent
        With the model's own error independent at both ends, N s² each: an upper bound in small cells.
    """

    weights: float
    correlated: float
    independent: float

    @property
    def headline(self) -> float:
        """The larger of the two with the model's own error: neither alone covers the testbed's barriers.

        The correlated one knows when a structure is unlike what was seen, the independent one what the features miss.
        """
        return float(np.fmax(self.correlated, self.independent))


def variance_of_difference(gradient: Array, n_atoms: float, posterior: Posterior) -> DifferenceVariance:
    """Return the variance of a difference of two energies, or of another sum Σ c E.

    Parameters
    ----------
    gradient
        Of the difference with respect to the fitted parameters, shape ``(K,)``.
    n_atoms
        Atoms of both structures together; in a sum Σ c E those of each structure count c² times.
    posterior
        Where the fit stands; without ``model_covariance`` the correlated variance is NaN.
    """
    if unidentified(gradient, posterior):
        return DifferenceVariance(np.inf, np.inf, np.inf)
    weights = float(gradient @ posterior.covariance @ gradient)
    own = posterior.model_covariance
    correlated = weights + (float(gradient @ own @ gradient) if own is not None else np.nan)
    return DifferenceVariance(weights, correlated, weights + n_atoms * posterior.model_error**2)
