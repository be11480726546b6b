"""Which reference energies labels determine: a composition outside the span of theirs has an open one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.data.energy_table import NO_TABLE, EnergyTable
from rung.data.label_rows import label_compositions, telling
from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix, elements_in
from rung.results.references import MOST_FORMULAS, OpenReferences

DETERMINED = "determined_references"
"""Entry of a checkpoint's metadata: :attr:`Determined.metadata`."""

_OUTSIDE = 1e-6
"""Share of a composition outside the span of the labelled ones above which labels do not tell its energy."""


@dataclass(frozen=True)
class Determined:
    """What labels tell of reference energies.

    Parameters
    ----------
    elements
        Atomic numbers of the structures that labels tell of, ascending.
    span
        Orthonormal combinations of these elements whose reference energies labels determine, shape ``(rank, E)``.
    """

    elements: tuple[int, ...]
    span: Array

    @property
    def rank(self) -> int:
        """How many combinations of reference energies labels determine."""
        return len(self.span)

    @property
    def metadata(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"elements": list(self.elements), "span": self.span.tolist()}

    def leaves_open(self, structures: Sequence[Structure]) -> NDArray[np.bool_]:
        """Return whether labels leave the reference energies of each structure's composition open, shape ``(S,)``."""
        counts = composition_matrix(structures, self.elements)
        n_atoms = np.array([len(structure) for structure in structures], dtype=float)
        rest = np.linalg.norm(counts - counts @ self.span.T @ self.span, axis=1)
        unknown = n_atoms - counts.sum(axis=1)
        return np.asarray(np.maximum(rest, unknown) > _OUTSIDE * n_atoms)

    def open_among(self, structures: Iterable[Structure], fidelity: str) -> OpenReferences:
        """Return how many of the energies of ``fidelity`` are of compositions that are open, and of which."""
        first: dict[str, Structure] = {}
        count = Counter[str]()
        for structure in structures:  # which may be streamed: one of each composition stays in memory
            if structure.labelled(fidelity).has_energy:
                first.setdefault(structure.formula, structure)
                count[structure.formula] += 1
        is_open = self.leaves_open(list(first.values()))
        formulas = [formula for formula, away in zip(first, is_open, strict=True) if away]
        return OpenReferences(
            n_open=sum(count[formula] for formula in formulas),
            n_energies=count.total(),
            formulas=tuple(formulas[:MOST_FORMULAS]),
        )


def determined_by(structures: Iterable[Structure], fidelity: str, table: EnergyTable = NO_TABLE) -> Determined:
    """Return what the labels of ``fidelity`` tell of reference energies.

    Parameters
    ----------
    structures
        Those that a fit learns from, labelled or not.
    fidelity
        Whose labels count.
    table
        Labels that are differences of two structures.
    """
    named = table.of(fidelity).subtracted
    told: list[Structure] = []
    seen: set[str] = set()
    for _, structure in telling(structures, fidelity, table):  # which may be streamed: one of each composition is kept
        has_energy = structure.labelled(fidelity).has_energy
        if structure.structure_id in named or (has_energy and structure.formula not in seen):
            told.append(structure)
        if has_energy:
            seen.add(structure.formula)
    elements = elements_in(told)
    rows = np.unique(label_compositions(told, composition_matrix(told, elements), fidelity, table), axis=0)
    if not rows.any():
        return Determined(elements, np.zeros((0, len(elements))))
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    return Determined(elements, np.asarray(directions[sizes > 1e-10 * sizes[0]], dtype=np.float64))


def determined_of(metadata: Mapping[str, Any]) -> Determined | None:
    """Return what a checkpoint says of the labels of its fit; None where it says nothing, as one of an older rung."""
    kept = metadata.get(DETERMINED)
    if not isinstance(kept, Mapping):
        return None
    elements = tuple(int(number) for number in kept["elements"])
    span = np.array(kept["span"], dtype=np.float64).reshape(len(kept["span"]), len(elements))
    return Determined(elements, span)
