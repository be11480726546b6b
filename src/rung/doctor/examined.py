"""What the checks look at: the splits, and what the base predicts for a few of their structures."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from rung.data.batch import by_count
from rung.data.energy_table import NO_TABLE, EnergyTable
from rung.data.labels import Array
from rung.data.matter import Impossible, impossible
from rung.data.single_atoms import SingleAtoms
from rung.data.splits import Overlap, evenly_spread, overlaps
from rung.data.structure import Structure, elements_in
from rung.fidelity import require_fidelity
from rung.model.predictions import predict_structures
from rung.model.protocols import Potential
from rung.progress import Progress

T = TypeVar("T")

SAMPLE = 30
"""How many structures the base predicts forces for: enough for an error of a tenth, little enough to wait for."""

ENERGIES = 300
"""At most so many energies does the base predict for targets that have no label of its fidelity beside them."""

ROWS = 8
"""Structures a batch."""


@dataclass(frozen=True)
class BasePrediction:
    """What the base predicts for one structure.

    Parameters
    ----------
    split
        Where the structure stands.
    structure
        The structure.
    energy
        eV.
    forces
        eV/Å, shape ``(n, 3)``.
    stress
        eV/Å³, shape ``(6,)``, NaN without volume.
    """

    split: str
    structure: Structure
    energy: float
    forces: Array
    stress: Array


@dataclass(frozen=True)
class Examined:
    """All that a check may look at.

    Parameters
    ----------
    splits
        The structures by split.
    target
        The fidelity that a fit would lift to; None where none was named.
    base
        The potential to lift; None where there is none.
    base_fidelity
        The fidelity that the base was trained on; None where it was not named.
    predictions
        What the base predicts for a sample of structures, spread evenly over each split.
    base_energies
        eV by ``geometry_hash``: the sample, and the structures whose energies have no other to stand against.
    single_atoms
        Which frames are single atoms, and whether a fit takes them.
    table
        Differences of energies, and errors that energies share; its energies are labels of the structures.
    teacher
        The split that a fit learns from; None for the first.
    """

    splits: Mapping[str, tuple[Structure, ...]]
    target: str | None = None
    base: Potential | None = None
    base_fidelity: str | None = None
    predictions: tuple[BasePrediction, ...] = ()
    base_energies: Mapping[str, float] = field(default_factory=dict)
    single_atoms: SingleAtoms = field(default_factory=SingleAtoms)
    table: EnergyTable = NO_TABLE
    teacher: str | None = None
    _answers: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, question: Hashable, answer: Callable[[], T]) -> T:
        """Return what ``answer`` returns; what two checks ask alike is computed once."""
        if question not in self._answers:
            self._answers[question] = answer()
        known: T = self._answers[question]
        return known

    @cached_property
    def fidelities(self) -> tuple[str, ...]:
        """Every fidelity that some structure carries keys of, sorted."""
        return tuple(sorted({name for structure in self.structures for name in structure.labels}))

    @cached_property
    def structures(self) -> tuple[Structure, ...]:
        """The structures of all splits."""
        return tuple(structure for members in self.splits.values() for structure in members)

    @cached_property
    def bonded(self) -> Mapping[str, tuple[Structure, ...]]:
        """The structures of each split without its single atoms."""
        lonely = {split: {id(one) for one in members} for split, members in self.alone.items()}
        return {
            split: tuple(one for one in members if id(one) not in lonely[split])
            for split, members in self.splits.items()
        }

    @property
    def teaches(self) -> str:
        """The split that a fit learns from; empty where there is no split."""
        return next(iter(self.splits), "") if self.teacher is None else self.teacher

    @property
    def judged(self) -> tuple[str, ...]:
        """The fidelities whose labels a fit would learn: the target, or all where there is none."""
        return tuple(self.fidelities) if self.target is None else (self.target,)

    @property
    def fitted(self) -> Mapping[str, tuple[Structure, ...]]:
        """The structures of each split that a fit would take."""
        return self.splits if self.single_atoms.use == "fit" else self.bonded

    @cached_property
    def alone(self) -> Mapping[str, tuple[Structure, ...]]:
        """The single atoms of each split: frames in which no atom has a neighbour."""
        found = {split: self.single_atoms.places(members) for split, members in self.splits.items()}
        return {split: tuple(self.splits[split][k] for k in places) for split, places in found.items()}

    @cached_property
    def overlaps(self) -> tuple[Overlap, ...]:
        """The structures that stand in two splits, by name or by geometry."""
        return overlaps(self.splits)

    @cached_property
    def impossible(self) -> Mapping[int, Impossible]:
        """Why no matter can be like a structure, by :func:`id` of those of which that is so."""
        reasons = {id(structure): impossible(structure.atoms) for structure in self.structures}
        return {key: reason for key, reason in reasons.items() if reason is not None}

    def labelled(self) -> Iterator[tuple[str, str, tuple[Structure, ...]]]:
        """Yield each split and fidelity with the structures of the split that carry keys of the fidelity."""
        for split, members in self.splits.items():
            for fidelity in self.fidelities:
                carrying = tuple(structure for structure in members if fidelity in structure.labels)
                if carrying:
                    yield split, fidelity, carrying

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """The fidelities, the base's first and the target last."""
        rank = {self.base_fidelity: 0, self.target: 2}
        return tuple(sorted(self.fidelities, key=lambda name: (rank.get(name, 1), name)))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each pair of fidelities once, in order."""
        yield from combinations(self.ordered, 2)


def consult(
    splits: Mapping[str, Sequence[Structure]],
    target: str | None,
    base: Potential,
    base_fidelity: str,
    progress: Progress,
    table: EnergyTable = NO_TABLE,
) -> tuple[tuple[BasePrediction, ...], dict[str, float]]:
    """Predict forces of a sample with the base, and the energies that no other label can be compared with."""
    require_fidelity(base_fidelity, base.fidelities)
    candidates = {
        split: [structure for structure in members if base.elements.issuperset(elements_in([structure]))]
        for split, members in splits.items()
    }
    per_split = max(1, SAMPLE // max(1, len(candidates)))
    sample = [
        (split, structure) for split, members in candidates.items() for structure in evenly_spread(members, per_split)
    ]
    seen = {structure.geometry_hash for _, structure in sample}
    subtracted = table.subtracted
    alone = [
        structure
        for members in candidates.values()
        for structure in members
        if (structure.structure_id in subtracted or _needs_energy(structure, target, base_fidelity))
        and structure.geometry_hash not in seen
    ]
    alone = evenly_spread(alone, ENERGIES)
    with progress.task("predictions of the base", len(sample) + len(alone)) as task:
        predictions: list[BasePrediction] = []
        for rows in by_count(sample, ROWS):
            predictions += _predict(base, base_fidelity, rows)
            task.advance(len(rows))
        energies = {one.structure.geometry_hash: one.energy for one in predictions}
        others = predict_structures(base, by_count(alone, ROWS), base_fidelity, forces=False)
        for structure, prediction in zip(alone, others, strict=True):
            energies[structure.geometry_hash] = prediction.energy
            task.advance()
    return tuple(predictions), energies


def _needs_energy(structure: Structure, target: str | None, base_fidelity: str) -> bool:
    if structure.labelled(base_fidelity).has_energy:
        return False
    named = (target,) if target is not None else tuple(structure.labels)
    return any(structure.labelled(name).has_energy for name in named)


def _predict(base: Potential, fidelity: str, rows: Sequence[tuple[str, Structure]]) -> list[BasePrediction]:
    structures = [structure for _, structure in rows]
    labelled = any(label.has_stress for structure in structures for label in structure.labels.values())
    predictions = predict_structures(base, [structures], fidelity, stress=labelled)
    return [
        BasePrediction(
            split, structure, one.energy, _or_absent(one.forces, (len(structure), 3)), _or_absent(one.stress, (6,))
        )
        for (split, structure), one in zip(rows, predictions, strict=True)
    ]


def _or_absent(values: Array | None, shape: tuple[int, ...]) -> Array:
    return np.full(shape, np.nan) if values is None else values
