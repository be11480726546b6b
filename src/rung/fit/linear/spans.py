"""Derivatives by all weights, the bases that they span, and what a fit in such bases knows afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.fit.lift import Base
from rung.fit.linear.closed_form import Solution
from rung.fit.linear.model_error import SMOOTH_SHARE
from rung.fit.linear.problem import without_composition
from rung.fit.linear.result import shared_response
from rung.model.domain import Domain
from rung.model.environments import EnvironmentKernel
from rung.model.posterior import Posterior
from rung.model.tangent import TangentPosterior, TangentRow, WeightGroup


@dataclass(frozen=True)
class Rows:
    """Derivatives with respect to the moving weights, one row a datum: ``n`` energies, then ``m`` forces.

    They are by far the largest array of a fit, so that nothing else of their length is made from them.

    Parameters
    ----------
    stacked
        ∂E/∂θ, then ∂(u·F)/∂θ/√N of random directions u, shape ``(n + m, p)``.
    anchor
        u·F/√N of the base, eV/Å, shape ``(m,)``.
    layers
        The names of the layers.
    owner
        Which layer each weight belongs to, as a position in ``layers``, shape ``(p,)``.
    tensors
        The names of the moving tensors.
    data
        What each row is the derivative of.
    """

    stacked: Array
    anchor: Array
    layers: tuple[str, ...]
    owner: NDArray[np.integer]
    tensors: tuple[str, ...]
    data: tuple[TangentRow, ...]

    @property
    def energy(self) -> Array:
        """The rows of energies, shape ``(n, p)``."""
        return self.stacked[: len(self.stacked) - len(self.anchor)]

    @property
    def force(self) -> Array:
        """The rows of forces, shape ``(m, p)``."""
        return self.stacked[len(self.stacked) - len(self.anchor) :]

    def members(self, layer: str) -> NDArray[np.bool_] | slice:
        """Return where the weights of a layer are; the empty name stands for all."""
        return np.asarray(self.owner == self.layers.index(layer)) if layer else slice(None)


@dataclass(frozen=True)
class Span:
    """The basis of the weights that have one prior width: orthogonal vectors of length 1/size, which nobody writes out.

    Parameters
    ----------
    layer
        The layer that they belong to; empty for all.
    combination
        The basis as combinations of the rows, shape ``(P, n + m)``.
    design
        Derivative of each row's datum by the coordinates in this basis, shape ``(n + m, P)``.
    size
        Chosen so that α² is the mean prior variance of an energy per atom, with composition projected out.
    """

    layer: str
    combination: Array
    design: Array
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
    names = rows.layers if by_layer else ("",)
    n_atoms = composition.sum(axis=1)
    spans = []
    for name in names:
        own = rows.stacked[:, rows.members(name)]
        kernel = own @ own.T
        combination = _orthonormal(kernel)
        design = kernel @ combination.T
        rest = without_composition(design[: len(n_atoms)], composition)
        size = max(float(np.sqrt(np.mean(np.sum(rest**2, axis=1) / n_atoms))), 1e-12)
        spans.append(Span(name, combination / size, design / size, size))
    return spans


def step_of(rows: Rows, spans: Sequence[Span], coordinates: Array) -> Array:
    """Return the step of the weights, shape ``(p,)``, that the coordinates in the bases of ``spans`` stand for."""
    step, position = np.zeros(rows.stacked.shape[1]), 0
    for span in spans:
        stop = position + len(span.combination)
        along = coordinates[position:stop] @ span.combination
        members = rows.members(span.layer)
        step[members] += along @ rows.stacked[:, members]
        position = stop
    return step


def _orthonormal(kernel: Array) -> Array:
    """Return combinations of rows with this ``kernel`` that are orthonormal and span them, shape ``(rank, R)``."""
    eigenvalues, axes = np.linalg.eigh(kernel)
    kept = eigenvalues > 1e-10 * max(float(eigenvalues[-1]), 1e-300)
    return np.asarray((axes[:, kept] / np.sqrt(eigenvalues[kept])).T)


@dataclass(frozen=True)
class Surroundings:
    """What the base's features say of the structures of a fit.

    Parameters
    ----------
    environments
        Which environments share the rough part of the model's own error.
    domain
        Where the training structures lie.
    force_ratio
        R.m.s. error of a force component for an error of energies of 1 eV/√atom, √atom/Å.
    """

    environments: EnvironmentKernel
    domain: Domain
    force_ratio: float


def posterior_of(
    solution: Solution,
    spans: Sequence[Span],
    rows: Rows,
    base: Base,
    composition: Array,
    surroundings: Surroundings,
    shared_stderr: float,
    combination: Array,
) -> TangentPosterior:
    """Return what the linear fit knows of the weights.

    Half of the model's own error lies along all weights alike, half belongs to environments: the first alone is too
    small in differences of like structures, for all weights together bend an energy less there than the truth does.
    The labels are the ``combination`` of the energies of the structures with these compositions.
    """
    elements, gaussian = sorted(base.plain.elements), solution.gaussian
    coordinates = Posterior(
        parameters=(
            *(f"{span.layer}[{k}]" for span in spans for k in range(len(span.combination))),
            *(f"E0[{element}]" for element in elements),
        ),
        mean=gaussian.mean,
        covariance=gaussian.covariance,
        unidentified=gaussian.unidentified,
        model_error=solution.model_error,
        force_error=solution.model_error * surroundings.force_ratio,
        rough_error=float(np.sqrt(1.0 - SMOOTH_SHARE)) * solution.model_error,
        environments=surroundings.environments,
        shared=shared_response(solution, shared_stderr),
        shared_stderr=shared_stderr,
    )
    absorbed = np.linalg.pinv(combination @ composition) @ combination
    absorbed = np.hstack([absorbed, np.zeros((len(elements), len(rows.force)))])
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
        own_variance=SMOOTH_SHARE * solution.model_error**2 / sum(span.size**2 for span in spans),
        domain=surroundings.domain,
    )


def _mean_square(solution: Solution, name: str) -> float:
    """Return the mean of the square of a hyper-parameter over its posterior."""
    hypers = solution.hypers
    assert hypers is not None  # noqa: S101 - there are energies, so evidence chose
    squares = np.array([hypers.at(point)[name] ** 2 for point in hypers.points])
    return float(hypers.weights @ squares / hypers.weights.sum())
