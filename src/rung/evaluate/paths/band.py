"""A band of structures and its energies, with any ASE calculator."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rung.data.held import Held
from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.error_bars import UNKNOWN, Bar, ErrorBars
from rung.evaluate.paths.band_folder import frozen
from rung.evaluate.paths.endpoints import (
    check_same_atoms,
    check_same_physics,
    common_shift,
    displacements,
    relative_displacements,
)
from rung.results.barrier import Curve
from rung.results.barrier_task import TaskBarrier

_MIRRORED = 0.01
"""Of the barrier: images slide along a slope by more than the ends differ, so this cannot be tight."""

_TRIAL_SHIFT = np.array([0.37, 0.23, 0.31])
"""Å: a shift after which any field from outside gives another energy."""

_SAME_ENERGY = 1e-3
"""eV."""

_ROUNDING = 1e-6
"""Of a total energy: what float32 leaves of it."""


@dataclass(frozen=True)
class StaticBarrier:
    """Energies along a band whose images stay where they are.

    Parameters
    ----------
    images
        The band, each image with its energy and forces.
    energies
        Total energy of each image, eV, shape ``(images,)``.
    coordinate
        Length of the path up to each image, Å, from 0, shape ``(images,)``.
    barrier
        Energy of the highest image less the first, eV; NaN where a relaxation was asked for and failed.
    reaction
        Energy of the last image less the first, eV; NaN where a relaxation of the ends was asked for and failed.
    saddle
        Index of the highest image.
    stderr
        One-sigma error of each energy less the first, from the fitted weights alone, eV, shape ``(images,)``; NaN
        where the potential has no error bars.
    stderr_total
        The same with the model's own error, eV, shape ``(images,)``.
    notes
        What the reader of the number should know, such as that the highest image is an end.
    """

    images: tuple[Atoms, ...]
    energies: Array
    coordinate: Array
    barrier: float
    reaction: float
    saddle: int
    stderr: Array
    stderr_total: Array
    notes: tuple[str, ...] = ()

    @property
    def at_end(self) -> bool:
        """Whether the highest image is an end: there is no barrier on this path."""
        return self.saddle in (0, len(self.images) - 1)

    @property
    def reverse_barrier(self) -> float:
        """Energy of the highest image less the last, eV."""
        return self.barrier - self.reaction

    @property
    def bar(self) -> Bar:
        """The error of ``barrier``; NaN where the potential has no error bars."""
        return Bar(float(self.stderr[self.saddle]), float(self.stderr_total[self.saddle]))

    def curve(self, name: str) -> Curve:
        """Return this band as one of the curves of ``barrier.json``."""
        finite = bool(np.isfinite(self.stderr).all())
        return Curve(
            name=name,
            coordinate=self.coordinate,
            energies=self.energies - self.energies[0],
            stderr=self.stderr if finite else None,
            stderr_total=self.stderr_total if finite else None,
        )

    def entry(self, name: str, *notes: str) -> TaskBarrier:
        """Return this barrier as one of the barriers of ``barrier.json``, with further ``notes``."""
        return TaskBarrier(
            name=name,
            value=self.barrier,
            reaction=self.reaction,
            stderr=self.bar.weights,
            stderr_total=self.bar.total,
            notes=(*self.notes, *notes),
        )


def static_barrier(images: Sequence[Atoms], calculator: Any, *, error_bars: ErrorBars | None = None) -> StaticBarrier:
    """Return energies along a band as it is, and the highest less the first.

    Parameters
    ----------
    images
        At least three structures of the same atoms in one order and one cell.
    calculator
        Any ASE calculator with energies and forces.
    error_bars
        Those of the potential: they give the error of each energy less the first.

    Raises
    ------
    DataError
        When there are fewer than three images, they do not match, or an energy is not finite.
    """
    if len(images) < 3:
        raise DataError(f"A band has at least three images, not {len(images)}.")
    for index, image in enumerate(images[1:], start=1):
        check_same_atoms(images[0], image, ("first", f"number {index}"))
        check_same_physics(images[0], image, ("first", f"number {index}"))
    band = [evaluated(image, calculator) for image in images]
    drifts = any(common_shift(one, two).any() for one, two in pairwise(band))
    measured = measured_band(band, error_bars, rigid=drifts and not shifts_freely(band[0], calculator))
    broken = np.flatnonzero(~np.isfinite(measured["energies"]))
    if len(broken):
        raise DataError(f"The energy of image {int(broken[0])} of the band is not finite.")
    return StaticBarrier(**measured)


class OneImage(Calculator):
    """A calculator of one image that asks a shared one and remembers the answer.

    ASE's optimisers ask for the forces of a band three times a step; a calculator that is shared remembers the last
    image only, so every image would be computed three times.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, shared: Any) -> None:
        super().__init__()
        self._shared = shared

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute energy and forces with the shared calculator."""
        super().calculate(atoms, properties, system_changes)
        image = self.atoms.copy()
        self.results = {
            "energy": float(self._shared.get_potential_energy(image)),
            "forces": np.array(self._shared.get_forces(image), dtype=float),
        }


def evaluated(image: Atoms, calculator: Any) -> Atoms:
    """Return a copy of ``image`` that carries its energy and forces, computed unless they are known already."""
    copy = image.copy()
    copy.calc = image.calc if isinstance(image.calc, OneImage) else OneImage(calculator)
    return frozen(copy)


def shifts_freely(image: Atoms, calculator: Any) -> bool:
    """Return whether a shift of all atoms changes no energy: nothing outside holds them.

    Parameters
    ----------
    image
        With its energy known, or cheap to ask for.
    calculator
        Any ASE calculator.
    """
    onto = Held.of(image).shifts
    moved = image.copy()
    moved.set_constraint()
    moved.positions += (_TRIAL_SHIFT @ onto.T) @ onto
    before, after = float(image.get_potential_energy()), float(calculator.get_potential_energy(moved))
    return abs(after - before) < max(_SAME_ENERGY, _ROUNDING * abs(before))


def measured_band(band: list[Atoms], error_bars: ErrorBars | None, *, rigid: bool = True) -> dict[str, Any]:
    """Return the fields of a :class:`StaticBarrier`.

    Parameters
    ----------
    band
        Images with energies.
    error_bars
        Those of the potential.
    rigid
        Whether a shift of all atoms counts as a way: where something outside holds them, or the images do not drift.
    """
    energies = np.array([image.get_potential_energy() for image in band], dtype=float)
    way = displacements if rigid else relative_displacements
    lengths = [float(np.linalg.norm(way(one, two))) for one, two in pairwise(band)]
    saddle = int(np.argmax(energies))
    bars = [UNKNOWN] * len(band)
    if error_bars is not None:
        bars = [Bar(0.0, 0.0), *(error_bars.difference(image, band[0]) for image in band[1:])]
    return {
        "images": tuple(band),
        "energies": energies,
        "coordinate": np.concatenate([[0.0], np.cumsum(lengths)]),
        "barrier": float(energies[saddle] - energies[0]),
        "reaction": float(energies[-1] - energies[0]),
        "saddle": saddle,
        "stderr": np.array([bar.weights for bar in bars]),
        "stderr_total": np.array([bar.total for bar in bars]),
        "notes": _notes(energies, saddle),
    }


def _mirrored(energies: Array) -> bool:
    """Return whether each image has the energy of its mirror image within a hundredth of the barrier."""
    height = float(energies.max() - energies[0])
    return len(energies) > 3 and bool(np.abs(energies - energies[::-1]).max() < _MIRRORED * height)


def _notes(energies: Array, saddle: int) -> tuple[str, ...]:
    notes = []
    if saddle in (0, len(energies) - 1):
        notes.append("The highest image is an end of the band: there is no barrier between the ends on this path.")
    elif _mirrored(energies):
        notes.append(
            "The path is symmetric: each image has the energy of its mirror image, so the middle is the saddle and "
            "half of the path would do."
        )
    inner = energies[1:-1]
    low = [index + 1 for index in range(1, len(inner) - 1) if inner[index] < min(inner[index - 1], inner[index + 1])]
    if low:
        notes.append(
            f"The band has a minimum of its own at image {low[0]}; the barrier is that of the highest image, and each "
            "part deserves a band of its own."
        )
    return tuple(notes)
