"""Energies of which only those of one group share the model's own error: a fit costs ``n (P + E)²``.

R(s) is a diagonal, plus ``s² m_g`` within each group g of equal geometries, plus what all labels share. Its inverse
follows from the groups' sums and from few columns by the formulas of Sherman, Morrison and Woodbury.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

from rung.data.labels import Array
from rung.errors import FitError
from rung.fit.linear.energies import Blind, Energies, Positions, Precision
from rung.fit.linear.factors import SINGULAR, cholesky
from rung.fit.linear.gaussian import EnergyData


@dataclass(frozen=True)
class GroupedEnergies(Energies):
    """Energies whose own errors are independent but for groups.

    Parameters
    ----------
    design, composition, target
        As in :class:`~rung.fit.linear.energies.Energies`.
    label_variances
        Statistical variance of each label alone, eV², shape ``(n,)``; more than zero in groups of several.
    shared_stderr
        Error that all labels share, eV.
    size
        m, the variance of the model's own error per s², in atoms, shape ``(n,)``; equal within a group.
    group
        The group of each energy, numbered from zero, shape ``(n,)``.
    """

    label_variances: Array
    shared_stderr: float
    size: Array
    group: NDArray[np.integer]

    @property
    def label_variance(self) -> Array:
        """Statistical variance of each label, eV², shape ``(n,)``."""
        return self.label_variances + self.shared_stderr**2

    @property
    def statistical(self) -> Array:
        """Covariance of the labels' errors, eV², shape ``(n, n)``: for few energies."""
        return np.diag(self.label_variances) + self.shared_stderr**2

    @property
    def model(self) -> Array:
        """Covariance of the model's own error per s², in atoms, shape ``(n, n)``: for few energies."""
        return np.where(self.group[:, None] == self.group, self.size[:, None], 0.0)

    def variance(self, model_error: float) -> Array:
        """Return the diagonal of R(s), eV², shape ``(n,)``."""
        return self.label_variance + model_error**2 * self.size

    def covariance(self, model_error: float) -> Array:
        """Return R(s), eV², shape ``(n, n)``: for few energies."""
        return self.statistical + model_error**2 * self.model

    def solve(self, values: Array, model_error: float) -> Array:
        """Return ``R(s)⁻¹ values``, shape ``(n, c)``."""
        return GroupedPrecision(self, model_error, self._shared, np.ones(self._shared.shape[1])).solve(values)

    def blind(self, reference_stderr: float) -> "GroupedBlind":
        """Return the energies without what E0 explains of them, or with E0's prior among the noise."""
        if np.isfinite(reference_stderr):
            columns = np.hstack([reference_stderr * self.composition, self._shared])
            return GroupedBlind(self, columns, np.ones(columns.shape[1]), self.design, self.target, 0, 0.0)
        flat = self.composition @ self.identified.T
        axes, triangle = np.linalg.qr(flat)
        design = self.design - axes @ (axes.T @ self.design)
        target = self.target - axes @ (axes.T @ self.target)
        target = target - axes @ (axes.T @ target)  # energies may be 1e9 times as large as what is left of them
        prior = np.concatenate([np.zeros(flat.shape[1]), np.ones(self._shared.shape[1])])
        size = 2.0 * float(np.log(np.abs(np.diag(triangle))).sum())
        return GroupedBlind(self, np.hstack([flat, self._shared]), prior, design, target, flat.shape[1], size)

    def rows(self, chosen: Positions) -> "GroupedEnergies":
        """Return the data whose positions are ``chosen``."""
        return GroupedEnergies(
            self.design[chosen],
            self.composition[chosen],
            self.target[chosen],
            self.label_variances[chosen],
            self.shared_stderr,
            self.size[chosen],
            np.unique(self.group[chosen], return_inverse=True)[1],
        )

    def with_variance(self, variance: Array) -> "GroupedEnergies":
        """Return the data with independent errors added, variances in eV², shape ``(n,)``."""
        return replace(self, label_variances=self.label_variances + variance)

    def transformed(self, combination: Array) -> EnergyData:
        """Return ``combination @ data``, shape ``(m, n)``: their errors are full matrices."""
        full = EnergyData(self.design, self.composition, self.target, self.statistical, self.model)
        return full.transformed(combination)

    @cached_property
    def counts(self) -> NDArray[np.integer]:
        """How many energies each group has."""
        return np.bincount(self.group)

    @cached_property
    def group_size(self) -> Array:
        """The m of each group."""
        sizes = np.zeros(len(self.counts))
        sizes[self.group] = self.size
        return sizes

    @cached_property
    def sums(self) -> csr_array:
        """The matrix that adds within groups."""
        places = np.arange(len(self.group))
        return csr_array((np.ones(len(places)), (self.group, places)), shape=(len(self.counts), len(places)))

    @cached_property
    def _shared(self) -> Array:
        """The error that all labels share, as a column of R's factor; no column without."""
        return np.full((len(self), int(self.shared_stderr > 0)), self.shared_stderr)


class GroupedPrecision(Precision):
    """``(V + W Δ⁻¹ Wᵀ)⁻¹`` with V of the groups, columns W and their prior precision Δ; flat columns have Δ = 0.

    ``V⁻¹ - U Uᵀ`` with ``U = V⁻¹ W L⁻ᵀ`` and ``L Lᵀ = Δ + Wᵀ V⁻¹ W``.
    """

    def __init__(
        self, data: GroupedEnergies, model_error: float, columns: Array, prior: Array, flat_size: float = 0.0
    ) -> None:
        several = data.counts > 1
        own = model_error**2 * data.group_size
        variance = data.label_variances + np.where(several[data.group], 0.0, own[data.group])
        if (variance <= 0).any():
            raise FitError(SINGULAR)
        self._data = data
        self._weight = 1.0 / variance
        total = data.sums @ self._weight
        self._share = np.where(several, own / (1.0 + own * total), 0.0)
        self._group_sum = total - self._share * total**2  # 1ᵀ V⁻¹ 1 of each group
        solved = self._of_groups(columns)
        lower = cholesky(np.diag(prior) + columns.T @ solved)[0] if columns.shape[1] else np.zeros((0, 0))
        self._half = solve_triangular(lower, solved.T, lower=True).T if columns.shape[1] else solved
        self.log_determinant = float(
            np.log(variance).sum()
            + np.log1p(np.where(several, own * total, 0.0)).sum()
            + 2.0 * np.log(np.diag(lower)).sum()
            - flat_size  # as of orthonormal contrasts: Harville, Biometrika 61, 383 (1974)
        )

    def solve(self, values: Array) -> Array:
        """Return the precision times ``values``."""
        return np.asarray(self._of_groups(values) - self._half @ (self._half.T @ values))

    def response(self, solved: Array, factor: Array) -> float:
        """See :class:`~rung.fit.linear.energies.Precision`."""
        sums, size = self._data.sums, self._data.group_size
        low_rank = np.sum((sums @ self._half) ** 2, axis=1) + np.sum((sums @ factor) ** 2, axis=1)
        return float(np.sum(size * ((sums @ solved) ** 2 - self._group_sum + low_rank)))

    def of_data(self, solved: Array, factor: Array) -> tuple[Array, Array]:
        """See :class:`~rung.fit.linear.energies.Precision`."""
        diagonal = self._weight - self._weight**2 * self._share[self._data.group]
        return solved, diagonal - np.sum(self._half**2, axis=1) - np.sum(factor**2, axis=1)

    def _of_groups(self, values: Array) -> Array:
        """Return ``V⁻¹ values``."""
        weighted = (values.T * self._weight).T
        within = (self._data.sums @ weighted).T * self._share
        return np.asarray(weighted - (within.T[self._data.group].T * self._weight).T)


@dataclass(frozen=True)
class GroupedBlind(Blind):
    """Energies of which E0 is taken out by columns of the precision.

    Parameters
    ----------
    data
        The energies.
    columns, prior
        Columns of the noise's factor and their prior precision, shapes ``(n, c)`` and ``(c,)``.
    design, target
        Without what flat columns explain, which leaves all results the same but for rounding.
    n_flat
        How many columns are flat.
    flat_size
        The log determinant of the flat columns' Gram matrix.
    """

    data: GroupedEnergies
    columns: Array
    prior: Array
    design: Array
    target: Array
    n_flat: int
    flat_size: float

    @property
    def freedom(self) -> int:
        """The number of energies less that of flat columns."""
        return len(self.target) - self.n_flat

    def precision(self, model_error: float) -> GroupedPrecision:
        """Return the precision at s; two exact labels that contradict each other raise."""
        return GroupedPrecision(self.data, model_error, self.columns, self.prior, self.flat_size)

    def error_size(self, residual: Array) -> tuple[float, int]:
        """See :class:`~rung.fit.linear.energies.Blind`: by the means of groups, which hold the model's own error."""
        data = self.data
        weight = np.where((data.counts > 1)[data.group], 1.0 / np.maximum(data.label_variances, 1e-300), 1.0)
        total = data.sums @ weight
        scale = 1.0 / np.sqrt(data.group_size)
        rest = scale * (data.sums @ (weight * residual)) / total
        if self.n_flat:
            flat = scale[:, None] * (data.sums @ (weight[:, None] * self.columns[:, : self.n_flat])) / total[:, None]
            rest = rest - flat @ np.linalg.lstsq(flat, rest, rcond=None)[0]
        count = max(len(rest) - self.n_flat, 0)
        return float(np.sqrt(np.sum(rest**2) / max(count, 1))), count
