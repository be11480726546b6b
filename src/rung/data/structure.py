"""A geometry with the labels that each fidelity gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.labels import Array, Labels, empty_labels
from rung.storage import content_hash


@dataclass(frozen=True)
class Structure:
    """One geometry.

    Parameters
    ----------
    atoms
        Geometry alone: numbers, positions (Å), cell (Å) and periodicity.
    structure_id
        The name of the geometry: it never stands in two splits, whichever fidelity labels it.
    labels
        The labels of each fidelity that labels this geometry.
    info
        What else the frame carried, such as ``kind``; rung only groups by it.
    """

    atoms: Atoms
    structure_id: str
    labels: Mapping[str, Labels]
    info: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.atoms)

    def labelled(self, fidelity: str) -> Labels:
        """Return the labels of ``fidelity``, all absent where there are none."""
        labels = self.labels.get(fidelity)
        return labels if labels is not None else empty_labels(len(self.atoms))

    @cached_property
    def geometry_hash(self) -> str:
        """A hash of numbers, positions, cell and periodicity: equal geometries share cache entries."""
        atoms = self.atoms
        return content_hash(
            np.asarray(atoms.numbers, dtype=np.int64),
            np.asarray(atoms.positions, dtype=np.float64) + 0.0,  # -0.0 and 0.0 are one place
            np.asarray(atoms.cell.array, dtype=np.float64) + 0.0,
            np.asarray(atoms.pbc, dtype=bool),
        )

    @cached_property
    def formula(self) -> str:
        """The composition in Hill order: what structures of one composition share."""
        return str(self.atoms.get_chemical_formula(mode="hill"))


def elements_in(structures: Sequence[Structure]) -> tuple[int, ...]:
    """Return the atomic numbers that occur in ``structures``, sorted."""
    return tuple(sorted({int(number) for structure in structures for number in structure.atoms.numbers}))


def composition_matrix(structures: Sequence[Structure], elements: Sequence[int]) -> Array:
    """Return how many atoms of each element each structure holds, shape ``(S, len(elements))``."""
    return np.array(
        [[np.count_nonzero(structure.atoms.numbers == element) for element in elements] for structure in structures],
        dtype=float,
    ).reshape(len(structures), len(elements))
