"""``free_energy.json``: a profile along a collective variable, its barrier, and how far to believe them."""

from typing import Self

from pydantic import model_validator

from rung.results.base import Entry, Number, Numbers, Result, equally_long
from rung.results.domain import DomainNumbers
from rung.results.settings import SettingsEntry

FREE_ENERGY_FILE = "free_energy.json"


class WindowSamples(Entry):
    """What one window sampled."""

    values: Numbers
    """The collective variable, in its unit."""


class ProfileCurve(Entry):
    """F(ξ) in bins."""

    coordinate: Numbers
    """Middle of each bin, unit of the variable."""
    free_energy: Numbers
    """eV, zero at its lowest; null where no sample fell."""
    stderr: Numbers
    """One-sigma statistical error, eV."""

    @model_validator(mode="after")
    def _one_number_a_bin(self) -> Self:
        return equally_long(self, "coordinate", "free_energy", "stderr")


class BarrierNumbers(Entry):
    """The top of the profile; :class:`rung.evaluate.free_energy.analysis.FreeEnergyBarrier` explains each number."""

    transition_state: Number
    """ξ‡, unit of the variable."""
    barrier: Number
    """ΔF‡, eV."""
    barrier_stderr: Number
    """eV."""
    reverse: Number
    """ΔF‡ from the product's side, eV."""
    reverse_stderr: Number
    """eV."""
    reaction: Number
    """ΔF of the two basins, eV."""
    reaction_stderr: Number
    """eV."""
    rate: Number
    """Of transition-state theory, 1/s."""
    rate_log_stderr: Number
    """Error of its natural logarithm."""
    activation: Number
    """−kT ln(h k/kT), eV."""
    activation_stderr: Number
    """eV."""
    length: Number
    """ℓ0, unit of the variable."""
    mean_speed: Number
    """⟨√(Σ |∇ξ|²/m)⟩ at the top, unit/(Å √u)."""


class WindowNumbers(Entry):
    """How well one window did."""

    centre: Number
    """Of its spring, unit of the variable."""
    mean: Number
    """Of the variable in equilibrium."""
    spread: Number
    """Standard deviation there."""
    equilibrated: int
    """The first sample in equilibrium."""
    inefficiency: Number
    """Samples that count as one."""
    samples: int
    """Independent samples that were used."""
    overlap: Number
    """With the window that follows; null for the last."""


class OtherSurfaces(Entry):
    """What other surfaces say of the barrier, by reweighting."""

    surfaces: int
    """How many."""
    change: Number
    """Change of ΔF‡, mean over surfaces, eV; null where refused."""
    spread_of_change: Number
    """Standard deviation over surfaces, eV; null for one surface."""
    first_order: Number
    """Change to first order, mean over surfaces, eV."""
    spread_of_first_order: Number
    """Standard deviation of that, eV."""
    statistical_stderr: Number
    """Of the change, eV."""
    largest_sd_of_reduced_change: Numbers
    """sd(βΔU) of the worst surface in each window."""
    least_effective_samples: Numbers
    """Kish's effective sample size of the worst surface in each window."""
    frames: tuple[int, ...]
    """Structures used of each window."""
    reason: str
    """Why some or all were refused; empty where none was."""


class TargetSurface(OtherSurfaces):
    """The barrier of a level of theory that gave single energies."""

    fidelity: str
    """Its name."""
    largest_energy_stderr: Number
    """Largest error of an energy that was used, eV."""


class FreeEnergyResult(Result):
    """What ``rung free-energy`` found."""

    fidelity: str
    """The fidelity."""
    model: str
    """What the potential was opened from."""
    temperature: Number
    """K."""
    unit: str
    """Of the variable: Å, or 1."""
    variable: SettingsEntry
    """The collective variable."""
    spring: Number
    """eV over the unit squared."""
    timestep: Number
    """fs."""
    steps: tuple[int, ...]
    """Of each window."""
    samples: tuple[WindowSamples, ...]
    """Of each window."""
    analysis: SettingsEntry
    """How samples became a profile."""
    profile: ProfileCurve | None
    """Null where the windows could not be joined."""
    barrier: BarrierNumbers | None
    """Null where there is none; the reason says why."""
    windows: tuple[WindowNumbers, ...]
    """In the order of their centres."""
    warnings: tuple[str, ...]
    """What a reader should know."""
    reason: str
    """Why there is no barrier; empty where there is one."""
    model_error: OtherSurfaces | None
    """What posterior draws say; null without a posterior or a barrier."""
    reweighted: TargetSurface | None
    """What single energies of another level say; null without."""
    domain: DomainNumbers | None = None
    """Which kept structures of the windows are outside the domain of the fit; null without error bars."""
