"""Checks of cells and lengths: a cell whose periodicity was lost, and lengths in bohr."""

from collections.abc import Iterator

import numpy as np
from ase.data import covalent_radii
from ase.units import Bohr

from rung.data.labels import Array
from rung.data.matter import impossible
from rung.data.neighbours import Indices, neighbour_lengths, sorted_neighbours
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, ids
from rung.errors import counted
from rung.results.findings import Finding

BONDED = (0.75, 1.2)
"""Of the sum of covalent radii: bonds, and contacts of atoms in metals and salts, lie between."""

AXES = 2
"""Along how many axes atoms must be bonded to images: a molecule in a tight box may be so along one, by accident."""

VALENCE = {1: 1, 6: 4, 7: 4, 8: 3, 9: 1, 15: 4, 16: 4, 17: 1, 35: 1, 53: 1}
"""Most bonds of an atom to these elements, by its number: in a tight box hydrogen meets an image, and has two."""

VOLUME = (4.0, 3000.0)
"""Å³ an atom: diamond at 100 GPa has 4.6, and a box drawn around a molecule mostly less; water in 20 Å has 2,700."""

DRAWN = 1.0e-3
"""Of the cell: atoms that span it along each axis are in a box drawn around them."""

STRETCHED = (1.5, 2.4)
"""Of the sum of covalent radii: where nearest atoms of matter, mostly 0.85 to 1.25 of it apart, lie in bohr."""

NEVER = 1.25
"""The same of the tightest frames in bohr: in Å they reach it nowhere but where bonds are broken."""

NOBLE = frozenset({2, 10, 18, 36, 54, 86})
"""Elements that are bonded to none: their nearest atoms are as far apart in Å as others in bohr."""

LOOKED_AT, ENOUGH = 30, 5
"""At most so many frames of a split are looked at for lengths in bohr, and so many must be there."""


def periodicity_lost(examined: Examined) -> Iterator[Finding]:
    """Find frames that are not periodic, though atoms are bonded across the faces of their cell."""
    for split, members in examined.splits.items():
        open_cells = [*filter(_has_open_cell, members)]
        cut = [structure for structure in open_cells if _is_cut(structure)]
        if 2 * len(cut) > len(open_cells):  # fewer are molecules in tight boxes, some of which look so
            yield finding(
                "warning",
                "periodicity-lost",
                f"{split}: {counted(len(cut), 'frame has', 'frames have')} a cell and no periodicity, though atoms "
                "would be bonded to images "
                f"across its faces: {few(ids(cut))}; is pbc missing? Without it, models do not see these bonds.",
                (split,),
                (),
                ids(cut),
            )


def lengths_in_bohr(examined: Examined) -> Iterator[Finding]:
    """Find splits in which the nearest atoms of all frames are as far apart as they are in bohr."""
    for split, members in examined.bonded.items():
        looked_at = evenly_spread([*filter(_tells_lengths, members)], LOOKED_AT)
        nearest = np.array([_nearest(one) for one in looked_at if not (_has_open_cell(one) and _is_cut(one))])
        nearest = nearest[np.isfinite(nearest)]
        if len(nearest) < ENOUGH:
            continue
        tight, middle = np.quantile(nearest, [0.05, 0.5])
        if tight > NEVER and STRETCHED[0] < middle < STRETCHED[1]:
            yield finding(
                "warning",
                "lengths-bohr",
                f"{split}: nearest atoms are {middle:.2f} times the sum of their covalent radii apart, and "
                f"{nearest.min():.2f} times in the tightest frame, where bonds have about 1; are lengths in bohr? "
                f"Multiply positions and cells by {Bohr:.6f} to have Å.",
                (split,),
            )


def _tells_lengths(structure: Structure) -> bool:
    """Whether bonds can be expected: two atoms are often a curve of dissociation, and so is hydrogen alone."""
    elements = set(structure.atoms.numbers.tolist())
    return NOBLE.isdisjoint(elements) and elements != {1} and (len(structure) > 2 or bool(structure.atoms.pbc.any()))


def _has_open_cell(structure: Structure) -> bool:
    return not structure.atoms.pbc.any() and int(structure.atoms.cell.rank) == 3


def _is_cut(structure: Structure) -> bool:
    """Whether images would join bonds that are cut now, along several axes, and press no atoms together."""
    atoms = structure.atoms.copy()
    atoms.pbc = True
    span = np.ptp(atoms.cell.scaled_positions(atoms.positions), axis=0)
    if not VOLUME[0] < atoms.get_volume() / len(atoms) < VOLUME[1] or (np.abs(span - 1.0) < DRAWN).all():
        return False
    if impossible(atoms) is not None:
        return False
    reach = BONDED[1] * 2.0 * float(covalent_radii[atoms.numbers].max())
    pairs, translation = sorted_neighbours(atoms, reach)
    vectors = atoms.positions[pairs[1]] - atoms.positions[pairs[0]] + translation @ atoms.cell.array
    ratio = _over_radii(structure, pairs, np.linalg.norm(vectors, axis=1))
    bonded = ratio < BONDED[1]
    across = bonded & translation.any(axis=1)
    along = int(translation[across].any(axis=0).sum())
    return along >= AXES and float(ratio[across].min()) > BONDED[0] and not _is_overbonded(structure, pairs[:, bonded])


def _is_overbonded(structure: Structure, bonds: Indices) -> bool:
    """Whether an atom has more bonds than its valence; each bond stands twice."""
    numbers = structure.atoms.numbers
    counted = np.isin(numbers[bonds], list(VALENCE)).all(axis=0)
    counts = np.bincount(bonds[0, counted], minlength=len(numbers))
    return any(count > VALENCE.get(int(number), count) for count, number in zip(counts, numbers, strict=True))


def _nearest(structure: Structure) -> float:
    """Return the median over atoms of the distance to the nearest one, over the sum of covalent radii."""
    radii = covalent_radii[structure.atoms.numbers]
    pairs, length = neighbour_lengths(structure.atoms, STRETCHED[1] * 2.0 * float(radii.max()))
    nearest = np.full(len(structure), np.inf)
    for side in pairs:
        np.minimum.at(nearest, side, _over_radii(structure, pairs, length))
    return float(np.median(nearest))


def _over_radii(structure: Structure, pairs: Indices, length: Array) -> Array:
    radii = covalent_radii[structure.atoms.numbers]
    return np.asarray(length / (radii[pairs[0]] + radii[pairs[1]]))
