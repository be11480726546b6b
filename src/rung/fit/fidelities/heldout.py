"""Which structures a training learns from, and which it stops by."""

from collections.abc import Collection, Sequence

import numpy as np

from rung.data.frames import places_labelled_by, select
from rung.data.structure import Structure

_FEWEST = 5


def has_label(structure: Structure, fidelity: str) -> bool:
    """Return whether ``fidelity`` gives the structure an energy, or forces on some atoms, or a stress."""
    return structure.labelled(fidelity).says_anything


def labelled_by(structures: Sequence[Structure], fidelity: str) -> Sequence[Structure]:
    """Return the structures to which ``fidelity`` gives a label of any kind; streamed ones stay in their files."""
    return select(structures, places_labelled_by(structures, fidelity))


def draw_held_out(names: Collection[str], fraction: float, seed: Sequence[int]) -> set[str]:
    """Return a random ``fraction`` of the names of geometries, at least one.

    Nothing where ``fraction`` is 0 or there are fewer than five.
    """
    ordered = sorted(names)
    count = max(1, round(fraction * len(ordered))) if fraction > 0 and len(ordered) >= _FEWEST else 0
    first, *rest = seed
    generator = np.random.default_rng([first, 0x5EED, *rest])
    return {ordered[index] for index in generator.permutation(len(ordered))[:count]}
