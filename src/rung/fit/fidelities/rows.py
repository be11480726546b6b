"""Rows of several fidelities: which labels train, on which geometries, and what is held out.

A row is a geometry at one fidelity. Whatever trains on several fidelities gathers its rows here, so that the methods
differ in their models alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.data.frames import StreamedStructures, names_of, places_labelled_by, select
from rung.data.labels import Labels
from rung.data.packing import pack_rows
from rung.data.stream import PackedRows
from rung.data.structure import Structure, elements_in
from rung.errors import FitError
from rung.fidelity import require_fidelity
from rung.fit.fidelities.heldout import draw_held_out, labelled_by
from rung.progress import SILENT, Progress
from rung.settings import Settings

Geometries = Literal["all", "paired", "disjoint"]


class FidelityLabels(Settings):
    """What one fidelity gives a training."""

    labels: Literal["all", "energy", "forces", "energy+forces"] = "all"
    """Which of its labels are learnt; the others are left out of training and validation."""
    absent: Literal["left", "base"] = "left"
    """What stands in for a label of the base's fidelity on a geometry that has none: nothing, or the base's own
    prediction of energy and forces."""


class RowSettings(Settings):
    """Which rows a training on several fidelities learns from."""

    fidelities: dict[str, FidelityLabels] | None = None
    """What each fidelity gives; by default every fidelity of the config gives every label that it has."""
    geometries: Geometries = "all"
    """On which geometries fidelities other than the target train: all; ``paired``, those that the target labels too;
    ``disjoint``, those that it does not."""


@dataclass(frozen=True)
class FidelityRows:
    """Geometries with the fidelity that labels each.

    Parameters
    ----------
    structures, fidelities
        Geometry and fidelity of each row.
    names
        The fidelities, in the order in which ``Batch.fidelity`` counts them.
    """

    structures: Sequence[Structure]
    fidelities: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.structures)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of all rows, ascending."""
        return elements_in(self.structures)

    def count(self, fidelity: str) -> int:
        """Return the number of rows of ``fidelity``."""
        return self.fidelities.count(fidelity)

    def packed(self, cutoff: float, progress: Progress = SILENT, folder: Path | None = None) -> PackedRows:
        """Return the rows with their neighbours within ``cutoff``, Å; those of streamed structures go to ``folder``."""
        return pack_rows(self.structures, self.fidelities, cutoff, names=self.names, folder=folder, progress=progress)


def rows_of(structures: Sequence[Structure], names: Sequence[str]) -> FidelityRows:
    """Return a row for each of ``names`` and each structure that it labels, one fidelity after the other."""
    places = {name: places_labelled_by(structures, name) for name in names}
    fidelities = tuple(name for name, own in places.items() for _ in range(len(own)))
    chosen = select(structures, np.concatenate([np.zeros(0, np.int64), *places.values()]))
    return FidelityRows(tuple(chosen) if isinstance(chosen, list) else chosen, fidelities, tuple(names))


def training_fidelities(
    structures: Sequence[Structure], known: Sequence[str], target: str, settings: RowSettings
) -> tuple[str, ...]:
    """Return the fidelities that train, the target first.

    Raises
    ------
    ConfigError
        When the settings name an unknown fidelity, or fidelities without the target.
    FitError
        When a named fidelity, or the target, labels nothing.
    """
    if settings.fidelities is not None:
        for name in settings.fidelities:
            require_fidelity(name, known)
        require_fidelity(target, settings.fidelities)
        named = tuple(settings.fidelities)
    else:
        named = tuple(name for name in known if name == target or labelled_by(structures, name))
    for name in named:
        if not labelled_by(structures, name):
            raise FitError(f"No training structure has a label of {name!r}.")
    return (target, *(name for name in named if name != target))


def restricted(
    structures: Sequence[Structure], names: Sequence[str], target: str, settings: RowSettings
) -> Sequence[Structure]:
    """Return the structures with only those labels that ``settings`` let train; no structure is lost."""
    kept = {name: (settings.fidelities or {}).get(name, FidelityLabels()).labels for name in names}
    labels_target = set(names_of(labelled_by(structures, target)))

    def trains(structure: Structure, name: str) -> bool:
        if name == target or settings.geometries == "all":
            return True
        return (structure.structure_id in labels_target) == (settings.geometries == "paired")

    def of(structure: Structure) -> Structure:
        labels = {
            name: _only(labels, kept[name])
            for name, labels in structure.labels.items()
            if name in kept and trains(structure, name)
        }
        return replace(structure, labels=labels)

    if isinstance(structures, StreamedStructures):
        return structures.changed(of, repr((sorted(kept.items()), target, settings.geometries)))
    return [of(structure) for structure in structures]


def split_rows(
    train: Sequence[Structure],
    valid: Sequence[Structure],
    names: Sequence[str],
    fraction: float,
    seed: int,
) -> tuple[FidelityRows, FidelityRows]:
    """Return rows to train on and rows to validate on; a geometry is in one of them with all its fidelities.

    Without validation data a random ``fraction`` of the geometries that the first of ``names`` labels is held out, then
    that fraction of what the next labels beside them, and so on: every fidelity is validated, however few its labels.
    What alone has an element is trained on: a new model would not know it.

    Raises
    ------
    FitError
        When one of ``names`` labels no structure of ``train``.
    """
    for name in names:
        if not len(places_labelled_by(train, name)):
            raise FitError(f"No training structure has a label of {name!r}.")
    if valid:
        return rows_of(train, names), rows_of(valid, names)
    chosen: set[str] = set()
    seen: set[str] = set()
    for index, name in enumerate(names):
        own = set(names_of(labelled_by(train, name))) - seen
        chosen |= draw_held_out(own, fraction, [seed] if index == 0 else [seed, index])
        seen |= own
    out = np.array([name in chosen for name in names_of(train)], dtype=bool)
    if not isinstance(train, StreamedStructures):  # of which none stands alone, and each costs reading
        _return_alone(train, out)
    kept, held = select(train, np.flatnonzero(~out)), select(train, np.flatnonzero(out))
    return rows_of(kept, names), rows_of(held, names)


def _return_alone(train: Sequence[Structure], out: NDArray[np.bool_]) -> None:
    """Take structures out of what is held ``out`` whose elements nothing else has."""
    elements = [set(one.atoms.numbers.tolist()) for one in train]
    known = set().union(*(has for has, held in zip(elements, out, strict=True) if not held))
    for place in np.flatnonzero(out):
        out[place] = elements[place] <= known


def _only(labels: Labels, kept: str) -> Labels:
    if kept == "all":
        return labels
    missing = np.full_like(labels.forces, np.nan)
    energy, forces = "energy" in kept, "forces" in kept
    return Labels(
        energy=labels.energy if energy else np.nan,
        energy_stderr=labels.energy_stderr if energy else np.nan,
        forces=labels.forces if forces else missing,
        forces_stderr=labels.forces_stderr if forces else missing,
        stress=np.full(6, np.nan),
    )
