"""Variances of what is linear in the fitted parameters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rung.data.labels import Array
from rung.errors import ConfigError, ModelError, one_of
from rung.model.posterior import Posterior

ModelErrorKind = Literal["none", "independent", "correlated"]
"""How the model's own error counts: not at all, as N s² of each structure, or as a random function of the features."""

UNCORRELATED = "The fit does not know how the model's own error is correlated; ask for 'independent'."

_TOLERANCE = 1e-8


def unidentified(gradient: Array, posterior: Posterior) -> bool:
    """Return whether no label identifies the change along ``gradient``, shape ``(K,)``."""
    along = np.linalg.norm(posterior.unidentified @ gradient) if len(posterior.unidentified) else 0.0
    return bool(along > _TOLERANCE * np.linalg.norm(gradient))


def linear_covariance(gradients: Array, posterior: Posterior) -> Array:
    """Return the covariance ``g Σ gᵀ`` of quantities with ``gradients`` of shape ``(Q, K)``, shape ``(Q, Q)``.

    Rows and columns of quantities that no label identifies are infinite; a difference of two of them that is
    identified must be passed as one gradient.
    """
    covariance = np.array(gradients @ posterior.covariance @ gradients.T)
    unknown = np.array([unidentified(gradient, posterior) for gradient in gradients], dtype=bool)
    covariance[unknown, :] = np.inf
    covariance[:, unknown] = np.inf
    return covariance


def model_error_covariance(gradients: Array, n_atoms: Array, posterior: Posterior, kind: ModelErrorKind) -> Array:
    """Return what the model's own error adds to the covariance of energies, eV², shape ``(S, S)``.

    Parameters
    ----------
    gradients
        Of the energies with respect to the fitted parameters, shape ``(S, K)``.
    n_atoms
        Atoms of each structure, shape ``(S,)``.
    posterior
        Holds the model's own error.
    kind
        How it counts.

    Raises
    ------
    ConfigError
        When there is no such kind.
    ModelError
        When the fit does not know how its own error is correlated.
    """
    if kind == "none":
        return np.zeros((len(n_atoms), len(n_atoms)))
    if kind == "independent":
        return np.diag(n_atoms * posterior.model_error**2)
    if kind != "correlated":
        raise ConfigError(f"model_error is 'none', 'independent' or 'correlated', not {kind!r}.")
    if posterior.model_covariance is None:
        raise ModelError(UNCORRELATED)
    return np.asarray(gradients @ posterior.model_covariance @ gradients.T)


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

    def stderr(self, model_error: ModelErrorKind | Literal["larger"] = "larger") -> float:
        """Return the one-sigma error, eV, with the model's own error of one kind, or the larger of the two.

        Raises
        ------
        ConfigError
            When there is no such kind.
        ModelError
            When the fit does not know how its own error is correlated.
        """
        kinds = {
            "none": self.weights,
            "independent": self.independent,
            "correlated": self.correlated,
            "larger": self.headline,
        }
        if model_error not in kinds:
            raise ConfigError(one_of(model_error, kinds, "kind of model error"))
        if np.isnan(kinds[model_error]):
            raise ModelError(UNCORRELATED)
        return float(np.sqrt(kinds[model_error]))


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
    random = posterior.model_covariance
    correlated = weights + (float(gradient @ random @ gradient) if random is not None else np.nan)
    return DifferenceVariance(weights, correlated, weights + n_atoms * posterior.model_error**2)
