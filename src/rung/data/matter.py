"""Whether a geometry is one that matter can have: asked before neighbours are listed or a model runs."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from rung.data.elements import hint
from rung.data.neighbours import neighbour_lengths, open_axes
from rung.errors import DataError, counted

CLOSEST_IMAGE = 0.5
"""Å: no atom is this near to its own image, so a smaller cell is damaged or not in Å."""

SMALLEST_VOLUME = 0.5
"""Å³ an atom: hydrogen at the centre of Jupiter has more, and lists of neighbours grow with its inverse."""

COINCIDENT = 0.1
"""Å: nuclei that are nearer are one atom twice; those of the shortest molecule, H₂, are 0.74 Å apart."""

BOX = 3.0
"""Å: edge of the boxes in which atoms are counted; small beside any cutoff, and larger than any bond."""

FARTHEST = 1.0e6
"""Å: no atom is this far from the origin; a coordinate beyond it is damage."""


@dataclass(frozen=True)
class Impossible:
    """What no matter has.

    Parameters
    ----------
    code
        What the doctor calls it.
    sentence
        What it is, with the number, and what to look at.
    """

    code: str
    sentence: str


def too_dense(atoms: Atoms) -> Impossible | None:
    """Return why atoms have more neighbours than any matter, from the cell and from counts in boxes of 3 Å.

    It takes a time linear in the atoms, and bounds the list of neighbours: within r Å, no atom that passes has more
    than some 4/3 π r³ / :data:`SMALLEST_VOLUME`.
    """
    pbc = np.asarray(atoms.pbc, dtype=bool)
    if not pbc.any():
        return _crowded(atoms) if len(atoms) * SMALLEST_VOLUME > BOX**3 else None
    vectors = np.array(atoms.cell.array, dtype=float)[pbc]
    content = float(np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)))
    shortest = min(float(np.linalg.norm(vectors, axis=1).min()), content ** (1.0 / len(vectors)))
    if shortest < CLOSEST_IMAGE:
        return Impossible(
            "impossible-cell", f"has a cell that repeats within {shortest:.2g} Å, so atoms lie on their images"
        )
    if len(vectors) == 3 and content < SMALLEST_VOLUME * len(atoms):
        return Impossible("impossible-cell", f"has {content / len(atoms):.2g} Å³ an atom, which no matter has")
    return _crowded(atoms)


def impossible(atoms: Atoms) -> Impossible | None:
    """Return why no matter can be like this: too dense, or two atoms at one place; None where it can."""
    dense = too_dense(atoms)
    if dense is not None:
        return dense
    length, pair = _nearest(atoms)
    if length >= COINCIDENT:
        return None
    one, other = (f"{index} ({chemical_symbols[int(atoms.numbers[index])]})" for index in sorted(pair))
    return Impossible("coincident-atoms", f"has atoms {one} and {other} at one place, {length:.3f} Å apart")


def check_density(atoms: Atoms) -> None:
    """Raise where neighbours must not be listed: there would be millions.

    Raises
    ------
    DataError
        When an atom would lie on its own image, or atoms have too little volume.
    """
    _refuse(atoms, too_dense(atoms), "")


def check_matter(atoms: Atoms, where: str = "") -> None:
    """Raise where no matter can be like this, so that what a model says of it means nothing.

    Parameters
    ----------
    atoms
        The geometry.
    where
        The file and the frame, for the message.

    Raises
    ------
    DataError
        When atoms have too little volume, lie on their images, or two are at one place.
    """
    _refuse(atoms, impossible(atoms), where)


def check_numbers(atoms: Atoms, where: str) -> None:
    """Raise where a geometry is none: no atoms or elements, numbers that are none, or vectors that span no cell.

    Raises
    ------
    DataError
        Begins with ``where``.
    """
    if not len(atoms):
        raise DataError(f"{where} has no atoms.")
    if (atoms.numbers < 1).any():
        symbol = str(atoms.symbols[int(np.argmin(atoms.numbers))])
        raise DataError(f"{where} holds an atom that is no element ({symbol}); {hint(symbol)}.")
    cell = atoms.cell.array
    if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
        raise DataError(f"{where} has a position or cell vector that is not a number.")
    if max(np.abs(atoms.positions).max(), np.abs(cell).max()) > FARTHEST:
        raise DataError(f"{where} has a coordinate beyond {FARTHEST:.0e} Å; the file is damaged or not in Å.")
    if not (atoms.pbc.any() or cell.any()):
        return
    lengths = np.linalg.norm(cell, axis=1)
    if (lengths[atoms.pbc] < 1e-3).any():
        raise DataError(f"{where} is periodic along an axis without a cell vector.")
    spanned = cell[lengths > 0] / lengths[lengths > 0, None]
    if np.linalg.matrix_rank(spanned, tol=1e-6) < len(spanned):
        raise DataError(f"{where} has cell vectors that lie in one plane or line.")


def _refuse(atoms: Atoms, reason: Impossible | None, where: str) -> None:
    if reason is not None:
        name = f"{where}: the structure" if where else "The structure"
        raise DataError(f"{name} {atoms.get_chemical_formula()} {reason.sentence}; is it damaged, or not in Å?")


def _nearest(atoms: Atoms) -> tuple[float, tuple[int, int]]:
    """Return the shortest distance between atoms, Å, and the two; infinite where none are within some COINCIDENT."""
    pairs, length = neighbour_lengths(atoms, 10.0 * COINCIDENT)
    if not len(length):
        return np.inf, (0, 0)
    place = int(np.argmin(length))
    return float(length[place]), (int(pairs[0, place]), int(pairs[1, place]))


def _crowded(atoms: Atoms) -> Impossible | None:
    """Return why atoms are too dense somewhere, from the fullest box of about 3 Å; None where they are not."""
    axes = open_axes(atoms)
    inverse = np.linalg.inv(axes)
    places = np.asarray(atoms.positions, dtype=float) @ inverse
    pbc = np.asarray(atoms.pbc, dtype=bool)
    boxes = np.maximum(1.0, np.floor(1.0 / np.linalg.norm(inverse, axis=0) / BOX))
    boxes[~pbc] = 1.0 / BOX
    places[:, pbc] -= np.floor(places[:, pbc])
    volume = abs(float(np.linalg.det(axes))) / float(boxes.prod())
    if len(atoms) * SMALLEST_VOLUME <= volume:
        return None
    index = np.floor(places * boxes).astype(np.int64)
    most = int(np.unique(index, axis=0, return_counts=True)[1].max())
    if most * SMALLEST_VOLUME <= volume:
        return None
    return Impossible("impossible-density", f"has {counted(most, 'atom')} within {volume:.2g} Å³, which no matter has")
