"""``barrier.json`` as ``rung barrier`` writes it: panels with more of each barrier than a figure needs."""

from math import nan
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from rung.results.barrier import BarrierEntry, Panel
from rung.results.base import DomainWord, Entry, Number, Numbers, entries_of, equally_long
from rung.storage import read_json


class BandSize(Entry):
    """A band on the way to more images."""

    images: int
    """Its images, both ends counted."""
    barrier: Number
    """eV; null where it did not converge."""


class Draws(Entry):
    """The band relaxed again on draws from the posterior."""

    barriers: Numbers
    """Of each draw, eV; null where the band did not relax."""
    reactions: Numbers
    """Energy of the last image less the first on each draw, eV."""
    n: int
    """How many draws."""
    n_converged: int
    """On how many the band relaxed."""
    stderr: Number
    """Standard deviation of the barriers, eV; null where fewer than half relaxed."""
    reaction_stderr: Number
    """The same of the reaction energies, eV."""
    reasons: tuple[str, ...]
    """Why a band did not relax, a sentence each."""


class Modes(Entry):
    """The harmonic modes of a structure."""

    wavenumbers: Numbers
    """cm⁻¹, imaginary ones negative, rising."""
    n_imaginary: int
    """How many are clearly imaginary."""
    n_rigid: int
    """Whole shifts and turns that were taken out."""
    zero_point_energy: Number
    """Half a quantum of each mode that is not imaginary, eV."""


class Rate(Entry):
    """The harmonic rate over a barrier at one temperature."""

    temperature: Number
    """K."""
    prefactor: Number
    """Vineyard's, 1/s."""
    rate: Number
    """Classical, 1/s."""
    quantum_rate: Number
    """With quantised modes at both ends, without tunnelling, 1/s."""
    factor: Number
    """By what the rates may be multiplied or divided for one standard error of the barrier; null where it has none."""


class TaskBarrier(BarrierEntry):
    """A barrier of ``rung barrier``: of a relaxed band, of a fixed one, or of single energies."""

    bias: Number = nan
    """By how much the value is too high on average, for noise, eV; of single energies alone."""
    degree: int | None = None
    """Degree of the polynomial through single energies."""
    chi2: Number = nan
    """Misfit of that polynomial for each degree of freedom."""
    stderr_first_order: Number = nan
    """The error from the weights at the relaxed geometry, eV; of relaxed bands alone, as all that follows."""
    stderr_total_first_order: Number = nan
    """The same with the model's own error, eV."""
    reverse: Number = nan
    """Energy of the highest image less the last, eV."""
    converged: bool = True
    """Whether ends and band relaxed."""
    reason: str = ""
    """Why not; empty where they did."""
    steps: int | None = None
    """Steps that the band took in the last call."""
    max_force: Number = nan
    """Largest force on an atom of the band at the end, eV/Å."""
    images: tuple[BandSize, ...] = ()
    """The bands on the way, the last one last."""
    draws: Draws | None = None
    """Bands on posterior draws; null without."""
    start_modes: Modes | None = None
    """Modes of the start; null where they were not asked for."""
    saddle_modes: Modes | None = None
    """Modes of the highest image; null where they were not asked for."""
    rates: tuple[Rate, ...] = ()
    """One a temperature."""
    domain: DomainWord = "unknown"
    """Whether the highest and the first image are like training structures."""
    quoted: Literal["total", "bounds", "none"] = "none"
    """Which bar holds: the total one, the bounds, or none."""
    low: Number = nan
    """The least that the barrier may be, outside the domain, eV; null where no bounds are known or needed."""
    high: Number = nan
    """The most, likewise."""
    verdict: str = ""
    """Which bar to quote and why, in sentences; empty without error bars."""


class Points(Entry):
    """Single energies along a band."""

    name: str
    """What they are."""
    coordinate: Numbers
    """Length of the path up to each, Å."""
    energies: Numbers
    """Less the first, eV."""
    stderr: Numbers
    """One-sigma errors, eV."""

    @model_validator(mode="after")
    def _one_number_a_point(self) -> Self:
        return equally_long(self, "coordinate", "energies", "stderr")


class TaskPanel(Panel):
    """One figure of ``rung barrier``."""

    kind: Literal["relaxed", "fixed", "energies"] = "fixed"
    """Relaxed bands, a band as it is, or single energies along a band."""
    points: Points | None = None
    """The single energies."""
    barriers: tuple[TaskBarrier, ...]
    """The barriers, those of the curves first."""


def read_task_panels(path: Path) -> tuple[TaskPanel, ...]:
    """Read the ``barrier.json`` of a task.

    Raises
    ------
    StorageError
        When it is absent or does not hold a list of panels: one sentence with the path and the key.
    """
    return entries_of(TaskPanel, read_json(Path(path)), str(path))
