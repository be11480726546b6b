"""How alike the environments of atoms are, as a kernel over their features: what makes the model's own error local.

The part of an error that no smooth function of the features describes belongs to an environment: two atoms of one
element share it as far as their features agree. So what two structures have in common cancels in their difference,
and copies of one environment add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rung.data.labels import Array
from rung.model.domain import ElementDomain, least_variance

LENGTH = 0.2
"""Distance at which the environments of two predicted structures stop sharing their error, in units of the features'
r.m.s. spread."""

EQUAL = 0.05
"""The same among the labels of a fit: only equal environments share there. With ``LENGTH`` in its place energies and
forces of the test systems gain 2 to 5 %, but the barrier of the testbed moves away from the truth."""

PAIRS_AT_ONCE = 4_000_000

MOST_PAIRS = 400_000_000
"""Pairs of atoms up to which all structures are compared with each other: some seconds."""

MOST_STRUCTURES = 3_000
"""The same for structures: a fit whose energies all share errors costs the cube of their number."""


@dataclass(frozen=True)
class Environments:
    """The environments of the ``n`` atoms of a structure.

    Parameters
    ----------
    coordinates
        Where they lie; a distance of 1 is the kernel's length, shape ``(n, k)``.
    numbers
        Atomic numbers, shape ``(n,)``.
    """

    coordinates: NDArray[np.floating]
    numbers: NDArray[np.integer]

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.numbers)


@dataclass(frozen=True)
class EnvironmentKernel:
    """``exp(-r²/2)`` for two atoms of one element, r the distance of their whitened features over the length; else 0.

    Parameters
    ----------
    axes
        From features to coordinates, shape ``(D, k)``.
    """

    axes: Array

    def environments(self, features: NDArray[np.floating], numbers: NDArray[np.integer]) -> Environments:
        """Return the environments of atoms with ``features`` of shape ``(n, D)``."""
        return Environments((features @ self.axes).astype(np.float32), np.asarray(numbers))


@dataclass(frozen=True)
class KnownEnvironments:
    """The environments of training structures, by geometry.

    Parameters
    ----------
    kernel
        Of the base's features.
    by_geometry
        Environments by ``Structure.geometry_hash``.
    elements
        Where the environments of each element lie, by atomic number: the domain of a fit.
    """

    kernel: EnvironmentKernel
    by_geometry: Mapping[str, Environments]
    elements: Mapping[int, ElementDomain] = field(default_factory=dict)

    def overlaps(self, geometries: Sequence[str]) -> Array:
        """Return how much error the labels of the structures share, shape ``(S, S)``; see :func:`overlaps`."""
        closer = {
            name: Environments(self.by_geometry[name].coordinates * (LENGTH / EQUAL), self.by_geometry[name].numbers)
            for name in set(geometries)
        }
        return overlaps([closer[name] for name in geometries], geometries)

    def are_compared(self, geometries: Sequence[str]) -> bool:
        """Return whether the structures are few enough to be compared with each other."""
        return _are_few([len(self.by_geometry[name]) for name in geometries])

    def own(self, geometries: Sequence[str]) -> Array:
        """Return the diagonal of :meth:`overlaps`, shape ``(S,)``."""
        names = {name: self.overlaps([name])[0, 0] for name in set(geometries)}
        return np.array([names[name] for name in geometries])


def environment_kernel(
    features: Sequence[Array], numbers: Sequence[NDArray[np.integer]], *, length: float = LENGTH
) -> EnvironmentKernel:
    """Return the kernel whose length is a share of the spread that the features have within an element.

    Parameters
    ----------
    features
        Of the training structures, each of shape ``(n, D)``.
    numbers
        Their atomic numbers, each of shape ``(n,)``.
    length
        In units of the r.m.s. distance from the mean of the element.
    """
    rows, elements = np.concatenate(features), np.concatenate(numbers)
    spread = np.zeros((rows.shape[1], rows.shape[1]))
    for element in np.unique(elements):
        own = rows[elements == element]
        own = own - own.mean(axis=0)
        spread += own.T @ own
    values, vectors = np.linalg.eigh(spread / len(rows))
    kept = values > least_variance(values, rows)
    axes = vectors[:, kept] / np.sqrt(values[kept] * max(int(kept.sum()), 1)) / length
    return EnvironmentKernel(axes)


def overlaps(structures: Sequence[Environments], geometries: Sequence[str] | None = None) -> Array:
    """Return Σ_ij k(i, j) over the atoms of each two structures, shape ``(S, S)``.

    The diagonal is the number of atoms where no two environments of a structure agree, and more where some do: n copies
    of one cell have n² times what one has.

    Parameters
    ----------
    structures
        Environments of each.
    geometries
        A name for each geometry. With more than ``MOST_PAIRS`` pairs of atoms or ``MOST_STRUCTURES`` structures only
        those of one name are compared with each other, since all would take minutes.
    """
    if not structures:
        return np.zeros((0, 0))
    n_atoms = [len(one) for one in structures]
    if geometries is not None and not _are_few(n_atoms):
        return _of_equal_names(structures, geometries)
    total = np.zeros((len(structures), len(structures)))
    owner = np.repeat(np.arange(len(structures)), n_atoms)
    numbers = np.concatenate([one.numbers for one in structures])
    coordinates = np.concatenate([one.coordinates for one in structures])
    for element in np.unique(numbers):
        chosen = numbers == element
        total += _summed(coordinates[chosen].astype(float), owner[chosen], len(structures))
    return np.asarray(0.5 * (total + total.T))


def self_overlap(structure: Environments) -> float:
    """Return Σ_ij k(i, j) over the atoms of one structure."""
    return float(overlaps([structure])[0, 0])


def _are_few(n_atoms: Sequence[int]) -> bool:
    return len(n_atoms) <= MOST_STRUCTURES and sum(n_atoms) ** 2 <= MOST_PAIRS


def _of_equal_names(structures: Sequence[Environments], geometries: Sequence[str]) -> Array:
    own: dict[str, float] = {}
    for structure, name in zip(structures, geometries, strict=True):
        if name not in own:
            own[name] = self_overlap(structure)
    names = np.asarray(geometries, dtype=str)
    return np.where(names[:, None] == names[None, :], np.array([own[name] for name in geometries])[:, None], 0.0)


def _summed(points: Array, owner: NDArray[np.integer], count: int) -> Array:
    """Return the kernel between ``points`` summed over the structures of their owners, shape ``(count, count)``."""
    points = points - points.mean(axis=0)  # distances of neighbours would drown in the rounding of far-off squares
    squares = np.sum(points**2, axis=1)
    belongs = csr_array((np.ones(len(owner)), (np.arange(len(owner)), owner)), shape=(len(owner), count))
    total = np.zeros((count, count))
    step = max(PAIRS_AT_ONCE // len(points), 1)
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        distance = squares[rows, None] + squares[None, :] - 2.0 * points[rows] @ points.T
        kernel = np.exp(-0.5 * np.maximum(distance, 0.0))
        total += belongs[rows].T @ (kernel @ belongs)
    return total
