"""Contrasts of energies whose noise is a full matrix, turned once so that it is diagonal whatever s is."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from rung.data.labels import Array
from rung.errors import FitError
from rung.fit.linear.energies import Blind, Precision
from rung.fit.linear.factors import SINGULAR, cholesky

OWN_SHARE = 1e-3
"""Share of the model's own error in a contrast, over the largest one, below which the contrast says nothing of it: the
errors of two labels of nearly one geometry, over what is left of the model's error, would look like a huge one."""

NOTHING = 1e-10
"""Of the model's own error, below which none of it is left in the contrasts."""


@dataclass(frozen=True)
class Rotated(Blind):
    """Contrasts of the energies in which both parts of the noise are diagonal: the cost of a fit is then ``k P²``.

    Parameters
    ----------
    design
        Shape ``(k, P)``.
    target
        Shape ``(k,)``.
    statistical
        The statistical variance of each contrast, shape ``(k,)``.
    model
        The variance of the model's own error in each contrast, per s², shape ``(k,)``.
    turn
        The contrasts as combinations of the data, shape ``(n, k)``.
    log_determinant
        Of the turn within the contrasts, for densities.
    """

    design: Array
    target: Array
    statistical: Array
    model: Array
    turn: Array
    log_determinant: float

    @property
    def freedom(self) -> int:
        """The number of contrasts."""
        return len(self.target)

    def precision(self, model_error: float) -> "RotatedPrecision":
        """Return the diagonal precision at s; two exact labels that contradict each other raise."""
        variance = np.asarray(self.statistical + model_error**2 * self.model)
        if (variance <= 0).any():
            raise FitError(SINGULAR)
        return RotatedPrecision(self, variance, float(np.log(variance).sum() - 2.0 * self.log_determinant))

    def error_size(self, residual: Array) -> tuple[float, int]:
        """See :class:`~rung.fit.linear.energies.Blind`."""
        own = self.model > OWN_SHARE * self.model.max(initial=0.0)
        rest = (self.turn.T @ residual)[own]
        return float(np.sqrt(np.sum(rest**2 / self.model[own]) / max(len(rest), 1))), len(rest)


@dataclass(frozen=True)
class RotatedPrecision(Precision):
    """One over the variance of each contrast."""

    contrasts: Rotated
    variance: Array
    log_determinant: float

    def solve(self, values: Array) -> Array:
        """Return ``values`` over their variances."""
        return np.asarray((values.T / self.variance).T)

    def response(self, solved: Array, factor: Array) -> float:
        """See :class:`~rung.fit.linear.energies.Precision`."""
        leverage = 1.0 / self.variance - np.sum(factor**2, axis=1)
        return float(np.sum(self.contrasts.model * (solved**2 - leverage)))

    def of_data(self, solved: Array, factor: Array) -> tuple[Array, Array]:
        """See :class:`~rung.fit.linear.energies.Precision`."""
        turn = self.contrasts.turn
        return turn @ solved, turn**2 @ (1.0 / self.variance) - np.sum((turn @ factor) ** 2, axis=1)


def rotated(statistical: Array, model: Array, contrasts: Array, design: Array, target: Array) -> Rotated:
    """Return the ``contrasts``, shape ``(n, k)``, of energies with the two covariances, each of shape ``(n, n)``."""
    whole = np.trace(model)
    statistical = contrasts.T @ statistical @ contrasts
    model = contrasts.T @ model @ contrasts
    # either may be singular (exact labels; frames with equal environments), so their sum is whitened
    if np.trace(model) <= NOTHING * whole:
        model = np.zeros_like(model)  # all that is compared are labels of one geometry: what is left is rounding
    sizes = np.trace(statistical), np.trace(model)
    balance = sizes[0] / sizes[1] if min(sizes) > 0 else 1.0
    lower = cholesky(statistical + balance * model)[0]
    half = solve_triangular(lower, model, lower=True)
    share, axes = np.linalg.eigh(solve_triangular(lower, half.T, lower=True))
    share = np.clip(share, 0.0, 1.0 / balance)
    turn = contrasts @ solve_triangular(lower, axes, lower=True, trans="T")
    return Rotated(
        turn.T @ design,
        turn.T @ target,
        1.0 - balance * share,
        share,
        turn,
        -float(np.log(np.diag(lower)).sum()),
    )
