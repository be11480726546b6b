"""Frames in which no atom has a neighbour: single atoms, as many training sets hold them for reference energies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rung.data.batch import neighbours
from rung.data.frames import StreamedStructures, select
from rung.data.structure import Structure

Use = Literal["leave_out", "fit"]
"""What a fit does with single atoms."""

MARK, MARKED = "config_type", "isolatedatom"
"""The key of ``info`` that names kinds of frames, and the kind: how mace-torch and others mark single atoms."""


@dataclass(frozen=True)
class SingleAtoms:
    """Which frames are single atoms, and whether a fit takes them.

    An energy of few atoms has a small model error, which grows with their number: among others, such a frame decides
    reference energies almost alone, and it says nothing of how atoms act on one another.

    Parameters
    ----------
    cutoff
        Å; two atoms within it are neighbours. Infinite where no model says how far it sees.
    use
        Whether a fit leaves them out.
    """

    cutoff: float = np.inf
    use: Use = "leave_out"

    def holds(self, structure: Structure) -> bool:
        """Return whether no atom of ``structure`` has a neighbour, or it is one atom that its file marks as such."""
        if len(structure) == 1 and _marked(structure):
            return True
        atoms = structure.atoms
        if _least_known_distance(structure) < self.cutoff:
            return False
        return not np.isfinite(self.cutoff) or not neighbours(atoms, self.cutoff)[0].size

    def places(self, structures: Sequence[Structure]) -> list[int]:
        """Return the indices of the single atoms among ``structures``."""
        return [k for k, structure in enumerate(structures) if self.holds(structure)]

    def for_fit(self, structures: Sequence[Structure]) -> Sequence[Structure]:
        """Return what a fit takes of ``structures``, in order; streamed structures are read once and stay in files."""
        if self.use == "fit":
            return structures
        out = set(self.places(structures))
        if not out:
            return structures
        kept = select(structures, [k for k in range(len(structures)) if k not in out])
        return kept if isinstance(kept, StreamedStructures) else tuple(kept)


def _marked(structure: Structure) -> bool:
    letters = [letter for letter in str(structure.info.get(MARK, "")).lower() if letter.isalpha()]
    return "".join(letters) == MARKED


def _least_known_distance(structure: Structure) -> float:
    """Return a distance between neighbours that costs nothing to find, Å: the least is at most so large."""
    atoms = structure.atoms
    steps = np.diff(atoms.positions[:SEEN], axis=0)
    vectors = np.concatenate([atoms.cell.array[atoms.pbc], steps])
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).min(initial=np.inf)))


SEEN = 20
"""Atoms whose distances to the next in order are taken: files mostly list bonded atoms one after the other."""
