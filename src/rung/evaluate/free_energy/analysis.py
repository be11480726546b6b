"""Free energy along a collective variable from umbrella windows: profile, barrier, rate, and what to believe."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.units import fs
from pydantic import Field

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.free_energy.mbar import Mixture, solve
from rung.evaluate.free_energy.umbrella import Window
from rung.evaluate.free_energy.window_statistics import (
    WindowStatistics,
    apart,
    cut_off,
    independent,
    statistics_of,
    unusable,
    warnings_of,
)
from rung.settings import Settings
from rung.units import BOLTZMANN, PLANCK

_NO_OVERLAP = 1e-4
_SEPARATE = 1.0
"""kT: a maximum that stands out less than this from the lower of its valleys is no barrier."""
_TOP = 0.7
"""kT below the highest bin: the bins whose parabola gives the place of the top."""


class AnalysisSettings(Settings):
    """How samples become a profile and a barrier."""

    bins: int = Field(default=60, ge=8, le=100000)
    """Bins between the ends of the sampled range."""
    reactant: Literal["low", "high"] = "low"
    """On which side of the top the reactant is."""
    transition_state: float | None = None
    """Where the top is, in the unit of the variable; by default where the profile has it."""
    length: float = Field(default=1.0, gt=0)
    """ℓ0 of ΔF‡ = F(ξ‡) + kT ln[∫_R exp(−βF) dξ / ℓ0], in the unit of the variable."""


@dataclass(frozen=True)
class Profile:
    """F(ξ) in bins: −kT ln of the mean density in each.

    Parameters
    ----------
    coordinate
        Middle of each bin, unit of the variable, shape ``(bins,)``.
    free_energy
        eV, zero at its lowest; NaN where no sample fell.
    stderr
        One-sigma statistical error of F less that of the reactant's whole basin, eV; of F less its mean over the
        range where there is no barrier.
    covariance
        Of F, eV², of which only differences matter, shape ``(bins, bins)``.
    """

    coordinate: Array
    free_energy: Array
    stderr: Array
    covariance: Array


@dataclass(frozen=True)
class FreeEnergyBarrier:
    """The top of a profile.

    Parameters
    ----------
    transition_state
        ξ‡, unit of the variable.
    barrier, barrier_stderr
        ΔF‡ = F(ξ‡) + kT ln[∫_R exp(−βF) dξ / ℓ0], eV. It depends on ℓ0 and on the scale of the variable.
    reverse, reverse_stderr
        The same from the product's side, eV.
    reaction, reaction_stderr
        Free energy of the product's basin less the reactant's, eV.
    rate, rate_log_stderr
        The transition-state rate ½⟨|ξ̇|⟩ p(ξ‡)/∫_R p, 1/s, and the error of its natural logarithm. An upper bound: no
        recrossing is counted.
    activation, activation_stderr
        −kT ln(h k / kT), eV: the barrier that Eyring's formula gives this rate; it depends neither on ℓ0 nor on the
        scale of the variable.
    length
        ℓ0.
    mean_speed
        ⟨√(Σ |∇_i ξ|²/m_i)⟩ at ξ‡, unit/(Å √u).
    """

    transition_state: float
    barrier: float
    barrier_stderr: float
    reverse: float
    reverse_stderr: float
    reaction: float
    reaction_stderr: float
    rate: float
    rate_log_stderr: float
    activation: float
    activation_stderr: float
    length: float
    mean_speed: float


@dataclass(frozen=True)
class FreeEnergy:
    """What umbrella windows say.

    Parameters
    ----------
    profile
        F(ξ).
    barrier
        None where the profile has no top between its ends, or the windows cannot be trusted; ``reason`` says which.
    windows
        One entry a window.
    warnings
        What the reader of the number should know.
    reason
        Why there is no barrier; empty where there is one.
    free_energies
        Reduced free energy of each window, shape ``(windows,)``; None where they could not be joined.
    """

    profile: Profile | None
    barrier: FreeEnergyBarrier | None
    windows: tuple[WindowStatistics, ...]
    warnings: tuple[str, ...]
    reason: str = ""
    free_energies: Array | None = None


@dataclass(frozen=True)
class Ensemble:
    """The independent samples of all windows, joined.

    Parameters
    ----------
    mixture
        Their biases and free energies.
    values, speeds
        As in :class:`~rung.evaluate.free_energy.umbrella.Window`, shape ``(N,)``.
    kept
        Which samples of each window they are.
    """

    mixture: Mixture
    values: Array
    speeds: Array
    kept: tuple[Array, ...]


def analyse(windows: Sequence[Window], temperature: float, settings: AnalysisSettings) -> FreeEnergy:
    """Return the profile, barrier and rate that windows of one temperature give.

    Samples before equilibrium are left out, the rest thinned until they are independent, by the slower of the variable
    and the energy; then all windows are joined by MBAR.

    Parameters
    ----------
    windows
        In the order of their centres.
    temperature
        K.
    settings
        Bins, the reactant's side, ℓ0.

    Returns
    -------
    FreeEnergy
        Without a barrier where windows broke, do not overlap, or the profile has no top: ``reason`` says so.

    Raises
    ------
    DataError
        When the given transition state lies outside what the windows sampled.
    """
    found = [independent(window) for window in windows]
    kept = [indices for indices, _, _ in found]
    statistics = [statistics_of(window, *one) for window, one in zip(windows, found, strict=True)]
    if reason := unusable(windows, kept):
        return FreeEnergy(None, None, tuple(statistics), (), reason)
    try:
        ensemble = join(windows, kept, temperature)
    except DataError as error:
        return FreeEnergy(None, None, tuple(statistics), (), str(error))
    overlaps = [*np.diag(ensemble.mixture.overlap, 1).tolist(), float("nan")]
    statistics = [
        WindowStatistics(**{**vars(one), "overlap": overlap}) for one, overlap in zip(statistics, overlaps, strict=True)
    ]
    warnings = warnings_of(statistics)
    if min(overlaps[:-1]) < _NO_OVERLAP:
        index = int(np.argmin(overlaps[:-1]))
        return FreeEnergy(None, None, tuple(statistics), warnings, apart(windows, kept, index))
    given, sampled = settings.transition_state, ensemble.values
    if given is not None and not sampled.min() < given <= sampled.max():
        raise DataError(f"The transition state {given:.4g} lies outside what the windows sampled.")
    edges = np.linspace(ensemble.values.min(), ensemble.values.max(), settings.bins + 1)
    profile, top = _profile(ensemble, edges, temperature, settings)
    if top is None:
        reason = "The profile has no top that stands out by kT between two valleys of the sampled range; widen it."
        return FreeEnergy(profile, None, tuple(statistics), warnings, reason)
    barrier = _barrier(ensemble, edges, top, temperature, settings)
    warnings = (*warnings, *cut_off(statistics, settings.reactant))
    return FreeEnergy(profile, barrier, tuple(statistics), warnings, free_energies=ensemble.mixture.free_energies)


def join(windows: Sequence[Window], kept: Sequence[Array], temperature: float) -> Ensemble:
    """Return the chosen samples of all windows as one ensemble.

    Raises
    ------
    DataError
        When the MBAR equations have no solution.
    """
    values = np.concatenate([window.values[indices] for window, indices in zip(windows, kept, strict=True)])
    speeds = np.concatenate([window.speeds[indices] for window, indices in zip(windows, kept, strict=True)])
    beta = 1.0 / (BOLTZMANN * temperature)
    biases = np.array([0.5 * beta * window.spring * (values - window.centre) ** 2 for window in windows])
    counts = np.array([len(indices) for indices in kept])
    return Ensemble(solve(biases, counts), values, speeds, tuple(kept))


def _profile(
    ensemble: Ensemble, edges: Array, temperature: float, settings: AnalysisSettings
) -> tuple[Profile, float | None]:
    """Return the profile, and where its top is."""
    thermal = BOLTZMANN * temperature
    middles = 0.5 * (edges[1:] + edges[:-1])
    which = np.clip(np.digitize(ensemble.values, edges) - 1, 0, len(middles) - 1)
    filled = np.flatnonzero(np.bincount(which, minlength=len(middles)))
    inside = (which[None, :] == filled[:, None]).astype(float)
    logs, errors = ensemble.mixture.log_averages(inside)
    energy = np.full(len(middles), np.nan)
    energy[filled] = -thermal * (logs - logs.max())
    covariance = np.full((len(middles), len(middles)), np.nan)
    covariance[np.ix_(filled, filled)] = thermal**2 * errors
    top = settings.transition_state
    if top is None:
        top = _top(middles[filled], energy[filled], thermal)
    stderr = np.full(len(middles), np.nan)
    basin = (_basin(ensemble, top, settings) if top is not None else np.ones(len(ensemble.values)))[None]
    _, together = ensemble.mixture.log_averages(np.vstack([inside, basin]))
    own = np.diag(together)
    stderr[filled] = thermal * np.sqrt(np.maximum(own[:-1] + own[-1] - 2 * together[-1, :-1], 0.0))
    return Profile(middles, energy, stderr, covariance), top


def _basin(ensemble: Ensemble, top: float, settings: AnalysisSettings, *, product: bool = False) -> Array:
    low = (settings.reactant == "low") != product
    return ((ensemble.values < top) if low else (ensemble.values >= top)).astype(float)


def _top(places: Array, energy: Array, thermal: float) -> float | None:
    """Return where the maximum is that stands out most from the valleys on both its sides; None where none does."""
    left = np.minimum.accumulate(energy)
    right = np.minimum.accumulate(energy[::-1])[::-1]
    prominence = energy - np.maximum(left, right)
    peak = int(np.argmax(prominence))
    if prominence[peak] < _SEPARATE * thermal:
        return None
    # a single bin is noise: the parabola through the top is not
    first = last = peak
    floor = energy[peak] - _TOP * thermal
    while first > 0 and energy[first - 1] > floor:
        first -= 1
    while last < len(energy) - 1 and energy[last + 1] > floor:
        last += 1
    if last - first < 3:
        return float(places[peak])
    curvature, slope, _ = np.polyfit(places[first : last + 1] - places[peak], energy[first : last + 1], 2)
    if curvature >= 0:
        return float(places[peak])
    return float(np.clip(places[peak] - 0.5 * slope / curvature, places[first], places[last]))


def _barrier(
    ensemble: Ensemble, edges: Array, top: float, temperature: float, settings: AnalysisSettings
) -> FreeEnergyBarrier:
    thermal = BOLTZMANN * temperature
    width = float(edges[1] - edges[0])
    near = (np.abs(ensemble.values - top) <= 0.5 * width).astype(float)
    while not near.any():  # a place that was given may lie between samples
        width *= 2.0
        near = (np.abs(ensemble.values - top) <= 0.5 * width).astype(float)
    functions = np.array(
        [near, near * ensemble.speeds, _basin(ensemble, top, settings), _basin(ensemble, top, settings, product=True)]
    )
    logs, covariance = ensemble.mixture.log_averages(functions)

    def error(one: int, two: int) -> float:
        return float(np.sqrt(max(covariance[one, one] + covariance[two, two] - 2 * covariance[one, two], 0.0)))

    def against(basin: int) -> float:
        return float(-thermal * (logs[0] - np.log(width) - logs[basin] + np.log(settings.length)))

    log_flux = float(logs[1] - np.log(width) - logs[2])
    per_second = 1e15 * fs
    rate = float(np.sqrt(thermal / (2 * np.pi)) * np.exp(log_flux) * per_second)
    return FreeEnergyBarrier(
        transition_state=top,
        barrier=against(2),
        barrier_stderr=thermal * error(0, 2),
        reverse=against(3),
        reverse_stderr=thermal * error(0, 3),
        reaction=float(-thermal * (logs[3] - logs[2])),
        reaction_stderr=thermal * error(3, 2),
        rate=rate,
        rate_log_stderr=error(1, 2),
        activation=float(-thermal * np.log(PLANCK * rate / thermal)),
        activation_stderr=thermal * error(1, 2),
        length=settings.length,
        mean_speed=float(np.exp(logs[1] - logs[0])),
    )
