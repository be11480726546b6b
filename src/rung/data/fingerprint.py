"""Which structures are one geometry: fingerprints that no shift, turn, mirror or order changes, then a check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rung.data.congruence import SAME, congruent
from rung.data.labels import Array
from rung.data.matter import too_dense
from rung.data.neighbours import neighbour_vectors
from rung.data.structure import Structure

REACH = 5.0
"""Å: distances up to which tell structures apart before each atom is looked at."""

FEW = 40
"""Atoms without a periodic direction whose distances are all computed at once."""

STEEPNESS = 6.0
"""By how much a fingerprint may change for each Å that atoms are off: they are so in all directions at once."""

ATOMS_APART = 60.0
"""By how much what one atom sees may change for each Å that atoms are off."""

_CENTRES, _WIDTH = np.array([1.0, 1.8, 2.6, 3.4, 4.2]), 0.8

SIZE = 4 * len(_CENTRES) + 1
"""Numbers of a fingerprint."""


@dataclass(frozen=True)
class Fingerprint:
    """What stays of a geometry however it is turned, shifted, wrapped, mirrored or ordered.

    Parameters
    ----------
    key
        Equal for copies: composition and number of periodic directions.
    values
        Near for copies, shape ``(SIZE,)``.
    """

    key: str
    values: NDArray[np.float32]


def fingerprint(structure: Structure) -> Fingerprint:
    """Return the fingerprint of a geometry; what no matter can be is like itself alone."""
    atoms = structure.atoms
    if too_dense(atoms) is not None:
        return Fingerprint(structure.geometry_hash, np.zeros(SIZE, dtype=np.float32))
    values = np.zeros(SIZE)
    values[:-1] = _densities(atoms)
    if atoms.pbc.all():
        values[-1] = abs(atoms.get_volume()) ** (1.0 / 3.0)
    return Fingerprint(f"{structure.formula} {np.count_nonzero(atoms.pbc)}", values.astype(np.float32))


def _densities(atoms: Atoms) -> Array:
    """Return the mean over atoms of sums over their neighbours, and the root mean square."""
    sums = _sums(atoms)
    return np.concatenate([sums.mean(axis=0), np.sqrt((sums**2).mean(axis=0))])


def _sums(atoms: Atoms) -> Array:
    """Return what each atom sees of its neighbours: sums over shells, weighed by element, shape ``(n, 2 · shells)``."""
    weights = _weights(atoms.numbers)
    if not atoms.pbc.any() and len(atoms) <= FEW:
        vectors = atoms.positions[:, None] - atoms.positions[None]
        length = np.sqrt(np.sum(vectors**2, axis=-1))
        np.fill_diagonal(length, REACH)
        sums = np.einsum("ijk,ja->iak", _shells(length), weights, optimize=True)
    else:
        sender, receiver, vectors = neighbour_vectors(atoms, REACH)
        length = np.linalg.norm(vectors, axis=1)
        sums = np.zeros((len(atoms), 2, len(_CENTRES)))
        shells = _shells(length)
        for column in range(2):
            weighed = shells * weights[receiver, column, None]
            for shell in range(len(_CENTRES)):
                sums[:, column, shell] = np.bincount(sender, weights=weighed[:, shell], minlength=len(atoms))
    return np.asarray((weights[:, :, None] * sums).reshape(len(atoms), -1))


def _shells(length: Array) -> Array:
    smooth = np.where(length < REACH, 0.5 * (1.0 + np.cos(np.pi * np.minimum(length / REACH, 1.0))), 0.0)
    return np.asarray(np.exp(-(((length[..., None] - _CENTRES) / _WIDTH) ** 2)) * smooth[..., None])


def _weights(numbers: NDArray[np.integer]) -> Array:
    """Return two weights of each atom: one, and one that tells elements apart."""
    return np.stack([np.ones(len(numbers)), 0.5 + (0.7548776662 * numbers) % 1.0], axis=1)


def first_of_each(
    marks: Sequence[Fingerprint], read: Callable[[int], Structure], tolerance: float = SAME
) -> NDArray[np.int64]:
    """Return for each structure the index of the first one with the same geometry, its own where there is none before.

    Parameters
    ----------
    marks
        The fingerprint of each.
    read
        Returns a structure by its index; only those are read whose fingerprints are near.
    tolerance
        Å: by how much atoms may be off.
    """
    first = np.arange(len(marks), dtype=np.int64)
    groups: dict[str, list[int]] = {}
    for index, mark in enumerate(marks):
        groups.setdefault(mark.key, []).append(index)
    for members in groups.values():
        if len(members) > 1:
            _join(np.array(members), np.array([marks[index].values for index in members]), read, tolerance, first)
    return first


def _join(
    members: NDArray[np.int64],
    points: NDArray[np.float32],
    read: Callable[[int], Structure],
    tolerance: float,
    first: NDArray[np.int64],
) -> None:
    """Set ``first`` of the structures of one key."""
    tree = cKDTree(points)
    radius = STEEPNESS * tolerance
    taken = np.zeros(len(members), dtype=bool)
    known: dict[int, Array] = {}
    for place in range(len(members)):
        if taken[place]:
            continue
        near = [k for k in tree.query_ball_point(points[place], radius, p=np.inf) if k > place and not taken[k]]
        if not near:
            continue
        here = read(int(members[place]))
        seen = _sorted_sums(here.atoms, known, place)
        for k in sorted(near):
            there = read(int(members[k]))
            if np.abs(seen - _sorted_sums(there.atoms, known, k)).max() > ATOMS_APART * tolerance:
                continue
            if here.geometry_hash == there.geometry_hash or congruent(here.atoms, there.atoms, tolerance):
                taken[k] = True
                first[members[k]] = members[place]


def _sorted_sums(atoms: Atoms, known: dict[int, Array], place: int) -> Array:
    """Return the sums of all atoms, each column in ascending order; they are kept in ``known``."""
    if place not in known:
        known[place] = np.zeros((len(atoms), 1)) if too_dense(atoms) else np.sort(_sums(atoms), axis=0)
    return known[place]
