"""Displacements of mobile atoms: unwrapped over the cell's faces, the framework's drift taken out, then squared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike

from rung.data.elements import is_element
from rung.data.labels import Array
from rung.errors import DataError, one_of

AMBIGUOUS = 0.4
"""Part of a cell's length: an atom that moves further between two frames may as well have gone the other way round."""

_SAME_CELL = 1e-4
"""Å: cells that differ by less are one cell; what text files round off is smaller."""

FEWEST_FRAMES = 3


@dataclass(frozen=True)
class Displacements:
    """How the atoms of one run moved from its first frame, the framework held at rest.

    Parameters
    ----------
    mobile
        Displacements of the mobile atoms, Å, shape ``(T, n, 3)`` for ``T`` frames.
    framework
        Those of all others, Å, shape ``(T, m, 3)``; their centre of mass does not move.
    drift
        What was taken out of both: how the framework's centre of mass moved, Å, shape ``(T, 3)``.
    volume
        Volume of the cell, Å³; NaN unless it is periodic in three directions.
    """

    mobile: Array
    framework: Array
    drift: Array
    volume: float


@dataclass(frozen=True)
class Moments:
    """Squared displacements of one run at several lags, over atoms and starting times.

    Parameters
    ----------
    lags
        Numbers of frames, rising, shape ``(L,)``.
    mean
        Mean squared displacement, Å², shape ``(L,)``.
    variance
        Variance of the squared displacement, Å⁴, shape ``(L,)``.
    """

    lags: Array
    mean: Array
    variance: Array

    def between(self, first: int, last: int) -> "Moments":
        """Return those at lags from ``first`` to ``last``, both counted."""
        kept = (self.lags >= first) & (self.lags <= last)
        return Moments(self.lags[kept], self.mean[kept], self.variance[kept])


def displacements(frames: Sequence[Atoms], species: str, *, unwrapped: bool = False) -> Displacements:
    """Return the displacements of the atoms of ``species`` relative to the framework of all other atoms.

    Parameters
    ----------
    frames
        One run: the same atoms in the same order, in one cell, frames at equal times apart.
    species
        Symbol of the element that moves.
    unwrapped
        Whether the positions run on beyond the cell, so that nothing is to be joined at its faces.

    Raises
    ------
    DataError
        When the species is absent, nothing moves, wrapped frames have no cell, the atoms or the cell change, or an atom
        moves so far between two frames that its periodic image is unclear.

    Notes
    -----
    Where every atom is mobile, the centre of mass of all is held at rest: it is all that can be.
    """
    _check(frames, species)
    first = frames[0]
    path = np.array([frame.positions for frame in frames])
    if not unwrapped:
        if not first.pbc.any():
            raise DataError(
                "The frames have no periodic cell, so positions that were wrapped into one cannot be joined; give them "
                "their cell, or say that the positions are unwrapped (--unwrapped)."
            )
        path = unwrap(path, first.cell.array, first.pbc)
    moved = path - path[0]
    if not moved.any():
        raise DataError(f"Nothing moves: all {len(frames)} frames have the same positions.")
    mobile = np.array(first.symbols) == species
    held = ~mobile if not mobile.all() else np.ones(len(first), dtype=bool)
    masses = first.get_masses()[held]
    drift = np.einsum("tad,a->td", moved[:, held], masses) / masses.sum()
    moved = moved - drift[:, np.newaxis]
    volume = float(first.get_volume()) if first.pbc.all() else float("nan")
    return Displacements(moved[:, mobile], moved[:, ~mobile], drift, volume)


def unwrap(positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike) -> Array:
    """Return positions that run on where wrapped ones jump from one face of the cell to the other.

    Parameters
    ----------
    positions
        Å, shape ``(T, N, 3)``.
    cell
        Rows are the lattice vectors, Å, shape ``(3, 3)``.
    pbc
        Directions that are periodic, shape ``(3,)``; nothing is joined along the others.

    Raises
    ------
    DataError
        When an atom moves by more than :data:`AMBIGUOUS` of a lattice vector between two frames, whole vectors aside.

    Notes
    -----
    Positions that were never wrapped come back bit for bit.
    """
    path, vectors = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float)
    periodic = np.asarray(pbc, dtype=bool)
    if not periodic.any():
        return path
    steps = np.diff(path @ _inverse(vectors, periodic), axis=0)
    whole = np.where(periodic, np.round(steps), 0.0)
    left = np.abs(np.where(periodic, steps - whole, 0.0))
    if left.size and left.max() > AMBIGUOUS:
        frame, atom, axis = np.unravel_index(int(left.argmax()), left.shape)
        raise DataError(
            f"Atom {atom} moves by {left.max():.2f} of the cell along lattice vector {axis + 1} between frames {frame} "
            f"and {frame + 1}, so its periodic image is unclear; write frames more often, or say that the positions "
            "are unwrapped already."
        )
    jumps = np.concatenate([np.zeros((1, *whole.shape[1:])), np.cumsum(whole, axis=0)])
    return np.asarray(path - jumps @ vectors)


def squared_displacements(moved: Array, lags: ArrayLike, *, axes: Sequence[int] = (0, 1, 2)) -> Moments:
    """Return the mean squared displacement at each lag, over atoms and all starting times, and how widely it scatters.

    Parameters
    ----------
    moved
        Displacements from the first frame, Å, shape ``(T, n, 3)``.
    lags
        Numbers of frames, each below ``T``, shape ``(L,)``.
    axes
        Which Cartesian directions count.
    """
    path = moved[:, :, list(axes)]
    frames = np.asarray(lags, dtype=int)
    squares = [np.square(path[lag:] - path[:-lag]).sum(axis=-1) for lag in frames]
    return Moments(
        frames, np.array([float(one.mean()) for one in squares]), np.array([float(one.var()) for one in squares])
    )


def collective(moved: Array) -> Array:
    """Return the displacement of all mobile atoms together, divided by √n, Å, shape ``(T, 1, 3)``.

    Its mean square is that of one atom where atoms move independently of each other, and is what the ionic
    conductivity follows from (Einstein's relation for the total dipole).
    """
    return np.asarray(moved.sum(axis=1, keepdims=True) / np.sqrt(moved.shape[1]))


def _inverse(cell: Array, periodic: Array) -> Array:
    """Return the inverse of ``cell``, its rows along directions that are not periodic completed where they are zero."""
    completed = cell.copy()
    for axis in range(3):
        if not periodic[axis] and not cell[axis].any():
            others = [cell[(axis + 1) % 3], cell[(axis + 2) % 3]]
            normal = np.cross(*others)
            completed[axis] = normal / np.linalg.norm(normal) if normal.any() else np.eye(3)[axis]
    if abs(np.linalg.det(completed)) < 1e-8:
        raise DataError("The cell has no volume along a periodic direction; give the frames their cell.")
    return np.asarray(np.linalg.inv(completed))


def _check(frames: Sequence[Atoms], species: str) -> None:
    if len(frames) < FEWEST_FRAMES:
        raise DataError(f"A run has at least {FEWEST_FRAMES} frames, not {len(frames)}.")
    first = frames[0]
    if not is_element(species):
        raise DataError(one_of(species, set(first.symbols), "element"))
    if species not in first.symbols:
        raise DataError(f"There is no {species} in the run; there is: {', '.join(sorted(set(first.symbols)))}.")
    for index, frame in enumerate(frames):
        if len(frame) != len(first) or (frame.numbers != first.numbers).any():
            raise DataError(f"Frame {index} has other atoms than the first, or in another order; give one run a file.")
        if not np.isfinite(frame.positions).all():
            raise DataError(f"Frame {index} has positions that are not finite: the run broke down before it.")
        if np.abs(frame.cell.array - first.cell.array).max() > _SAME_CELL:
            raise DataError(
                f"The cell of frame {index} is not that of the first; displacements need one cell, so run at constant "
                "volume."
            )
