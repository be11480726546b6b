"""Structures that nobody computed: to compare two programs that should give the same energies and forces."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

SPREAD = 0.08
"""Of the displacements, in units of the distance between neighbours."""

STRETCH = 1.15
"""Neighbours stand so many sums of covalent radii apart: within reach, and not on top of one another."""


def trial_structures(elements: Sequence[int], *, seed: int = 0) -> list[Atoms]:
    """Return a cluster, a crystal and a slab of a simple cubic lattice, displaced, with all the elements in turn.

    Parameters
    ----------
    elements
        Atomic numbers; of more than eight, eight of them.
    seed
        Of displacements and of the order of the elements.
    """
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.choice(sorted(elements), size=min(8, len(elements)), replace=False).tolist())
    spacing = 2.0 * STRETCH * max(covalent_radii[number] for number in chosen)
    return [_lattice(chosen, spacing, shape, periodic, rng) for shape, periodic in _SHAPES]


_SHAPES = (((2, 2, 2), (False, False, False)), ((3, 2, 2), (True, True, True)), ((2, 2, 2), (True, True, False)))


def _lattice(
    elements: Sequence[int],
    spacing: float,
    shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    rng: np.random.Generator,
) -> Atoms:
    sites = np.array(list(product(*map(range, shape))), dtype=float)
    numbers = rng.permutation([elements[index % len(elements)] for index in range(len(sites))])
    positions = spacing * (sites + SPREAD * rng.normal(size=sites.shape))
    lengths = [
        spacing * count if repeats else spacing * count + 20.0 for count, repeats in zip(shape, periodic, strict=True)
    ]
    cell = np.diag(lengths) + np.triu(0.1 * spacing * np.ones((3, 3)), 1) * all(periodic)
    return Atoms(numbers, positions=positions, cell=cell, pbc=periodic)
