"""Where the training structures lie: the test that says whether a structure is *outside the domain* of a fit.

Error bars hold where the model's own error is like that of the training structures. Two distances tell whether it can
be: how far the environment of an atom is from the nearest one of its element in training, and how far the structure's
own row of the fit reaches beyond those of the training structures (its leverage).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rung.data.labels import Array

DISTANCE_LIMIT = 3.0
"""Distance from the nearest training environment above which an atom is outside, in r.m.s. spreads of its element:
docs/results/domain.md has what other limits find, and how often they are wrong."""

LEVERAGE_LIMIT = 1.5
"""Leverage above which a structure is outside, over what ``LEVERAGE_SHARE`` of the training structures stay below when
each is left out of the others."""

LEVERAGE_SHARE = 0.95

FLOOR = 1e-4
"""Variance of a direction of the features, over the largest one, below which it does not count as a direction."""

ROUNDING = 1e-5
"""Of the length of the features: equal environments differ by less, turned or computed in float32."""

ROW_FLOOR = 1e-6
"""The same of a direction of the rows, whose columns all have a size of one."""

SAME = 1e-3
"""Relative difference of features up to which environments are one."""

MOST_ENVIRONMENTS = 1000
"""Training environments of an element that are kept: those farthest from each other stand for the rest."""

MOST_COMPARED = 20_000
"""Training environments of an element among which those are looked for."""


@dataclass(frozen=True)
class ElementDomain:
    """The environments of the atoms of one element in training.

    Parameters
    ----------
    centre
        Mean of their features, shape ``(D,)``.
    axes
        From features less the mean to coordinates in which the r.m.s. distance from the mean is one, shape ``(D, k)``.
    environments
        Coordinates of those that stand for all, shape ``(m, k)``.
    """

    centre: Array
    axes: Array
    environments: NDArray[np.float32]

    def distances(self, features: NDArray[np.floating]) -> Array:
        """Return how far atoms with ``features`` of shape ``(n, D)`` are from the nearest environment, shape ``(n,)``.

        Where training has one environment alone, another one is infinitely far.
        """
        if not self.axes.shape[1]:
            away = np.linalg.norm(features - self.centre, axis=1) > SAME * max(float(np.linalg.norm(self.centre)), SAME)
            return np.where(away, np.inf, 0.0)
        tree = cKDTree(self.environments.astype(np.float64))
        return np.asarray(tree.query((features - self.centre) @ self.axes)[0], dtype=np.float64)


@dataclass(frozen=True)
class Place:
    """Where a structure lies.

    Parameters
    ----------
    distance
        The largest distance of an atom's environment from the nearest one in training, in r.m.s. spreads of its
        element; infinite where training has no such element.
    atom
        Which atom.
    leverage
        Mean square of the row along the directions of the training rows, in units of theirs.
    distance_limit, leverage_limit
        Above which a structure is outside.
    """

    distance: float
    atom: int
    leverage: float
    distance_limit: float
    leverage_limit: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the structure is outside the domain, in words; empty where it is inside."""
        reasons = []
        if self.distance > self.distance_limit:
            reasons.append(
                f"atom {self.atom} is {self.distance:.1f} spreads from the nearest training environment "
                f"(limit {self.distance_limit:.1f})"
            )
        if self.leverage > self.leverage_limit:
            reasons.append(
                f"its leverage is {self.leverage:.1f}, and training structures stay below {self.leverage_limit:.1f}"
            )
        return tuple(reasons)

    @property
    def outside(self) -> bool:
        """Whether the structure is outside the domain."""
        return bool(self.reasons)


@dataclass(frozen=True)
class Domain:
    """Where the training structures of a fit lie.

    Parameters
    ----------
    elements
        Their environments, by atomic number.
    absorbed
        What the composition explains of a row, shape ``(E, P)``, for elements in ascending order of the backbone's.
    row_axes
        From the rest of a row to coordinates of unit variance, shape ``(P, r)``.
    leverage_limit
        Leverage above which a structure is outside.
    distance_limit
        Distance above which one of its atoms is outside.
    """

    elements: Mapping[int, ElementDomain]
    absorbed: Array
    row_axes: Array
    leverage_limit: float
    distance_limit: float = DISTANCE_LIMIT

    def place(
        self, row: Array, composition: Array, features: NDArray[np.floating], numbers: NDArray[np.integer]
    ) -> Place:
        """Return where a structure of ``n`` atoms lies.

        Parameters
        ----------
        row, composition
            ∂E/∂w, shape ``(P,)``, and atoms of each element, shape ``(E,)``.
        features, numbers
            Features and atomic numbers of its atoms, shapes ``(n, D)`` and ``(n,)``.
        """
        distances = np.full(len(numbers), np.inf)
        for number, element in self.elements.items():
            own = numbers == number
            if own.any():
                distances[own] = element.distances(features[own].astype(np.float64))
        worst = int(distances.argmax()) if len(distances) else 0
        leverage = float(leverages(row[None], composition[None], self.absorbed, self.row_axes)[0])
        return Place(float(distances.max(initial=0.0)), worst, leverage, self.distance_limit, self.leverage_limit)


def leverages(rows: Array, composition: Array, absorbed: Array, row_axes: Array) -> Array:
    """Return the mean square along the training's directions of rows of shape ``(S, P)`` per √atom, shape ``(S,)``."""
    n_atoms = composition.sum(axis=1)
    rest = (rows - composition @ absorbed) / np.sqrt(n_atoms)[:, None]
    return np.asarray(np.sum((rest @ row_axes) ** 2, axis=1) / max(row_axes.shape[1], 1))


def domain_of(rows: Array, composition: Array, scale: Array, elements: Mapping[int, ElementDomain]) -> Domain:
    """Return the domain of training structures.

    Parameters
    ----------
    rows, composition
        ∂E/∂w of each, shape ``(S, P)``, and its atoms of each element, shape ``(S, E)``.
    scale
        The size of each column of the rows, shape ``(P,)``; infinite where a column does not count.
    elements
        Their environments, by atomic number.
    """
    absorbed = np.asarray(np.linalg.lstsq(composition, rows, rcond=None)[0], dtype=np.float64)
    sizes = np.sqrt(composition.sum(axis=1))[:, None]
    rest = (rows - composition @ absorbed) / sizes / scale
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest))
    kept = values > max(ROW_FLOOR * float(values[-1]), 1e-12)
    row_axes = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
    own = leverages(rows, composition, absorbed, row_axes)
    # a row that its own structure alone defines says nothing of others, so each is left out of the rest
    counts = composition / sizes
    shares = np.einsum("se,et,st->s", counts, np.linalg.pinv(counts.T @ counts), counts, optimize=True)
    left = 1.0 - own * int(kept.sum()) / len(rows) - shares
    others = np.where(left > ROW_FLOOR, own / np.maximum(left, ROW_FLOOR), np.inf)
    usual = float(np.quantile(others, LEVERAGE_SHARE, method="higher"))
    return Domain(elements, absorbed, row_axes, LEVERAGE_LIMIT * usual)


def element_domains(
    features: Sequence[NDArray[np.floating]], numbers: Sequence[NDArray[np.integer]]
) -> dict[int, ElementDomain]:
    """Return the environments of each element.

    Parameters
    ----------
    features, numbers
        Of the atoms of each training structure, each of shapes ``(n, D)`` and ``(n,)``.
    """
    atoms, kinds = np.concatenate(features), np.concatenate(numbers)
    return {int(number): _element_domain(atoms[kinds == number]) for number in np.unique(kinds)}


def least_variance(values: Array, features: NDArray[np.floating]) -> float:
    """Return the variance below which a direction of the features is none: next to others, or to their rounding.

    Parameters
    ----------
    values
        Variances of the directions, in ascending order.
    features
        Shape ``(n, D)``.
    """
    rounding = ROUNDING**2 * float(np.mean(np.sum(np.square(features, dtype=np.float64), axis=1)))
    return max(FLOOR * float(values[-1]), rounding, 1e-300)


def _element_domain(features: NDArray[np.floating]) -> ElementDomain:
    features = features.astype(np.float64)
    centre = features.mean(axis=0)
    values, vectors = np.linalg.eigh((features - centre).T @ (features - centre) / len(features))
    kept = values > least_variance(values, features)
    axes = vectors[:, kept] / np.sqrt(values[kept] * max(int(kept.sum()), 1))
    step = -(-len(features) // MOST_COMPARED)
    return ElementDomain(centre, axes, _far_apart((features[::step] - centre) @ axes).astype(np.float32))


def _far_apart(points: Array) -> Array:
    """Return at most ``MOST_ENVIRONMENTS`` of the ``points``, each the farthest from those before it."""
    if len(points) <= MOST_ENVIRONMENTS:
        return points
    chosen = [0]
    nearest = np.sum((points - points[0]) ** 2, axis=1)
    while len(chosen) < MOST_ENVIRONMENTS:
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, np.sum((points - points[chosen[-1]]) ** 2, axis=1), out=nearest)
    return points[chosen]
