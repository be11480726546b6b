"""Rows of several fidelities: which labels train, on which geometries, and what is held out.

A row is a geometry at one fidelity. Whatever trains on several fidelities gathers its rows here, so that the methods
differ in their models alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rung.data.labels import Labels
from rung.data.stream import PackedRows, pack
from rung.data.structure import Structure, elements_in
from rung.errors import FitError
from rung.fidelity import require_fidelity
from rung.fit.heldout import draw_held_out, has_label, labelled_by
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

    structures: tuple[Structure, ...]
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

    def packed(self, cutoff: float, progress: Progress = SILENT) -> PackedRows:
        """Return the rows with their neighbours within ``cutoff``, Å."""
        return pack(self.structures, self.fidelities, cutoff, known=self.names, progress=progress)


def rows_of(structures: Sequence[Structure], names: Sequence[str]) -> FidelityRows:
    """Return a row for each of ``names`` and each structure that it labels, one fidelity after the other."""
    pairs = [(structure, name) for name in names for structure in labelled_by(structures, name)]
    return FidelityRows(tuple(item for item, _ in pairs), tuple(name for _, name in pairs), tuple(names))


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
) -> list[Structure]:
    """Return the structures with only those labels that ``settings`` let train; no structure is lost."""
    kept = {name: (settings.fidelities or {}).get(name, FidelityLabels()).labels for name in names}
    labels_target = {item.structure_id for item in labelled_by(structures, target)}

    def trains(structure: Structure, name: str) -> bool:
        if name == target or settings.geometries == "all":
            return True
        return (structure.structure_id in labels_target) == (settings.geometries == "paired")

    def of(structure: Structure) -> Mapping[str, Labels]:
        return {
            name: _only(labels, kept[name])
            for name, labels in structure.labels.items()
            if name in kept and trains(structure, name)
        }

    return [replace(structure, labels=of(structure)) for structure in structures]


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

    Raises
    ------
    FitError
        When one of ``names`` labels no structure of ``train``.
    """
    for name in names:
        if not any(has_label(structure, name) for structure in train):
            raise FitError(f"No training structure has a label of {name!r}.")
    if valid:
        return rows_of(train, names), rows_of(valid, names)
    chosen: set[str] = set()
    seen: set[str] = set()
    for index, name in enumerate(names):
        own = {structure.structure_id for structure in labelled_by(train, name)} - seen
        chosen |= draw_held_out(own, fraction, [seed] if index == 0 else [seed, index])
        seen |= own
    kept = [structure for structure in train if structure.structure_id not in chosen]
    held = [structure for structure in train if structure.structure_id in chosen]
    return rows_of(kept, names), rows_of(held, names)


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
