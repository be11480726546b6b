"""What constraints hold: the directions in which each atom may move, whatever ASE calls the constraint."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane, FixScaled
from numpy.typing import NDArray

from rung.data.labels import Array
from rung.errors import DataError, counted
from rung.storage import content_hash

FOLLOWED = (FixAtoms, FixCartesian, FixScaled, FixedLine, FixedPlane)
"""Constraints that say of single atoms in which directions they may move; rung follows these and no others."""


@dataclass(frozen=True)
class Unfollowed:
    """A constraint of a file that rung knows by name alone."""

    name: str

    def todict(self) -> dict[str, Any]:
        """Return it as ASE does."""
        return {"name": self.name, "kwargs": {}}


_INDEPENDENT = 1e-8
"""Of squared sines: held directions that differ by less are one direction."""

_SNAP = 1e-12
"""What rounding leaves of a zero or a one in a projector along Cartesian axes."""


@dataclass(frozen=True, eq=False)
class Held:
    """The directions in which each atom may move.

    Parameters
    ----------
    free
        For each atom the projector on these directions, shape ``(n, 3, 3)``: the identity where nothing holds it, zero
        where it cannot move.
    """

    free: Array

    @classmethod
    def of(cls, atoms: Atoms) -> "Held":
        """Return what the constraints of ``atoms`` hold; several on one atom hold the directions of all.

        Raises
        ------
        DataError
            When a constraint is none of ``FOLLOWED``; the sentence names it.
        """
        held = np.zeros((len(atoms), 3, 3))
        for constraint in atoms.constraints:
            directions = _held_directions(constraint, atoms)
            np.add.at(held, np.ravel(constraint.index), directions.T @ directions)
        free = np.tile(np.eye(3), (len(atoms), 1, 1))
        touched = held.any(axis=(1, 2))
        if touched.any():
            values, vectors = np.linalg.eigh(held[touched])
            kept = vectors * (values < _INDEPENDENT)[:, None, :]
            free[touched] = _snapped(kept @ kept.transpose(0, 2, 1))
        return cls(free)

    @classmethod
    def none(cls, n_atoms: int) -> "Held":
        """Return that nothing is held of ``n_atoms``."""
        return cls(np.tile(np.eye(3), (n_atoms, 1, 1)))

    @cached_property
    def dimensions(self) -> NDArray[np.int_]:
        """In how many directions each atom may move, shape ``(n,)``."""
        return np.rint(np.trace(self.free, axis1=1, axis2=2)).astype(int)

    @property
    def nothing(self) -> bool:
        """Whether every atom may move freely."""
        return bool((self.dimensions == 3).all())

    @property
    def movable(self) -> NDArray[np.bool_]:
        """Whether each atom may move at all, shape ``(n,)``."""
        return self.dimensions > 0

    @property
    def degrees_of_freedom(self) -> int:
        """How many coordinates may change."""
        return int(self.dimensions.sum())

    @cached_property
    def _partial(self) -> NDArray[np.intp]:
        return np.flatnonzero((self.dimensions > 0) & (self.dimensions < 3))

    @property
    def directions_alone(self) -> NDArray[np.intp]:
        """Atoms that may move in some directions and not in others."""
        return self._partial

    def project(self, vectors: Array) -> Array:
        """Return ``vectors``, shape ``(n, 3)``, without what lies along held directions."""
        if self.nothing:
            return vectors
        projected = vectors * self.movable[:, None]
        if len(self._partial):
            projected[self._partial] = np.einsum("aij,aj->ai", self.free[self._partial], vectors[self._partial])
        return np.asarray(projected)

    def joined(self, other: "Held") -> "Held":
        """Return what both hold together."""
        values, vectors = np.linalg.eigh(2.0 * np.eye(3) - self.free - other.free)
        kept = vectors * (values < _INDEPENDENT)[:, None, :]
        return Held(_snapped(kept @ kept.transpose(0, 2, 1)))

    def differs_from(self, other: "Held") -> NDArray[np.intp]:
        """Return the atoms of which ``other`` holds other directions."""
        return np.flatnonzero(np.abs(self.free - other.free).max(axis=(1, 2)) > 1e-6)

    def in_order(self, order: NDArray[np.intp]) -> "Held":
        """Return what is held of the atoms in another order."""
        return Held(self.free[order])

    @cached_property
    def shifts(self) -> Array:
        """Orthonormal directions along which all atoms may move together, shape ``(k, 3)`` with k from 0 to 3."""
        if self.nothing:
            return np.eye(3)
        values, vectors = np.linalg.eigh(self.free.mean(axis=0))
        return np.asarray(vectors.T[values > 1.0 - _INDEPENDENT])

    def coordinates(self, among: NDArray[np.intp]) -> tuple[NDArray[np.intp], Array]:
        """Return the free coordinates of the atoms ``among``: the atom of each, and its direction of length one.

        Returns
        -------
        tuple
            Indices, shape ``(k,)``, and directions, shape ``(k, 3)``: Cartesian axes where nothing holds the atom.
        """
        atoms: list[int] = []
        directions: list[Array] = []
        for index in among:
            axes = np.eye(3)
            if self.dimensions[index] < 3:
                values, vectors = np.linalg.eigh(self.free[index])
                axes = _snapped(vectors.T[values > 0.5])
            atoms += [int(index)] * len(axes)
            directions += list(axes)
        return np.array(atoms, dtype=np.intp), np.array(directions).reshape(-1, 3)

    def constraints(self) -> list[Any]:
        """Return the same as constraints of ASE, one an atom at most, each of which ASE follows exactly."""
        found: list[Any] = []
        whole = np.flatnonzero(self.dimensions == 0)
        if len(whole):
            found.append(FixAtoms(whole.tolist()))
        groups: dict[tuple[int, bytes], list[int]] = {}
        for index in self._partial:
            groups.setdefault((int(self.dimensions[index]), self.free[index].tobytes()), []).append(int(index))
        for (dimensions, _), members in groups.items():
            projector = self.free[members[0]]
            axis = _axis(projector if dimensions == 1 else np.eye(3) - projector)
            found.append((FixedLine if dimensions == 1 else FixedPlane)(members, axis))
        return found

    def move_mask(self) -> NDArray[np.bool_] | None:
        """Return what an extended XYZ file calls ``move_mask``: shape ``(n,)``, or ``(n, 3)`` where axes are held.

        None where some direction that is held is no Cartesian axis.
        """
        diagonal = np.diagonal(self.free, axis1=1, axis2=2)
        if not np.isin(self.free, (0.0, 1.0)).all() or (self.free.sum(axis=(1, 2)) != diagonal.sum(axis=1)).any():
            return None
        return np.asarray(diagonal > 0.5) if len(self._partial) else self.movable

    def words(self) -> str:
        """Return what is held, for people; empty where nothing is."""
        whole, partial = int((self.dimensions == 0).sum()), len(self._partial)
        said = [f"{counted(whole, 'atom')} held"] if whole else []
        if partial:
            said.append(f"{partial} held in some directions")
        return " and ".join(said)

    def key(self) -> str:
        """Return a hash of what is held; empty where nothing is."""
        return "" if self.nothing else content_hash(np.round(self.free, 6) + 0.0)


def merged(constraints: Sequence[Any]) -> tuple[Any, ...]:
    """Return constraints with those of one kind and direction joined: readers make one for each atom."""
    groups: dict[tuple[type, tuple[float, ...]], list[int]] = {}
    others = []
    for constraint in constraints:
        if not isinstance(constraint, FOLLOWED):
            others.append(constraint)
            continue
        how = getattr(constraint, "mask", getattr(constraint, "dir", np.zeros(0)))
        if isinstance(constraint, (FixCartesian, FixScaled)) and not how.any():
            continue  # a mask that holds nothing
        groups.setdefault((type(constraint), tuple(how.tolist())), []).extend(np.ravel(constraint.index).tolist())
    kept = [kind(sorted(set(indices)), *([how] if how else [])) for (kind, how), indices in groups.items()]
    return (*kept, *others)


def as_dicts(constraints: Sequence[Any]) -> list[dict[str, Any]]:
    """Return constraints as ASE's dictionaries; of those that rung does not follow, the name."""
    return [
        one.todict() if isinstance(one, FOLLOWED) else {"name": getattr(one, "name", type(one).__name__), "kwargs": {}}
        for one in constraints
    ]


def from_dicts(content: object, n_atoms: int) -> tuple[Any, ...]:
    """Return the constraints that :func:`as_dicts` wrote.

    Raises
    ------
    ValueError
        When ``content`` is nothing that it writes, or names an atom beyond ``n_atoms``.
    """
    if not isinstance(content, list):
        raise ValueError("no list of constraints")  # noqa: TRY004 - the caller turns it into one sentence
    return tuple(_from_dict(one, n_atoms) for one in content)


def _from_dict(content: object, n_atoms: int) -> Any:
    if not isinstance(content, dict) or not isinstance(name := content.get("name"), str):
        raise ValueError("a constraint without a name")  # noqa: TRY004 - likewise
    kinds = {kind.__name__: kind for kind in FOLLOWED}
    if name not in kinds:
        return Unfollowed(name)
    kwargs = content.get("kwargs")
    how = {FixAtoms: None, FixCartesian: "mask", FixScaled: "mask", FixedLine: "direction", FixedPlane: "direction"}
    second = how[kinds[name]]
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    indices = kwargs.get("a", kwargs.get("indices"))
    if not isinstance(indices, list) or not all(type(k) is int and 0 <= k < n_atoms for k in indices):
        raise ValueError(f"{name} of atoms that are not there")
    if second is None:
        return FixAtoms(indices)
    numbers = np.asarray(kwargs.get(second), dtype=float)
    if numbers.shape != (3,) or not np.isfinite(numbers).all() or not (second == "mask" or numbers.any()):
        raise ValueError(f"{name} without a {second} of three numbers")
    return kinds[name](indices, numbers.astype(bool) if second == "mask" else numbers)


def _held_directions(constraint: Any, atoms: Atoms) -> Array:
    """Return the directions that a constraint holds, each of length one, shape ``(k, 3)``."""
    if isinstance(constraint, FixAtoms):
        return np.eye(3)
    if isinstance(constraint, FixCartesian):
        return np.eye(3)[constraint.mask]
    if isinstance(constraint, FixScaled):
        # a fraction stays where an atom moves across the reciprocal vector of that lattice vector
        reciprocal = np.linalg.inv(atoms.cell.complete().array).T
        held = reciprocal[constraint.mask]
        return np.asarray(held / np.linalg.norm(held, axis=1, keepdims=True))
    if isinstance(constraint, FixedPlane):
        return np.asarray(constraint.dir)[None, :]
    if isinstance(constraint, FixedLine):
        return np.linalg.svd(np.asarray(constraint.dir)[None, :])[2][1:]
    names = ", ".join(kind.__name__ for kind in FOLLOWED)
    raise DataError(
        f"The constraint {getattr(constraint, 'name', type(constraint).__name__)} is not one that rung follows (it "
        f"follows {names}); take it out of the file, or hold atoms instead."
    )


def _axis(projector: Array) -> Array:
    """Return the direction of a projector on one direction, with its largest component positive."""
    vector = _snapped(np.linalg.eigh(projector)[1][:, -1])
    return np.asarray(vector * np.sign(vector[np.argmax(np.abs(vector))]))


def _snapped(values: Array) -> Array:
    near = np.rint(values)
    return np.where(np.abs(values - near) < _SNAP, near, values)
