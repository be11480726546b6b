"""The barrier of another surface from samples of this one: for posterior draws, and for single target energies.

A lifted potential costs what its base costs and is sampled directly. Reweighting is for what cannot be sampled: many
draws from a posterior, or a level of theory that gives single energies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import logsumexp

from rung.data.labels import Array
from rung.errors import counted
from rung.evaluate.free_energy.umbrella import Window
from rung.results.free_energy import OtherSurfaces
from rung.settings import Settings
from rung.units import BOLTZMANN

FEWEST_EFFECTIVE = 50.0
"""Kish's effective sample size that every window must keep."""


class ReweightingSettings(Settings):
    """How many resamplings give the statistical error."""

    resamples: int = Field(default=200, ge=10, le=1000000)
    """Bootstrap resamplings within each window."""
    seed: int = Field(default=0, ge=0)
    """Of the resampling."""


@dataclass(frozen=True)
class Reweighted:
    """What other surfaces say of the barrier.

    Parameters
    ----------
    change
        Change of ΔF‡ on each surface, eV, shape ``(surfaces,)``; NaN where refused.
    stderr
        Its statistical error, eV, shape ``(surfaces,)``.
    first_order
        ⟨ΔU⟩ at the top less ⟨ΔU⟩ in the reactant's basin, eV, shape ``(surfaces,)``: right for small changes only.
    spread
        sd(βΔU) in each window, shape ``(surfaces, windows)``.
    effective
        Kish's effective sample size of each window, shape ``(surfaces, windows)``.
    frames
        Structures used of each window, shape ``(windows,)``.
    reason
        Why some or all were refused; empty where none was.
    """

    change: Array
    stderr: Array
    first_order: Array
    spread: Array
    effective: Array
    frames: Array
    reason: str

    def entry(self) -> OtherSurfaces:
        """Return what ``free_energy.json`` has: the worst surface of each window, and the spread over surfaces."""
        several = len(self.change) > 1
        return OtherSurfaces(
            surfaces=len(self.change),
            change=float(np.mean(self.change)),
            spread_of_change=float(np.std(self.change, ddof=1)) if several else np.nan,
            first_order=float(np.mean(self.first_order)),
            spread_of_first_order=float(np.std(self.first_order, ddof=1)) if several else np.nan,
            statistical_stderr=float(np.sqrt(np.mean(self.stderr**2))),
            largest_sd_of_reduced_change=self.spread.max(axis=0),
            least_effective_samples=self.effective.min(axis=0),
            frames=tuple(self.frames.tolist()),
            reason=self.reason,
        )


@dataclass(frozen=True)
class Region:
    """Where the barrier is counted from and to.

    Parameters
    ----------
    top
        ξ‡.
    width
        Structures nearer than half of this to ξ‡ stand for the top, unit of the variable.
    low
        Whether the reactant is below ξ‡.
    """

    top: float
    width: float
    low: bool

    def of(self, values: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which values are at the top, and which in the reactant's basin."""
        return np.abs(values - self.top) <= 0.5 * self.width, (values < self.top) if self.low else (values > self.top)


def kish(log_weights: Array) -> float:
    """Return (Σw)²/Σw² of weights given by their logarithms, shape ``(N,)``; 0 for none."""
    if not len(log_weights):
        return 0.0
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def reweight(
    windows: Sequence[Window],
    free_energies: Array,
    changes: Mapping[int, Array],
    chosen: Mapping[int, NDArray[np.int_]],
    temperature: float,
    region: Region,
    settings: ReweightingSettings,
    inefficiencies: Mapping[int, float],
) -> Reweighted:
    """Return how ΔF‡ changes on other surfaces.

    Parameters
    ----------
    windows
        All windows.
    free_energies
        Reduced free energy of each window's state, from all samples, shape ``(windows,)``.
    changes
        Energy change of the chosen kept structures of each window on each surface, eV, shape ``(surfaces, frames)``.
    chosen
        Which kept structures of each window these are.
    temperature
        K.
    region
        Top and basin.
    settings
        Resampling.
    inefficiencies
        How many samples of each window count as one.

    Notes
    -----
    exp(−β ΔΔF‡) = ⟨exp(−βΔU)⟩ at the top over that in the basin, each structure weighted as MBAR weights it. Refused
    where a window keeps fewer than 50 effective structures: the average is then that of a few. Structures that follow
    each other are alike, so a resample takes as many of a window as are independent.
    """
    beta = 1.0 / (BOLTZMANN * temperature)
    used = [window for window in windows if window.index in chosen]
    values = [window.values[window.frame_samples[chosen[window.index]]] for window in used]
    shifts = [beta * np.asarray(changes[window.index]) for window in used]
    frames = np.array([len(one) for one in values])
    spread = np.array([shift.std(axis=1) for shift in shifts]).T
    effective = np.array([[kish(-row) for row in shift] for shift in shifts]).T
    all_values, all_shifts = np.concatenate(values), np.concatenate(shifts, axis=1)
    log_weights = -_denominators(all_values, used, free_energies, frames, beta)
    found = _differences(all_values, all_shifts, log_weights, region)
    rng = np.random.default_rng(settings.seed)
    samples = [window.frame_samples[chosen[window.index]] for window in used]
    alone = np.array(
        [_independent(one, inefficiencies[window.index]) for one, window in zip(samples, used, strict=True)]
    )
    resampled = []
    for _ in range(settings.resamples):
        picked = np.concatenate(
            [
                start + rng.integers(0, count, taken)
                for start, count, taken in zip(np.cumsum(frames) - frames, frames, alone, strict=True)
            ]
        )
        # a window that is thinned keeps its weight among the others
        weights = log_weights[picked] + np.repeat(np.log(frames / np.maximum(alone, 1)), alone)
        resampled.append(_differences(all_values[picked], all_shifts[:, picked], weights, region)[0])
    refused = effective.min(axis=1) < FEWEST_EFFECTIVE
    stderr = _spread_of(np.array(resampled))
    return Reweighted(
        change=np.where(refused, np.nan, found[0] / beta),
        stderr=np.where(refused, np.nan, stderr / beta),
        first_order=found[1] / beta,
        spread=spread,
        effective=effective,
        frames=frames,
        reason=_reason(refused, spread, effective),
    )


def _independent(samples: Array, inefficiency: float) -> int:
    """Return how many of the structures at ``samples`` of a window are independent; at least one."""
    if len(samples) < 2:
        return len(samples)
    spacing = float(np.diff(np.sort(samples)).mean())
    return max(1, round(len(samples) / max(1.0, inefficiency / spacing)))


def _spread_of(resampled: Array) -> Array:
    finite = np.isfinite(resampled).all(axis=1)
    return resampled[finite].std(axis=0, ddof=1) if finite.sum() > 1 else np.full(resampled.shape[1], np.nan)


def _denominators(values: Array, windows: Sequence[Window], free_energies: Array, counts: Array, beta: float) -> Array:
    exponents = np.array(
        [free_energies[window.index] - 0.5 * beta * window.spring * (values - window.centre) ** 2 for window in windows]
    )
    return np.asarray(logsumexp(exponents, axis=0, b=counts[:, None]))


def _differences(values: Array, shifts: Array, log_weights: Array, region: Region) -> tuple[Array, Array]:
    """Return β ΔΔF‡ of each surface: by reweighting, and to first order."""
    top, basin = region.of(values)
    if not top.any() or not basin.any():
        nothing = np.full(len(shifts), np.nan)
        return nothing, nothing

    def both(inside: NDArray[np.bool_]) -> tuple[Array, Array]:
        weights = log_weights[inside] - logsumexp(log_weights[inside])
        return -np.asarray(logsumexp(weights - shifts[:, inside], axis=1)), shifts[:, inside] @ np.exp(weights)

    (exact_top, mean_top), (exact_basin, mean_basin) = both(top), both(basin)
    return exact_top - exact_basin, mean_top - mean_basin


def _reason(refused: Array, spread: Array, effective: Array) -> str:
    if not refused.any():
        return ""
    surface, window = np.unravel_index(int(np.argmin(effective)), effective.shape)
    return (
        f"Reweighting is refused for {int(refused.sum())} of {counted(len(refused), 'surface')}: a window keeps "
        f"{effective[surface, window]:.0f} effective structures where {FEWEST_EFFECTIVE:.0f} are needed (sd(βΔU) is "
        f"{spread[surface, window]:.2f} there); keep more structures, or sample the surface itself."
    )
