"""``md.json``: a run of dynamics, what its samples say, and whether it was stable."""

from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from rung.results.base import Atoms, Entry, Number, Numbers, Result, equally_long
from rung.results.domain import FramesDomain
from rung.results.settings import SettingsEntry

MD_FILE = "md.json"


class RunStatistics(Entry):
    """Averages of a run, its first part left out."""

    samples: int
    """Samples that were averaged."""
    temperature: Number
    """K."""
    temperature_stderr: Number
    """K."""
    temperature_variance_ratio: Number
    """Variance of the kinetic temperature over the canonical one."""
    potential: Number
    """eV for each atom."""
    potential_stderr: Number
    """eV for each atom."""
    drift: Number
    """Slope of the total energy, meV/atom/ps."""
    drift_stderr: Number
    """meV/atom/ps."""
    fluctuation: Number
    """Standard deviation of the total energy about that slope, meV/atom."""


class Samples(Entry):
    """Samples of a run, thinned to a thousand."""

    step: Numbers
    """Steps since the beginning."""
    potential: Numbers
    """eV."""
    kinetic: Numbers
    """eV."""
    temperature: Numbers
    """Kinetic, K."""

    @model_validator(mode="after")
    def _one_number_a_sample(self) -> Self:
        return equally_long(self, "step", "potential", "kinetic", "temperature")


class Radial(Entry):
    """Radial distribution functions."""

    distance: Numbers
    """Middle of each bin, Å."""
    pairs: Mapping[str, Numbers]
    """g(r) by pair of elements."""
    frames: int
    """Structures that were averaged."""


class MDSettingsEntry(SettingsEntry):
    """The settings of the run."""

    ensemble: str
    """nve or nvt."""
    temperature: Number
    """K."""
    timestep: Number
    """fs."""


class MDResult(Result):
    """What ``rung md`` found."""

    fidelity: str
    """The fidelity."""
    model: str
    """What the potential was opened from."""
    settings: MDSettingsEntry
    """Of the run."""
    n_atoms: Atoms
    """Atoms, held ones counted."""
    degrees_of_freedom: int
    """Momenta that were free."""
    steps: int
    """Steps done."""
    picoseconds: Number
    """The same as a time, ps."""
    stable: bool
    """Whether the run came to its end."""
    reason: str
    """Why not; empty where it did."""
    for_labelling: str | None
    """The file with the structure at which it ended before its time; null where it did not."""
    cell: tuple[Numbers, ...]
    """Vectors of the cell, Å."""
    statistics: RunStatistics | None
    """Averages; null where the run is too short."""
    samples: Samples
    """Energies and temperatures."""
    radial: Radial
    """g(r)."""
    domain: FramesDomain | None = None
    """What frames of the whole run are outside the domain of the fit; null without error bars."""
