"""What labels would tell: energies of candidates and the quantities asked for, as one normal distribution.

A label of a candidate with a known noise changes the covariance of everything else in a way that does not depend on
what the label turns out to be (Rasmussen and Williams, 2006, eq. 2.24; Krause, Singh and Guestrin, J. Mach. Learn. Res.
9, 235, 2008, choose sensors so). So what a label is worth is known before it is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from rung.data.labels import Array


@dataclass(frozen=True)
class Label:
    """One label that may be computed.

    Parameters
    ----------
    candidate
        The position of its structure.
    stderr
        Its one-sigma error, eV.
    cost
        In labels of a structure of mean size with the largest error that is offered.
    """

    candidate: int
    stderr: float
    cost: float


@dataclass(frozen=True)
class Knowledge:
    """What a fit knows of ``n`` candidates' energies and of ``q`` quantities that are asked for.

    Parameters
    ----------
    candidates
        Covariance of the energies, the model's own error among it, eV², shape ``(n, n)``.
    cross
        Covariance of each quantity with each energy, shape ``(q, n)``.
    variance
        Variance of each quantity, shape ``(q,)``.
    weights
        What the variance of each counts, shape ``(q,)``.
    """

    candidates: Array
    cross: Array
    variance: Array
    weights: Array

    @property
    def loss(self) -> float:
        """Σ weight · variance: what labels are to lower."""
        return self.loss_after(())

    def after(self, labels: Sequence[Label]) -> "Knowledge":
        """Return what is known when the ``labels`` are there."""
        if not labels:
            return self
        along = self._explained(labels, self.candidates)
        asked = self._explained(labels, self.cross.T)
        return Knowledge(
            candidates=self.candidates - along.T @ along,
            cross=self.cross - asked.T @ along,
            variance=self.variance_after(labels),
            weights=self.weights,
        )

    def variance_after(self, labels: Sequence[Label]) -> Array:
        """Return the variance of each quantity when the ``labels`` are there, shape ``(q,)``."""
        if not labels:
            return self.variance
        return np.maximum(self.variance - np.sum(self._explained(labels, self.cross.T) ** 2, axis=0), 0.0)

    def loss_after(self, labels: Sequence[Label]) -> float:
        """Return the loss when the ``labels`` are there."""
        return float(self.weights @ self.variance_after(labels))

    def _explained(self, labels: Sequence[Label], covariance: Array) -> Array:
        """Return L⁻¹ k for the covariances k of the candidates with something, of which L Lᵀ is that of the labels."""
        known = [label.candidate for label in labels]
        noise = np.diag([label.stderr**2 for label in labels])
        factor = np.linalg.cholesky(self.candidates[np.ix_(known, known)] + noise)
        return np.asarray(solve_triangular(factor, covariance[known], lower=True))

    def gains(self, stderr: float) -> Array:
        """Return by how much a label of each candidate with this error lowers the loss, shape ``(n,)``."""
        spread = np.maximum(np.diag(self.candidates), 0.0) + stderr**2
        lowered = self.weights @ self.cross**2
        return np.divide(lowered, spread, out=np.zeros_like(lowered), where=spread > 0)
