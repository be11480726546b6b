"""Variances of what is linear in the fitted parameters."""

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
