"""The hinge band: forces are free within τ of their anchor and pay for what goes beyond; a convex programme."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from rung.data.labels import Array
from rung.errors import FitError


@dataclass(frozen=True)
class HingeProgramme:
    """Minimise ``½|energies|² + ½ xᵀ prior x + ½ weight Σ_i max(0, |B_i x - a_i| - τ)² / τ²`` over x = (d, u).

    Parameters
    ----------
    rows, target
        Energies already divided by their errors, shapes ``(n, K)`` and ``(n,)``.
    prior
        Precision of x, shape ``(K, K)``.
    forces
        B, shape ``(3n, K)``, atom by atom.
    anchor
        a: the anchor less the base, eV/Å, shape ``(3n,)``.
    weight
        Of one atom's hinge.
    """

    rows: Array
    target: Array
    prior: Array
    forces: Array
    anchor: Array
    weight: float

    def solve(self, tau: float, start: Array | None = None) -> Array:
        """Return the minimum at τ eV/Å.

        Raises
        ------
        FitError
            When the solver does not reach the minimum.
        """
        gram = self.rows.T @ self.rows + self.prior
        pull = self.rows.T @ self.target
        strength = self.weight / tau**2

        def value(x: Array) -> tuple[float, Array]:
            residual, length, excess = self._excess(x, tau)
            slope = (excess / np.maximum(length, 1e-300))[:, None] * residual
            gradient = gram @ x - pull + strength * self.forces.T @ slope.ravel()
            return float(0.5 * x @ gram @ x - pull @ x + 0.5 * strength * np.sum(excess**2)), gradient

        def hessian(x: Array) -> Array:
            residual, length, excess = self._excess(x, tau)
            outside = excess > 0
            unit = residual[outside] / length[outside, None]
            kept = self.forces.reshape(len(residual), 3, -1)[outside]
            along = np.einsum("ic,ick->ik", unit, kept)
            share = (excess[outside] / length[outside])[:, None]
            flat = (np.sqrt(share)[:, :, None] * kept).reshape(-1, kept.shape[2])
            curved = np.sqrt(1.0 - share) * along
            return np.asarray(gram + strength * (flat.T @ flat + curved.T @ curved))

        first: Array = np.asarray(np.linalg.solve(gram, pull), dtype=float) if start is None else start
        scale = max(abs(value(first)[0]), 1.0)
        found = minimize(value, first, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-8 * scale})
        if not found.success and np.linalg.norm(found.jac) > 1e-5 * scale:
            raise FitError(f"The hinge band did not converge at tau = {tau:.3g} eV/Å: {found.message}")
        return np.asarray(found.x)

    def _excess(self, x: Array, tau: float) -> tuple[Array, Array, Array]:
        residual = (self.forces @ x - self.anchor).reshape(-1, 3)
        length = np.linalg.norm(residual, axis=1)
        return residual, length, np.maximum(0.0, length - tau)
