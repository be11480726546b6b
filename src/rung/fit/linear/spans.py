"""Derivatives by all weights, the bases that they span, and what a fit in such bases knows afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.fit.lift import Base
from rung.fit.linear.closed_form import Solution
from rung.fit.linear.problem import without_composition
from rung.fit.linear.result import shared_response
from rung.model.domain import Domain
from rung.model.posterior import Posterior
from rung.model.tangent import TangentPosterior, TangentRow, WeightGroup


@dataclass(frozen=True)
class Rows:
    """Derivatives with respect to the moving weights, one row a datum.

    Parameters
    ----------
    energy
        ∂E/∂θ, shape ``(n, p)``.
    force
        ∂(u·F)/∂θ/√N of random directions u, shape ``(m, p)``.
    anchor
        u·F/√N of the base, eV/Å, shape ``(m,)``.
    groups
        The group of each weight, shape ``(p,)``.
    tensors
        The names of the moving tensors.
    data
        What each row, of energies and then of forces, is the derivative of.
    """

    energy: Array
    force: Array
    anchor: Array
    groups: Array
    tensors: tuple[str, ...]
    data: tuple[TangentRow, ...]

    @property
    def stacked(self) -> Array:
        """All rows, shape ``(n + m, p)``."""
        return np.vstack([self.energy, self.force])


@dataclass(frozen=True)
class Span:
    """The basis of the weights that have one prior width.

    Parameters
    ----------
    layer
        The layer that they belong to; empty for all.
    combination
        The basis as combinations of the rows, shape ``(P, n + m)``.
    basis
        Orthogonal vectors of length 1/size, shape ``(P, p)``.
    size
        Chosen so that α² is the mean prior variance of an energy per atom, with composition projected out.
    """

    layer: str
    combination: Array
    basis: Array
    size: float

    @property
    def hyper(self) -> str:
        """The name of α."""
        return f"alpha[{self.layer}]" if self.layer else "alpha"


def spans_of(rows: Rows, composition: Array, *, by_layer: bool) -> list[Span]:
    """Return the bases in which the change of the weights is fitted: one, or one for each layer.

    Parameters
    ----------
    rows
        Of ``n`` energies and ``m`` forces.
    composition
        Atoms of each element of the ``n`` structures, shape ``(n, E)``.
    by_layer
        Whether each layer has a width of its own.
    """
    names = dict.fromkeys(rows.groups.tolist()) if by_layer else {"": None}
    n_atoms, stacked = composition.sum(axis=1), rows.stacked
    spans = []
    for name in names:
        members = rows.groups == name if name else np.ones(len(rows.groups), dtype=bool)
        own = np.where(members, stacked, 0.0)
        combination = _orthonormal(own @ own.T)
        basis = combination @ own
        rest = without_composition(rows.energy @ basis.T, composition)
        size = max(float(np.sqrt(np.mean(np.sum(rest**2, axis=1) / n_atoms))), 1e-12)
        spans.append(Span(name, combination / size, basis / size, size))
    return spans


def _orthonormal(kernel: Array) -> Array:
    """Return combinations of rows with this ``kernel`` that are orthonormal and span them, shape ``(rank, R)``."""
    eigenvalues, axes = np.linalg.eigh(kernel)
    kept = eigenvalues > 1e-10 * max(float(eigenvalues[-1]), 1e-300)
    return np.asarray((axes[:, kept] / np.sqrt(eigenvalues[kept])).T)


def posterior_of(
    solution: Solution,
    spans: Sequence[Span],
    rows: Rows,
    base: Base,
    composition: Array,
    domain: Domain,
    shared_stderr: float,
) -> TangentPosterior:
    """Return what the linear fit knows of the weights, with the model's own error along all of them alike."""
    elements, gaussian = sorted(base.plain.elements), solution.gaussian
    coordinates = Posterior(
        parameters=(
            *(f"{span.layer}[{k}]" for span in spans for k in range(len(span.basis))),
            *(f"E0[{element}]" for element in elements),
        ),
        mean=gaussian.mean,
        covariance=gaussian.covariance,
        unidentified=gaussian.unidentified,
        model_error=solution.model_error,
        force_error=0.0,
        shared=shared_response(solution, shared_stderr),
        shared_stderr=shared_stderr,
    )
    absorbed = np.hstack([np.linalg.pinv(composition), np.zeros((len(elements), len(rows.force)))])
    return TangentPosterior(
        coordinates=coordinates,
        base=base.plain,
        fidelity=base.fidelity,
        tensors=rows.tensors,
        rows=rows.data,
        groups=tuple(
            WeightGroup(span.layer, span.combination, span.size, _mean_square(solution, span.hyper)) for span in spans
        ),
        absorbed=absorbed,
        own_variance=solution.model_error**2 / sum(span.size**2 for span in spans),
        domain=domain,
    )


def _mean_square(solution: Solution, name: str) -> float:
    """Return the mean of the square of a hyper-parameter over its posterior."""
    hypers = solution.hypers
    assert hypers is not None  # noqa: S101 - there are energies, so evidence chose
    squares = np.array([hypers.at(point)[name] ** 2 for point in hypers.points])
    return float(hypers.weights @ squares / hypers.weights.sum())
