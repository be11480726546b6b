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
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from rung.data.labels import Array
from rung.errors import FitError

SINGULAR = "The fit is singular: give the energies an energy_stderr or a model error, and the weights a prior."

Positions = NDArray[np.intp]
"""Which of the data are meant, by their places."""

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
class EnergyData:
    """``n`` energies, or differences of energies, less what the base says of them.

    Parameters
    ----------
    design
        A, shape ``(n, P)``.
    composition
        Z, shape ``(n, E)``: the elements of the fit.
    target
        y, eV, shape ``(n,)``.
    statistical
        Covariance of the labels' errors, eV², shape ``(n, n)``.
    model
        Covariance of the model's own error per s², in atoms, shape ``(n, n)``: what the environments of two structures
        share; N on the diagonal where no two environments are alike.
    """

    design: Array
    composition: Array
    target: Array
    statistical: Array
    model: Array

    def __len__(self) -> int:
        """Return the number of data."""
        return len(self.target)

    @cached_property
    def identified(self) -> Array:
        """Orthonormal rows that span the changes of E0 which the data identify, shape ``(r, E)``."""
        return row_space(self.composition)

    @cached_property
    def contrasts(self) -> Array:
        """Orthonormal columns Q, shape ``(n, n - r)``, blind to any change of E0: Qᵀ Z = 0."""
        left, singular, _ = np.linalg.svd(self.composition, full_matrices=True)
        return left[:, _rank(singular, self.composition.shape) :]

    def rows(self, chosen: Positions) -> "EnergyData":
        """Return the data whose positions are ``chosen``."""
        block = np.ix_(chosen, chosen)
        return EnergyData(
            self.design[chosen],
            self.composition[chosen],
            self.target[chosen],
            self.statistical[block],
            self.model[block],
        )

    def transformed(self, combination: Array) -> "EnergyData":
        """Return ``combination @ data``, shape ``(m, n)``: differences, say, with the covariances that follow."""
        return EnergyData(
            combination @ self.design,
            combination @ self.composition,
            combination @ self.target,
            combination @ self.statistical @ combination.T,
            combination @ self.model @ combination.T,
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
    data: EnergyData
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
        noise = self.data.statistical + hypers[MODEL_ERROR] ** 2 * self.data.model
        if np.isfinite(self.reference_stderr):
            noise = noise + self.reference_stderr**2 * self.data.composition @ self.data.composition.T
        return noise

    @cached_property
    def contrasts(self) -> Array:
        """Q: the combinations of data that no flat E0 touches."""
        return np.eye(len(self.data)) if np.isfinite(self.reference_stderr) else self.data.contrasts

    @cached_property
    def rotated(self) -> "Rotated":
        """The contrasts, turned once so that both parts of their noise are diagonal whatever s is."""
        statistical = self.contrasts.T @ self.noise({MODEL_ERROR: 0.0}) @ self.contrasts
        model = self.contrasts.T @ self.data.model @ self.contrasts
        # either may be singular (exact labels; frames with equal environments), so their sum is whitened
        sizes = np.trace(statistical), np.trace(model)
        balance = sizes[0] / sizes[1] if min(sizes) > 0 else 1.0
        lower = _factor(statistical + balance * model)[0]
        half = solve_triangular(lower, model, lower=True)
        share, axes = np.linalg.eigh(solve_triangular(lower, half.T, lower=True))
        share = np.clip(share, 0.0, 1.0 / balance)
        turn = self.contrasts @ solve_triangular(lower, axes, lower=True, trans="T")
        return Rotated(
            turn.T @ self.data.design,
            turn.T @ self.data.target,
            1.0 - balance * share,
            share,
            turn,
            -float(np.log(np.diag(lower)).sum()),
        )

    def error_size(self, residual: Array) -> float:
        """Return the s, eV/√atom, that makes ``residual`` of the energies, eV, shape ``(n,)``, as likely as may be.

        Changes of E0 do not count.
        """
        rotated = self.rotated
        own = rotated.model > 1e-9 * rotated.model.max(initial=0.0)
        rest = (rotated.turn.T @ residual)[own]
        return float(np.sqrt(np.sum(rest**2 / rotated.model[own]) / max(len(rest), 1)))

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
        unidentified = _complement(data.identified) if flat else np.zeros((0, n_elements))
        null = np.hstack([np.zeros((len(unidentified), n_weights)), unidentified])
        mean, covariance = prior.mean, prior.covariance
        e_mean, e_covariance = np.zeros(n_elements), np.zeros((n_elements, n_elements))
        response = np.zeros((n_elements, n_weights))
        if not flat:
            e_covariance = self.reference_stderr**2 * np.eye(n_elements)
        if len(data):
            mean, covariance = self.rotated.given(prior, hypers[MODEL_ERROR])
            basis = data.identified.T if flat else np.eye(n_elements)  # e = basis @ u
            factor = _factor(data.statistical + hypers[MODEL_ERROR] ** 2 * data.model)
            solved = cho_solve(factor, data.composition @ basis)
            information = (data.composition @ basis).T @ solved
            if not flat:
                information = information + np.eye(n_elements) / self.reference_stderr**2
            inner = _inverse(information)
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
        prior, data = self.prior(hypers), self.data
        total = self.noise(hypers) + data.design @ prior.covariance @ data.design.T
        contrasts = self.contrasts
        inner = _factor(contrasts.T @ total @ contrasts)
        residual = data.target - data.design @ prior.mean
        projected = contrasts @ cho_solve(inner, contrasts.T)
        diagonal = np.diag(projected).copy()
        diagonal[diagonal < 1e-10 * np.abs(1.0 / np.diag(total))] = np.nan
        return projected @ residual / diagonal, 1.0 / diagonal


@dataclass(frozen=True)
class Rotated:
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

    def variance(self, model_error: float) -> Array:
        """Return the noise of each contrast, shape ``(k,)``; two exact labels that contradict each other raise."""
        variance = self.statistical + model_error**2 * self.model
        if (variance <= 0).any():
            raise FitError(SINGULAR)
        return np.asarray(variance)

    def given(self, prior: "Prior", model_error: float) -> tuple[Array, Array]:
        """Return mean and covariance of d."""
        variance = self.variance(model_error)
        gram = self.design.T @ (self.design / variance[:, None])
        inner = _factor(np.eye(prior.root.shape[1]) + prior.root.T @ gram @ prior.root)
        half = solve_triangular(inner[0], prior.root.T, lower=True)
        residual = self.target - self.design @ prior.mean
        mean = prior.mean + half.T @ (half @ (self.design.T @ (residual / variance)))
        return mean, half.T @ half


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
        self._factor = _factor(self.precision)

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


def _factor(matrix: Array) -> tuple[Array, bool]:
    try:
        factor, _ = cho_factor(matrix, lower=True)
    except np.linalg.LinAlgError as error:
        raise FitError(SINGULAR) from error
    return np.tril(factor), True


def _inverse(matrix: Array) -> Array:
    return np.asarray(cho_solve(_factor(matrix), np.eye(len(matrix)))) if len(matrix) else matrix


def _rank(singular: Array, shape: tuple[int, ...]) -> int:
    return int(np.sum(singular > max(shape) * np.finfo(float).eps * singular.max(initial=0.0)))


def row_space(matrix: Array) -> Array:
    """Return orthonormal rows that span the rows of ``matrix``."""
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(right[: _rank(singular, matrix.shape)])


def _complement(rows: Array) -> Array:
    _, _, right = np.linalg.svd(rows, full_matrices=True)
    return np.asarray(right[len(rows) :])
