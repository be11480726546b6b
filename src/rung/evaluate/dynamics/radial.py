"""Radial distribution functions of periodic structures."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

from rung.data.labels import Array


@dataclass(frozen=True)
class RadialDistribution:
    """G(r) of each pair of elements.

    Parameters
    ----------
    distance
        Middle of each bin, Å, shape ``(bins,)``.
    pairs
        ``Mo-S`` and the like → g, shape ``(bins,)``; 1 where there is no order. The density is that of the whole cell:
        the vacuum of a slab counts, so compare only like cells.
    frames
        Structures that were averaged.
    """

    distance: Array
    pairs: dict[str, Array]
    frames: int


def radial_distribution(structures: Iterable[Atoms], *, reach: float = 6.0, bins: int = 120) -> RadialDistribution:
    """Return g(r) averaged over structures of one composition.

    Parameters
    ----------
    structures
        Periodic in all three directions, or with a cell that has a volume; others are left out.
    reach
        Largest distance, Å; it may be longer than the cell.
    bins
        Bins up to it.
    """
    edges = np.linspace(0.0, reach, bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    totals: dict[str, Array] = {}
    frames = 0
    for atoms in structures:
        if not atoms.pbc.any() or atoms.cell.rank < 3:
            continue
        frames += 1
        first, second, distance = neighbor_list("ijd", atoms, reach)
        numbers = atoms.numbers
        for one, two in combinations_with_replacement(sorted({int(number) for number in numbers}), 2):
            chosen = (numbers[first] == one) & (numbers[second] == two)
            expected = (numbers == one).sum() * (numbers == two).sum() / atoms.get_volume() * shells
            found = np.histogram(distance[chosen], edges)[0] / expected
            name = f"{chemical_symbols[one]}-{chemical_symbols[two]}"
            totals[name] = totals.get(name, np.zeros(bins)) + found
    middles = 0.5 * (edges[1:] + edges[:-1])
    return RadialDistribution(middles, {name: total / frames for name, total in totals.items()}, frames)
