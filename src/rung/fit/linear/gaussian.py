"""The linear model of a fit: Gaussian priors on the weights, energies with errors, closed-form posteriors.

Let d be the change of the readout weights and e that of the reference energies. Energies obey
``y = A d + Z e + noise`` with noise covariance ``R(s) = statistical + s² · model``. The prior on d is a product of
components: each says that a quadratic form of d is of the order of the square of one hyper-parameter. The reference
energies are flat where composition identifies them and zero elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from rung.data.labels import Array
from rung.fit.linear.energies import Blind, Energies, Positions
from rung.fit.linear.factors import cholesky, complement, inverse, rank
from rung.fit.linear.rotated import Rotated, rotated

MODEL_ERROR = "model_error"
"""The hyper-parameter s, eV/√atom."""


@dataclass(frozen=True)
class PriorComponent:
    """One factor of the prior: ``exp[-(dᵀ gram d - 2 dᵀ offset) / 2h²]`` with the hyper-parameter h.

    Parameters
    ----------
    hyper
        The name of h; components may share one.
    gram
        Positive semi-definite, shape ``(P, P)``.
    offset
        Where the factor is centred, as ``gram @ centre``, shape ``(P,)``.
    directions
        Ways in which the centre itself is uncertain, as ``gram @ direction``, shape ``(P, J)``.
    direction_stderr
        Their one-sigma sizes, shape ``(J,)``. They are integrated over *given* d's prior: the misfit of the anchor
        itself is not evidence.
    """

    hyper: str
    gram: Array
    offset: Array
    directions: Array
    direction_stderr: Array

    @staticmethod
    def centred(hyper: str, gram: Array) -> "PriorComponent":
        """Return a component that pulls d towards zero."""
        size = len(gram)
        return PriorComponent(hyper, gram, np.zeros(size), np.zeros((size, 0)), np.zeros(0))


@dataclass(frozen=True)
class EnergyData(Energies):
    """Energies, or differences of energies, with any covariance of their errors.

    Parameters
    ----------
    design, composition, target
        As in :class:`~rung.fit.linear.energies.Energies`.
    statistical
        Covariance of the labels' errors, eV², shape ``(n, n)``.
    model
        Covariance of the model's own error per s², in atoms, shape ``(n, n)``: what the environments of two structures
        share; N on the diagonal where no two environments are alike.
    shares
        How often each datum holds the error that all labels share, shape ``(n,)``; None where each is an energy.
    """

    statistical: Array
    model: Array
    shares: Array | None = None

    @property
    def share(self) -> Array:
        """How often each datum holds the error that all labels share, shape ``(n,)``."""
        return np.ones(len(self)) if self.shares is None else self.shares

    @cached_property
    def contrasts(self) -> Array:
        """Orthonormal columns Q, shape ``(n, n - r)``, blind to any change of E0: Qᵀ Z = 0."""
        left, singular, _ = np.linalg.svd(self.composition, full_matrices=True)
        return left[:, rank(singular, self.composition.shape) :]

    @property
    def label_variance(self) -> Array:
        """Statistical variance of each label, eV², shape ``(n,)``."""
        return np.diag(self.statistical)

    def variance(self, model_error: float) -> Array:
        """Return the diagonal of R(s), eV², shape ``(n,)``."""
        return np.diag(self.covariance(model_error))

    def covariance(self, model_error: float) -> Array:
        """Return R(s), eV², shape ``(n, n)``."""
        return self.statistical + model_error**2 * self.model

    def solve(self, values: Array, model_error: float) -> Array:
        """Return ``R(s)⁻¹ values``, shape ``(n, c)``."""
        return np.asarray(cho_solve(cholesky(self.covariance(model_error)), values))

    def blind(self, reference_stderr: float) -> Rotated:
        """Return the contrasts; an E0 prior that is not flat counts as noise, and then everything is a contrast."""
        if not np.isfinite(reference_stderr):
            return rotated(self.statistical, self.model, self.contrasts, self.design, self.target)
        known = self.statistical + reference_stderr**2 * self.composition @ self.composition.T
        return rotated(known, self.model, np.eye(len(self)), self.design, self.target)

    def rows(self, chosen: Positions) -> "EnergyData":
        """Return the data whose positions are ``chosen``."""
        block = np.ix_(chosen, chosen)
        return EnergyData(
            self.design[chosen],
            self.composition[chosen],
            self.target[chosen],
            self.statistical[block],
            self.model[block],
            self.share[chosen],
        )

    def with_variance(self, variance: Array) -> "EnergyData":
        """Return the data with errors added, eV²: variances, shape ``(n,)``, or a covariance, shape ``(n, n)``."""
        return replace(self, statistical=self.statistical + (np.diag(variance) if variance.ndim == 1 else variance))

    def transformed(self, combination: Array) -> "EnergyData":
        """Return ``combination @ data``, shape ``(m, n)``: differences, say, with the covariances that follow."""
        return EnergyData(
            combination @ self.design,
            combination @ self.composition,
            combination @ self.target,
            combination @ self.statistical @ combination.T,
            combination @ self.model @ combination.T,
            combination @ self.share,
        )


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution over (d, e).

    Parameters
    ----------
    mean
        Shape ``(P + E,)``.
    covariance
        Shape ``(P + E, P + E)``; zero along what is not identified.
    unidentified
        Orthonormal rows along which the data and the prior say nothing, shape ``(U, P + E)``.
    """

    mean: Array
    covariance: Array
    unidentified: Array


@dataclass(frozen=True)
class LinearModel:
    """Prior components and energies: everything a closed-form fit needs.

    Parameters
    ----------
    components
        Their product is the prior on d; it must be proper.
    data
        The energies; may be empty.
    reference_stderr
        One-sigma prior of each E0 change, eV; infinite (the default) leaves them flat.
    """

    components: Sequence[PriorComponent]
    data: Energies
    reference_stderr: float = np.inf

    @property
    def n_weights(self) -> int:
        """The number of fitted weights P."""
        return len(self.components[0].gram)

    @property
    def hypers(self) -> tuple[str, ...]:
        """The names of all hyper-parameters, s last."""
        return (*dict.fromkeys(component.hyper for component in self.components), MODEL_ERROR)

    def with_rows(self, chosen: Positions) -> "LinearModel":
        """Return the model with only some of its data."""
        return replace(self, data=self.data.rows(chosen))

    def prior(self, hypers: Mapping[str, float]) -> "Prior":
        """Return the prior at given hyper-parameters."""
        return Prior(self.components, hypers)

    def noise(self, hypers: Mapping[str, float]) -> Array:
        """Return R(s), eV², shape ``(n, n)``; an E0 prior that is not flat counts as noise."""
        noise = self.data.covariance(hypers[MODEL_ERROR])
        if np.isfinite(self.reference_stderr):
            noise = noise + self.reference_stderr**2 * self.data.composition @ self.data.composition.T
        return noise

    @cached_property
    def blind(self) -> Blind:
        """The energies as far as no flat E0 touches them."""
        return self.data.blind(self.reference_stderr)

    def posterior(self, hypers: Mapping[str, float]) -> Gaussian:
        """Return the distribution of (d, e) given the energies, in closed form.

        First d from the contrasts, then e given d by generalised least squares.

        Raises
        ------
        FitError
            When the energies' covariance is singular: two labels without any error that contradict each other.
        """
        prior, data = self.prior(hypers), self.data
        n_weights, n_elements = self.n_weights, data.composition.shape[1]
        flat = not np.isfinite(self.reference_stderr)
        unidentified = complement(data.identified) if flat else np.zeros((0, n_elements))
        null = np.hstack([np.zeros((len(unidentified), n_weights)), unidentified])
        mean, covariance = prior.mean, prior.covariance
        e_mean, e_covariance = np.zeros(n_elements), np.zeros((n_elements, n_elements))
        response = np.zeros((n_elements, n_weights))
        if not flat:
            e_covariance = self.reference_stderr**2 * np.eye(n_elements)
        if len(data):
            known = Explained(self.blind, prior, hypers[MODEL_ERROR])
            mean, covariance = known.mean, known.covariance
            basis = data.identified.T if flat else np.eye(n_elements)  # e = basis @ u
            solved = data.solve(data.composition @ basis, hypers[MODEL_ERROR])
            information = (data.composition @ basis).T @ solved
            if not flat:
                information = information + np.eye(n_elements) / self.reference_stderr**2
            inner = inverse(information)
            gain = basis @ inner @ solved.T
            e_mean = gain @ (data.target - data.design @ mean)
            response = -gain @ data.design
            e_covariance = basis @ inner @ basis.T
        cross = covariance @ response.T
        joint = np.block([[covariance, cross], [cross.T, e_covariance + response @ cross]])
        return Gaussian(np.concatenate([mean, e_mean]), 0.5 * (joint + joint.T), null)

    def leave_one_out(self, hypers: Mapping[str, float]) -> tuple[Array, Array]:
        """Return each energy's error and variance when it is predicted from all others, eV and eV², shape ``(n,)``.

        The variance is that of the label, its noise included; NaN where the others do not identify the composition.
        Source: Dubrule, Math. Geol. 15, 687 (1983), for a flat trend.
        """
        prior, data, model_error = self.prior(hypers), self.data, hypers[MODEL_ERROR]
        known = Explained(self.blind, prior, model_error)
        projected, diagonal = known.precision.of_data(known.solved, known.factor)
        total = data.variance(model_error) + np.sum((data.design @ prior.root) ** 2, axis=1)
        if np.isfinite(self.reference_stderr):
            total = total + self.reference_stderr**2 * np.sum(data.composition**2, axis=1)
        diagonal = np.where(diagonal < 1e-10 / total, np.nan, diagonal)
        return projected / diagonal, 1.0 / diagonal


class Explained:
    """What energies say of d at given hyper-parameters.

    With K the covariance of the blind energies when d is unknown, ``K⁻¹ = P - factor factorᵀ``.

    Parameters
    ----------
    data
        The energies as far as no E0 touches them.
    prior
        Of d.
    model_error
        s, eV/√atom.
    """

    def __init__(self, data: Blind, prior: "Prior", model_error: float) -> None:
        self.precision = data.precision(model_error)
        weighted = self.precision.solve(data.design)
        self.gram = data.design.T @ weighted
        inner = cholesky(np.eye(prior.root.shape[1]) + prior.root.T @ self.gram @ prior.root)[0]
        self.half = solve_triangular(inner, prior.root.T, lower=True)  # C - its part that the data explain = half' half
        self.factor = weighted @ self.half.T
        self.residual = data.target - data.design @ prior.mean
        pull = weighted.T @ self.residual
        self.solved = self.precision.solve(self.residual) - self.factor @ (self.half @ pull)
        self.mean = prior.mean + self.half.T @ (self.half @ pull)
        self.log_determinant = self.precision.log_determinant + 2.0 * float(np.log(np.diag(inner)).sum())

    @property
    def covariance(self) -> Array:
        """Of d, shape ``(P, P)``."""
        return np.asarray(self.half.T @ self.half)


class Prior:
    """The prior on d at given hyper-parameters.

    The inverse of the precision is formed from its Cholesky factor once; everything else follows.
    """

    def __init__(self, components: Sequence[PriorComponent], hypers: Mapping[str, float]) -> None:
        self.components = components
        self.scales = np.array([hypers[component.hyper] ** -2.0 for component in components])
        self.precision = sum(
            (scale * component.gram for scale, component in zip(self.scales, components, strict=True)),
            start=np.zeros_like(components[0].gram),
        )
        self._factor = cholesky(self.precision)

    @cached_property
    def inverse(self) -> Array:
        """Λ⁻¹, shape ``(P, P)``."""
        lower = self.root[:, : len(self.precision)]
        return np.asarray(lower @ lower.T)

    @cached_property
    def root(self) -> Array:
        """F with C = F Fᵀ: the inverse factor of Λ, then the uncertain directions, shape ``(P, P + J)``."""
        lower = solve_triangular(self._factor[0], np.eye(len(self.precision)), lower=True)
        return np.hstack([lower.T, self.directions])

    @cached_property
    def mean(self) -> Array:
        """m, shape ``(P,)``: exactly zero where no component has an offset."""
        offset = sum(
            (scale * component.offset for scale, component in zip(self.scales, self.components, strict=True)),
            start=np.zeros(len(self.precision)),
        )
        return np.asarray(cho_solve(self._factor, offset)) if offset.any() else offset

    @cached_property
    def directions(self) -> Array:
        """How the mean moves with each uncertain direction, times its one-sigma size, shape ``(P, J)``."""
        columns = [
            scale * component.directions * component.direction_stderr
            for scale, component in zip(self.scales, self.components, strict=True)
        ]
        return np.asarray(cho_solve(self._factor, np.hstack(columns)))

    @cached_property
    def covariance(self) -> Array:
        """C = Λ⁻¹ + V Vᵀ, shape ``(P, P)``."""
        return np.asarray(self.inverse + self.directions @ self.directions.T)
