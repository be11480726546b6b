"""Whether two geometries are one: equal but for a shift, a rotation, a reflection, lattice translations and an order.

An energy depends on nothing else, so a test on such a copy is a test on what was learnt. A mirror image counts as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rung.data.labels import Array
from rung.data.neighbours import neighbour_vectors, open_axes

SAME = 2.0e-4
"""Å: by how much no atom of one geometry may be off in a copy: files with four decimals round by less."""

NEAR = 5.0
"""Å: atoms so near to another one are looked at to find how a copy is turned."""

_LATTICE = -1
"""The kind of a vector from an atom to its own image, beside atomic numbers."""

_SPREAD = 0.3
"""Å: what a vector must have beside the plane or the line of others to give a direction of its own."""

_ROUGH = 0.1
"""Å: how far atoms may be off before the rotation is the best one for all of them."""

_FEW = 8
"""Atoms that are looked at before all are."""

_MOST_TURNS = 20_000
"""Rotations that are tried before two geometries count as different."""

_OFF_SYMMETRY = 10.0
"""Times the tolerance of a vector: an atom that sees so much else than others of its kind is told from them by it."""


@dataclass(frozen=True)
class _View:
    """What an atom sees: vectors to others, shape ``(m, 3)``, and their kinds, the shortest first."""

    vectors: Array
    kinds: NDArray[np.int64]

    @property
    def lengths(self) -> Array:
        """Distances to other atoms, Å, in ascending order; images along lattice vectors depend on their choice."""
        return np.asarray(np.linalg.norm(self.vectors[self.kinds != _LATTICE], axis=1))

    def like(self, other: "_View", loose: float) -> bool:
        """Return whether all distances agree: a small displacement in a crystal leaves few atoms alike."""
        mine, theirs = self.lengths, other.lengths
        sure = int(np.count_nonzero(mine < NEAR - _ROUGH))  # of what is farther a copy may see less
        return len(theirs) >= sure and bool((np.abs(mine[:sure] - theirs[:sure]) < loose).all())


def congruent(one: Atoms, other: Atoms, tolerance: float = SAME) -> bool:
    """Return whether two geometries are one, each atom within ``tolerance`` Å of where it should be.

    Of a direction that is not periodic the cell does not count.
    """
    same_kinds = np.array_equal(np.sort(one.numbers), np.sort(other.numbers))
    if not same_kinds or np.count_nonzero(one.pbc) != np.count_nonzero(other.pbc):
        return False
    if not len(one):
        return True
    own, views, loose = _Views(one), _Views(other), 4.0 * tolerance
    anchor = _anchor(one, own.crowding(), loose)
    seen = own.of(anchor)
    references = _independent(seen)
    matcher = _Matcher(one, other, tolerance)
    tried = 0
    for candidate in np.flatnonzero(other.numbers == one.numbers[anchor]):
        view = views.of(int(candidate))
        if not seen.like(view, loose):
            continue
        for turn in _turns(references, view, loose):
            if matcher.holds(turn, anchor, int(candidate)):
                return True
            tried += 1
            if tried >= _MOST_TURNS:
                return False
    return False


class _Views:
    """What each atom sees: its neighbours, and its own images along the periodic directions."""

    def __init__(self, atoms: Atoms) -> None:
        self._atoms = atoms
        self._pbc = np.asarray(atoms.pbc, dtype=bool)
        self._images = np.zeros((0, 3))
        if self._pbc.any():
            self._sender, self._receiver, self._vectors = neighbour_vectors(atoms, NEAR)
            lattice = np.asarray(minkowski_reduce(open_axes(atoms), self._pbc)[0])[self._pbc]
            steps = np.array(list(product((-1, 0, 1), repeat=len(lattice))))
            self._images = steps[steps.any(axis=1)] @ lattice

    def crowding(self) -> Array:
        """Return a number for each atom that a small displacement of a neighbour changes, Å²; zeros without a cell."""
        if not self._pbc.any():
            return np.zeros(len(self._atoms))
        nearness = (NEAR - np.linalg.norm(self._vectors, axis=1)) ** 2
        return np.asarray(np.bincount(self._sender, weights=nearness, minlength=len(self._atoms)))

    def of(self, centre: int) -> _View:
        """Return the view of one atom."""
        if self._pbc.any():
            own = slice(*np.searchsorted(self._sender, [centre, centre + 1]))
            near, vectors = self._atoms.numbers[self._receiver[own]], self._vectors[own]
        else:
            others = np.arange(len(self._atoms)) != centre
            near, vectors = self._atoms.numbers[others], self._atoms.positions[others] - self._atoms.positions[centre]
        kinds = np.concatenate([near, np.full(len(self._images), _LATTICE)]).astype(np.int64)
        vectors = np.concatenate([vectors, self._images])
        order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
        return _View(vectors[order], kinds[order])


def _anchor(atoms: Atoms, crowding: Array, loose: float) -> int:
    """Return an atom that few others of the same geometry are like.

    That is the one that sees most else than the others of its kind: beside a displaced atom of a symmetric crystal.
    Where none does, it is one of the rarest element.
    """
    off = np.zeros(len(atoms))
    for number in np.unique(atoms.numbers):
        alike = atoms.numbers == number
        off[alike] = np.abs(crowding[alike] - np.median(crowding[alike]))
    if off.max() > _OFF_SYMMETRY * loose:
        return int(off.argmax())
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return int(np.flatnonzero(atoms.numbers == numbers[counts.argmin()])[0])


def _independent(view: _View) -> _View:
    """Return at most three vectors, short ones first, each of which leaves the line or the plane of those before."""
    chosen: list[int] = []
    basis: list[Array] = []
    for place, vector in enumerate(view.vectors):
        rest = vector - sum((vector @ axis * axis for axis in basis), np.zeros(3))
        size = float(np.linalg.norm(rest))
        if size > _SPREAD:
            chosen.append(place)
            basis.append(rest / size)
        if len(chosen) == 3:
            break
    return _View(view.vectors[chosen], view.kinds[chosen])


def _turns(references: _View, view: _View, loose: float) -> Iterator[Array]:
    """Yield the rotations and reflections, shapes ``(3, 3)``, that take the references to vectors of ``view``."""
    lengths = np.linalg.norm(view.vectors, axis=1)
    wanted = references.vectors
    choices = [
        view.vectors[(view.kinds == kind) & (np.abs(lengths - np.linalg.norm(vector)) < loose)]
        for vector, kind in zip(wanted, references.kinds, strict=True)
    ]

    def extended(taken: list[Array]) -> Iterator[list[Array]]:
        place = len(taken)
        if place == len(choices):
            yield taken
            return
        for vector in choices[place]:
            products = np.array([vector @ earlier for earlier in taken])
            sizes = np.linalg.norm(wanted[:place], axis=1) + np.linalg.norm(vector)
            if (np.abs(products - wanted[:place] @ wanted[place]) < loose * sizes).all():
                yield from extended([*taken, vector])

    for found in extended([]):
        yield from _rotations(wanted, np.array(found).reshape(-1, 3))


def _rotations(start: Array, end: Array) -> Iterator[Array]:
    """Yield the orthogonal matrices Q with ``start @ Q.T`` near ``end``; two where all vectors lie in a plane."""
    left, _, right = np.linalg.svd(end.T @ start)
    turn = left @ right
    yield turn
    if len(start) < 3:
        flip = np.diag([1.0, 1.0, -1.0])
        yield left @ flip @ right


class _Matcher:
    """Holds one geometry against another that is turned and shifted."""

    def __init__(self, one: Atoms, other: Atoms, tolerance: float) -> None:
        self._one, self._other, self._tolerance = one, other, tolerance
        self._pbc = np.asarray(other.pbc, dtype=bool)
        self._axes = open_axes(other)
        self._inverse = np.linalg.inv(self._axes)
        self._lattice = open_axes(one)[np.asarray(one.pbc, dtype=bool)]
        self._tree = cKDTree(self._wrapped(other.positions @ self._inverse), boxsize=self._pbc.astype(float))

    def holds(self, turn: Array, anchor: int, candidate: int) -> bool:
        """Return whether ``turn`` takes the atom ``anchor`` to ``candidate`` and all others to atoms of their kind."""
        from_anchor = self._one.positions - self._one.positions[anchor]
        there = self._other.positions[candidate] + from_anchor @ turn.T
        cells = self._lattice @ turn.T
        strayed = self._to_lattice(cells)
        if np.abs(strayed).max(initial=0.0) > _ROUGH:
            return False
        if self._strays(there[:_FEW], self._one.numbers[:_FEW]):
            return False
        nearest = self._tree.query(self._wrapped(there @ self._inverse))[1]
        if len(np.unique(nearest)) < len(nearest) or (self._other.numbers[nearest] != self._one.numbers).any():
            return False
        off = self._to_lattice(there - self._other.positions[nearest])
        if np.abs(off).max() > _ROUGH:
            return False
        return self._left(from_anchor, there - off, cells - strayed) <= self._tolerance

    def _strays(self, there: Array, numbers: NDArray[np.integer]) -> bool:
        """Return whether one of a few atoms has none of its kind near it, which most wrong turns show."""
        nearest = self._tree.query(self._wrapped(there @ self._inverse))[1]
        off = self._to_lattice(there - self._other.positions[nearest])
        return bool((self._other.numbers[nearest] != numbers).any() or np.abs(off).max() > _ROUGH)

    def _left(self, start: Array, end: Array, cells: Array) -> float:
        """Return the largest distance, Å, that the best rotation and shift of all atoms leaves, of cells as well."""
        start, end = start - start.mean(axis=0), end - end.mean(axis=0)
        first, last = np.concatenate([start, self._lattice]), np.concatenate([end, cells])
        left, _, right = np.linalg.svd(last.T @ first)
        return float(np.linalg.norm(first @ (left @ right).T - last, axis=1).max())

    def _to_lattice(self, vectors: Array) -> Array:
        """Return vectors less the nearest translation of the lattice."""
        places = vectors @ self._inverse
        return np.asarray((places - np.where(self._pbc, np.round(places), 0.0)) @ self._axes)

    def _wrapped(self, places: Array) -> Array:
        inside = np.where(self._pbc, places - np.floor(places), places)
        return np.where(self._pbc & (inside >= 1.0), 0.0, inside)
