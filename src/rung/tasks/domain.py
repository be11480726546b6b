"""Which bar of a barrier holds: inside the domain of a fit the total one, outside an envelope of bounds, or none.

Outside, a bar from the labels says nothing: no label is near. What the base errs on its own level at such structures
does, and it is cheap to find: single points of the low level, or a committee of bases that differ in their seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from rung.data.readers.structures import read_structures, require_possible, write_structures
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.paths.band import StaticBarrier
from rung.evaluate.paths.endpoints import displacements
from rung.model.standing import NOT_KEPT, Standing, standing
from rung.results.barrier_task import TaskBarrier
from rung.results.domain import FramesDomain
from rung.settings import Settings
from rung.tasks.opened import Opened

FRAMES = "low-frames.extxyz"
"""The images of a band that leaves the domain, without labels: those to compute at the low level."""

ROWS = 16
"""Structures whose features are in memory at a time."""

MOST_FRAMES = 400
"""Frames of dynamics that are looked at: enough to see when they leave, little enough to wait for."""

SAME_PLACE = 1e-3
"""Å: how far atoms of one structure may lie apart in two files."""


class EnvelopeSettings(Settings):
    """What tells how far a barrier outside the domain may be off."""

    low_labels: Path | None = None
    """A file with images of the band and energies of the base's fidelity: how much the base errs on its own level."""
    low: str | None = None
    """The base's fidelity; by default the other one that the model and the file share."""
    committee: Path | None = None
    """A folder of ``rung committee``: how much bases of the low level that differ in their seed disagree."""


@dataclass(frozen=True)
class Spread:
    """By how much energies along a band are known to be off.

    Parameters
    ----------
    size
        eV; NaN where it is not known.
    reason
        What it is, or why it is not known, as part of a sentence.
    """

    size: float
    reason: str


class Evidence(Protocol):
    """What tells how far the potential may be off along a band."""

    def along(self, images: Sequence[Atoms], saddle: int, potential: Opened) -> Spread:
        """Return by how much energies less the first are off; the image number ``saddle`` is among those compared."""


@dataclass(frozen=True)
class LowLabels:
    """Energies of the base's level at images of bands: what the base errs there on what it was trained on.

    Parameters
    ----------
    file
        Where they were read.
    structures
        Of it.
    fidelity
        The base's; None takes the one that file and model share.
    """

    file: Path
    structures: Sequence[Structure]
    fidelity: str | None

    def along(self, images: Sequence[Atoms], saddle: int, potential: Opened) -> Spread:
        """Return the largest error of the base at an image, of its energy less that of the first image."""
        low = self.level(potential)
        base = potential.at(low)
        errors = {}
        for index, image in enumerate(images):
            label = self._label(image, low)
            if label is not None:
                errors[index] = float(base.get_potential_energy(image.copy())) - label
        missing = [name for name, index in (("first", 0), ("highest", saddle)) if index not in errors]
        if missing:
            return Spread(np.nan, f"{self.file} has no {low} energy of the {' and the '.join(missing)} image")
        size = max(abs(error - errors[0]) for error in errors.values())
        return Spread(size, f"the base errs by {size:.3f} eV on its own level, {low}, along this band")

    def level(self, potential: Opened) -> str:
        """Return the fidelity of the base.

        Raises
        ------
        ConfigError
            When it is not told and not clear, or the model or the file do not have it.
        """
        if len(potential.offered) < 2:
            raise ConfigError(
                f"{potential.source} offers {potential.fidelity} alone and no base to hold against {self.file}; give "
                "bases of other seeds with --committee."
            )
        labelled = {name for structure in self.structures for name in structure.labels}
        shared = sorted(labelled & set(potential.offered) - {potential.fidelity})
        if self.fidelity is None and len(shared) == 1:
            return shared[0]
        if self.fidelity in labelled and self.fidelity in potential.offered:
            return str(self.fidelity)
        raise ConfigError(
            f"{self.file} has energies of {', '.join(sorted(labelled)) or 'no fidelity'} and {potential.source} offers "
            f"{', '.join(potential.offered)}: name the base's fidelity, which both have, with --low."
        )

    def _label(self, image: Atoms, low: str) -> float | None:
        for structure in self.structures:
            label = structure.labelled(low)
            if label.has_energy and _same(structure.atoms, image):
                return float(label.energy)
        return None


@dataclass(frozen=True)
class Committee:
    """Bases that differ in their seed: how much they disagree.

    Parameters
    ----------
    members
        Calculators of one level, at least two.
    """

    members: Sequence[Any]

    def along(self, images: Sequence[Atoms], saddle: int, potential: Opened) -> Spread:
        """Return the largest range of the members' energies at an image, less those of the first image."""
        del saddle, potential
        energies = np.array(
            [[float(one.get_potential_energy(image.copy())) for image in images] for one in self.members]
        )
        apart = energies - energies[:, :1]
        size = float(np.ptp(apart, axis=0).max())
        return Spread(size, f"{len(self.members)} bases of other seeds differ by up to {size:.3f} eV along this band")


def evidence_of(settings: EnvelopeSettings) -> tuple[Evidence, ...]:
    """Read what tells how far a barrier outside the domain may be off.

    Raises
    ------
    DataError
        When a file cannot be read or has no energies, or a committee is no committee.
    """
    evidence: list[Evidence] = []
    if settings.low_labels is not None:
        structures = read_structures(settings.low_labels)
        for structure in structures:
            require_possible(structure)
        if not any(label.has_energy for structure in structures for label in structure.labels.values()):
            raise DataError(f"{settings.low_labels} has no energies: give energies of the base's level, <low>_energy.")
        evidence.append(LowLabels(settings.low_labels, structures, settings.low))
    if settings.committee is not None:
        evidence.append(Committee(_members(settings.committee)))
    return tuple(evidence)


def _members(folder: Path) -> list[Any]:
    """Return the calculators of a committee at the level that they were trained on."""
    # torch takes seconds to import, and --help is quick
    from rung.calculator import RungCalculator  # noqa: PLC0415
    from rung.checkpoint import load  # noqa: PLC0415

    checkpoints = [load(path) for path in sorted(folder.glob("*/model.rung"))]
    levels = sorted({str(checkpoint.metadata.get("target")) for checkpoint in checkpoints})
    if len(checkpoints) < 2 or len(levels) != 1:
        raise DataError(
            f"{folder} is no committee: it holds {counted(len(checkpoints), 'finished model')} of "
            f"{', '.join(levels) or 'no level'} in its folders, and two or more of one level are needed."
        )
    return [RungCalculator(checkpoint, fidelity=levels[0]) for checkpoint in checkpoints]


def standing_of(potential: Opened, structures: Mapping[str, Atoms]) -> Standing:
    """Return whether named structures are inside the domain of the fit of ``potential``."""
    bars = potential.error_bars
    if bars is None:
        return Standing(())
    named = list(structures.items())
    parts = [named[start : start + ROWS] for start in range(0, len(named), ROWS)]
    return standing(
        pair
        for part in parts
        for pair in zip((name for name, _ in part), bars.places([atoms for _, atoms in part]), strict=True)
    )


@dataclass(frozen=True)
class Frame:
    """A frame of dynamics: what it is called, its time in ps, and its atoms."""

    name: str
    time: float
    atoms: Atoms


def domain_of_frames(potential: Opened, frames: Sequence[Frame], *, inside: str, outside: str) -> FramesDomain | None:
    """Return how many frames are outside the domain of the fit of ``potential``; None where it has no error bars.

    Parameters
    ----------
    potential
        What moved the atoms.
    frames
        In order of time; at most ``MOST_FRAMES`` of them, evenly spread, are looked at.
    inside, outside
        What holds where all are inside, and where some are not: the end of a sentence without its full stop.
    """
    if potential.error_bars is None:
        return None
    chosen = evenly_spread(frames, MOST_FRAMES)
    numbers = standing_of(potential, {frame.name: frame.atoms for frame in chosen}).numbers(
        "frames", inside=inside, outside=outside
    )
    times = [frame.time for frame in chosen if frame.name == numbers.first]
    return FramesDomain(**numbers.as_json(), first_ps=min(times, default=np.nan))


def judged(
    entry: TaskBarrier, band: StaticBarrier, potential: Opened, evidence: Sequence[Evidence], frames: Path
) -> TaskBarrier:
    """Return a barrier with the verdict on its bar: inside or outside the domain, which bar to quote, and why.

    Parameters
    ----------
    entry
        The barrier.
    band
        Where it was found.
    potential
        What gave it.
    evidence
        What tells how far it may be off outside.
    frames
        The file with the band's images, for labels of the low level.
    """
    if potential.error_bars is None or not np.isfinite(entry.value):
        return entry
    where = standing_of(potential, {"highest image": band.images[band.saddle], "first image": band.images[0]})
    total = f"± {entry.stderr_total:.3f} eV (total)"
    if where.domain == "unknown":
        return entry.model_copy(
            update={
                "quoted": "total",
                "verdict": f"Quote {total}, but it is unknown whether the highest image is inside the domain: "
                + NOT_KEPT,
            }
        )
    if where.domain == "inside":
        return entry.model_copy(
            update={
                "domain": "inside",
                "quoted": "total",
                "verdict": f"Inside the domain: quote {total}. No atom is farther than {where.distance:.1f} spreads "
                f"from the nearest training environment (limit {where.limit:.1f}).",
            }
        )
    spreads = [one.along(band.images, band.saddle, potential) for one in evidence]
    return _outside(entry, where.reasons, spreads, _what_to_do(potential, frames))


def _what_to_do(potential: Opened, frames: Path) -> str:
    """Return how the base's own error is found: a model of one fidelity has no base to compute beside its labels."""
    committee = "bases of other seeds with --committee"
    if len(potential.offered) < 2:
        return f"Give {committee}."
    return f"Compute {frames} at the base's level and give it with --low-labels, or give {committee}."


def _outside(entry: TaskBarrier, reasons: Sequence[str], spreads: Sequence[Spread], what_to_do: str) -> TaskBarrier:
    why = f"Outside the domain ({'; '.join(reasons)}). "
    known = [spread for spread in spreads if np.isfinite(spread.size)]
    said = "; ".join(spread.reason for spread in spreads)
    if not known or not np.isfinite(entry.stderr_total):
        how = f"{why}No error bar holds here and no bounds are known{f' ({said})' if said else ''}. {what_to_do}"
        return entry.model_copy(update={"domain": "outside", "quoted": "none", "verdict": how})
    width = max(spread.size for spread in known) + 2 * entry.stderr_total
    low, high = entry.value - width, entry.value + width
    how = (
        f"{why}Quote the bounds {low:.3f} to {high:.3f} eV, not ± {entry.stderr_total:.3f} eV: they are two total bars "
        f"and what is known of the base ({said})."
    )
    return entry.model_copy(update={"domain": "outside", "quoted": "bounds", "low": low, "high": high, "verdict": how})


def write_frames(path: Path, images: Sequence[Atoms]) -> None:
    """Write the images of a band without labels, each with its ``structure_id``, to compute at the low level."""
    write_structures(path, [Structure(image.copy(), f"image-{index:03d}", {}) for index, image in enumerate(images)])


def _same(one: Atoms, other: Atoms) -> bool:
    return bool(
        np.array_equal(one.numbers, other.numbers)
        and np.allclose(one.cell.array, other.cell.array, atol=SAME_PLACE)
        and np.abs(displacements(one, other)).max(initial=0.0) < SAME_PLACE
    )
