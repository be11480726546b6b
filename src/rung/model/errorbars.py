"""Variances of what is linear in the fitted parameters.

The model's own error has two parts. The smooth one is a random function of the features, a covariance over the
parameters. The rough one belongs to environments: atoms share it as far as their environments agree. Both are local, so
what two structures share cancels in their difference, and the error of n copies is n times that of one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rung.data.labels import Array
from rung.errors import ConfigError, one_of
from rung.model.posterior import Posterior

ModelErrorKind = Literal["none", "total"]
"""Whether an error bar holds the model's own error."""

_TOLERANCE = 1e-8


def with_model_error(kind: str) -> bool:
    """Return whether the model's own error counts.

    Raises
    ------
    ConfigError
        When there is no such kind.
    """
    if kind not in ("none", "total"):
        raise ConfigError(one_of(kind, ("none", "total"), "kind of model error"))
    return kind == "total"


def unidentified(gradient: Array, posterior: Posterior) -> bool:
    """Return whether no label identifies the change along ``gradient``, shape ``(K,)``."""
    along = np.linalg.norm(posterior.unidentified @ gradient) if len(posterior.unidentified) else 0.0
    return bool(along > _TOLERANCE * np.linalg.norm(gradient))


def linear_covariance(gradients: Array, posterior: Posterior, *, model_error: bool = False) -> Array:
    """Return the covariance ``g Σ gᵀ`` of quantities with ``gradients`` of shape ``(Q, K)``, shape ``(Q, Q)``.

    Rows and columns of quantities that no label identifies are infinite; a difference of two of them that is
    identified must be passed as one gradient.

    Parameters
    ----------
    gradients
        One row a quantity.
    posterior
        Of the parameters.
    model_error
        Whether the smooth part of the model's own error counts.
    """
    covariance = np.array(gradients @ (posterior.total if model_error else posterior.covariance) @ gradients.T)
    unknown = np.array([unidentified(gradient, posterior) for gradient in gradients], dtype=bool)
    covariance[unknown, :] = np.inf
    covariance[:, unknown] = np.inf
    return covariance


@dataclass(frozen=True)
class EnergyVariance:
    """The variance of a sum Σ c E of energies, such as a difference, by what it comes from, eV².

    Parameters
    ----------
    weights
        From the posterior of the weights and E0 alone.
    smooth
        From the model's own error as a random function of the features.
    rough
        From the model's own error in environments that the sum does not cancel.
    """

    weights: float
    smooth: float
    rough: float

    @property
    def total(self) -> float:
        """All of it: the variance to quote."""
        return self.weights + self.smooth + self.rough

    def stderr(self, model_error: ModelErrorKind = "total") -> float:
        """Return the one-sigma error, eV.

        Raises
        ------
        ConfigError
            When there is no such kind of model error.
        """
        return float(np.sqrt(self.total if with_model_error(model_error) else self.weights))


def variance_of_sum(gradient: Array, overlap: float, posterior: Posterior) -> EnergyVariance:
    """Return the variance of a sum Σ c E of energies.

    Parameters
    ----------
    gradient
        Of the sum with respect to the fitted parameters, shape ``(K,)``.
    overlap
        Σ_ab c_a c_b Σ_ij k(i, j) over the atoms of structures a and b: how many environments the sum leaves over.
    posterior
        Where the fit stands.
    """
    if unidentified(gradient, posterior):
        return EnergyVariance(np.inf, np.inf, np.inf)
    own = posterior.model_covariance
    return EnergyVariance(
        weights=max(float(gradient @ posterior.covariance @ gradient), 0.0),
        smooth=0.0 if own is None else max(float(gradient @ own @ gradient), 0.0),
        rough=max(overlap, 0.0) * posterior.rough_variance,
    )


def against_labels(variance: float, gradient: Array, posterior: Posterior) -> float:
    """Return the variance of a predicted energy less a label of the same fidelity, without that label's own noise, eV².

    What all labels share, such as a finite-size error, is in the prediction and in the label: only what the fit turned
    it into is left, where it is no longer the same.

    Parameters
    ----------
    variance
        Of the energy, eV².
    gradient
        Of the energy with respect to the fitted parameters, shape ``(K,)``.
    posterior
        Where the fit stands.
    """
    if posterior.shared is None or not np.isfinite(variance):
        return variance
    carried = float(gradient @ posterior.shared)
    return max(variance - carried**2, 0.0) + (carried - posterior.shared_stderr) ** 2
