"""Runs of molecular dynamics, their squared displacements, and the lags at which atoms are seen to diffuse."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from pydantic import Field

from rung.data.labels import Array
from rung.errors import ConfigError, DataError
from rung.evaluate.transport.company import independent_walkers
from rung.evaluate.transport.diffusion import LineFit, Slope, fit_line, log_slope
from rung.evaluate.transport.displacement import Moments, collective, displacements, squared_displacements
from rung.settings import Settings

_LAGS_PER_DECADE = 16
_START_RATIO = 1.4
_SHORTEST_WINDOW = 4
"""The last lag of a fit is at least so many times the first."""

_SLOPE_UNCLEAR = 0.2
_FEWEST_LAGS = 3


class DiffusionSettings(Settings):
    """How displacements become diffusivities, whichever runs they are of."""

    species: str
    """Symbol of the element that moves; all others are the framework, whose centre of mass is held at rest."""
    charge: float | None = None
    """Charge of a mobile ion in elementary charges, which conductivities need."""
    axes: str = "xyz"
    """Directions in which atoms move: xyz, or those of a layer or a channel, such as xy."""
    skip_fs: float = Field(default=0.0, ge=0)
    """Time at the start of each run that is left out, fs: until it has forgotten how it was made."""
    start_fs: float | None = Field(default=None, gt=0)
    """Shortest time that is fitted, fs; by default the first from which the slope is that of diffusion."""
    longest: float = Field(default=0.5, gt=0, lt=1)
    """Longest time that is fitted, as a part of the run."""
    slope_tolerance: float = Field(default=0.1, gt=0, lt=1)
    """How far d ln MSD/d ln t may be from 1 where atoms are said to diffuse."""

    def directions(self) -> tuple[int, ...]:
        """Return the axes as numbers, or raise a :class:`ConfigError`."""
        if not self.axes or len(set(self.axes)) != len(self.axes) or not set(self.axes) <= set("xyz"):
            raise ConfigError(f"axes are one or more of x, y and z, each once, such as xy; not {self.axes!r}.")
        return tuple("xyz".index(axis) for axis in self.axes)


class TransportSettings(DiffusionSettings):
    """How displacements become diffusivities."""

    frame_fs: float = Field(gt=0)
    """Time between two frames, fs."""
    unwrapped: bool = False
    """Whether the positions run on beyond the cell already."""

    @property
    def n_skipped(self) -> int:
        """How many frames at the beginning of a run are left out."""
        return round(self.skip_fs / self.frame_fs)


@dataclass(frozen=True)
class Run:
    """One run of molecular dynamics.

    Parameters
    ----------
    name
        What to call it: its file.
    frames
        Its structures, equal times apart.
    temperature
        K.
    draw
        Which draw from the posterior of the potential moved it; None where it was the potential itself.
    unwrapped
        Whether its own positions run on beyond the cell, whatever the settings say.
    frame_fs
        Time between two frames as its file says it, fs; None where it says none.
    """

    name: str
    frames: Sequence[Atoms]
    temperature: float
    draw: int | None = None
    unwrapped: bool = False
    frame_fs: float | None = None


@dataclass(frozen=True)
class MeasuredRun:
    """What one run left: squared displacements, and the lines through them.

    Parameters
    ----------
    name, temperature, draw
        Those of the :class:`Run`.
    n_frames, n_mobile
        Frames that were used, and mobile atoms.
    volume
        Å³; NaN where the cell has none.
    tracer, collective
        Squared displacements of one atom, and of all together over √n.
    framework_rms
        How far an atom of the framework is from where it was, r.m.s., at the longest lag, Å; NaN without framework.
    n_independent
        Independent walkers that its mobile atoms are worth: fewer than there are where atoms move together.
    tracer_line, collective_line
        The fits; None where atoms do not diffuse.
    """

    name: str
    temperature: float
    draw: int | None
    n_frames: int
    n_mobile: int
    volume: float
    tracer: Moments
    collective: Moments
    framework_rms: float
    n_independent: float
    tracer_line: LineFit | None = None
    collective_line: LineFit | None = None


@dataclass(frozen=True)
class Window:
    """The lags that were fitted, and what the slope there says.

    Parameters
    ----------
    start_fs, end_fs
        First and last lag, fs; NaN where no lag is fit to be the first.
    slope, slope_stderr
        d ln MSD/d ln t of single atoms there: 1 where they diffuse.
    diffusive
        Whether the slope is that of diffusion.
    reason
        Why not; empty where it is.
    """

    start_fs: float
    end_fs: float
    slope: float
    slope_stderr: float
    diffusive: bool
    reason: str


def measured_run(run: Run, settings: TransportSettings) -> MeasuredRun:
    """Return the squared displacements of one run; errors name it."""
    try:
        moved = displacements(
            run.frames[settings.n_skipped :], settings.species, unwrapped=settings.unwrapped or run.unwrapped
        )
    except DataError as error:
        raise DataError(f"{run.name}: {error}") from error
    if not np.ptp(moved.mobile + moved.drift[:, np.newaxis], axis=0).any():
        raise DataError(f"{run.name}: no {settings.species} moves, and other atoms do; is it held?")
    n_frames = len(moved.mobile)
    lags = _lags(max(1, int(settings.longest * n_frames)))
    axes = settings.directions()
    framework = squared_displacements(moved.framework, lags[-1:]).mean[0] if moved.framework.shape[1] else np.nan
    return MeasuredRun(
        name=run.name,
        temperature=float(run.temperature),
        draw=run.draw,
        n_frames=n_frames,
        n_mobile=moved.mobile.shape[1],
        volume=moved.volume,
        tracer=squared_displacements(moved.mobile, lags, axes=axes),
        collective=squared_displacements(collective(moved.mobile), lags, axes=axes),
        framework_rms=float(np.sqrt(framework)),
        n_independent=independent_walkers(moved.mobile, axes),
    )


def diffusive_window(runs: Sequence[MeasuredRun], settings: TransportSettings) -> Window:
    """Return the lags to fit: from the first at which single atoms, over all runs, are seen to diffuse.

    The slope of ln MSD against ln t from there on is within the tolerance of 1. Where no lag has such a slope, the last
    one serves whose slope is within the tolerance and its own error; a slope whose error is above 0.2 says nothing.
    """
    shortest = min(runs, key=lambda run: run.n_frames)
    last = int(shortest.tracer.lags[-1])
    mean = _mean_moments(runs, last)
    starts = _starts(last) if settings.start_fs is None else [max(1, round(settings.start_fs / settings.frame_fs))]
    n_walkers = sum(run.n_independent for run in runs)
    slopes = []
    for start in starts:
        kept = mean.between(start, last)
        if len(kept.lags) < _FEWEST_LAGS or last < _SHORTEST_WINDOW * start:
            break
        slopes.append((float(kept.lags[0]), _slope(kept, shortest.n_frames, n_walkers, settings)))
    chosen = _chosen(slopes, settings.slope_tolerance)
    if chosen is None:
        slope = slopes[-1][1] if slopes else Slope(float("nan"), float("inf"))
        return Window(float("nan"), float("nan"), slope.value, slope.stderr, False, _reason(slope, last, settings))
    first, slope = chosen
    return Window(first * settings.frame_fs, last * settings.frame_fs, slope.value, slope.stderr, True, "")


def _chosen(slopes: Sequence[tuple[float, Slope]], tolerance: float) -> tuple[float, Slope] | None:
    """Return the first lag whose slope is that of diffusion, else the last one that may be, else None."""
    clear = [one for one in slopes if one[1].stderr <= _SLOPE_UNCLEAR]
    for one in clear:
        if abs(one[1].value - 1.0) <= tolerance:
            return one
    possible = [one for one in clear if abs(one[1].value - 1.0) <= tolerance + one[1].stderr]
    return possible[-1] if possible else None


def _lags(last: int) -> Array:
    powers = np.arange(int(_LAGS_PER_DECADE * np.log10(last)) + 1) / _LAGS_PER_DECADE
    return np.unique(np.append(np.round(10.0**powers), last).astype(int))


def _starts(last: int) -> list[int]:
    found, start = [], 1.0
    while round(start) * _SHORTEST_WINDOW <= last:
        found.append(round(start))
        start = max(start * _START_RATIO, start + 1.0)
    return found


def _mean_moments(runs: Sequence[MeasuredRun], last: int) -> Moments:
    parts = [run.tracer.between(1, last) for run in runs]
    lags = parts[0].lags
    for part in parts[1:]:
        lags = np.intersect1d(lags, part.lags)
    kept = [(np.isin(part.lags, lags), part) for part in parts]
    weights = [run.n_frames for run in runs]
    mean = np.average([part.mean[mask] for mask, part in kept], axis=0, weights=weights)
    variance = np.average([part.variance[mask] for mask, part in kept], axis=0, weights=weights)
    return Moments(lags, mean, variance)


def _slope(moments: Moments, n_frames: int, n_walkers: float, settings: TransportSettings) -> Slope:
    dimensions = len(settings.axes)
    line = fit_line(moments, n_frames=n_frames, frame_fs=settings.frame_fs, n_walkers=n_walkers, dimensions=dimensions)
    return log_slope(moments, line.walk, n_frames=n_frames, n_walkers=n_walkers, dimensions=dimensions)


def _reason(slope: Slope, last: int, settings: TransportSettings) -> str:
    longest = f"{last * settings.frame_fs / 1000:g} ps"
    if not np.isfinite(slope.value):
        return f"The runs are too short: lags up to {longest} leave no range to fit; run longer."
    said = f"the slope of ln MSD against ln t is {slope.value:.2f} ± {slope.stderr:.2f}"
    if slope.stderr > _SLOPE_UNCLEAR:
        return f"The runs are too short to tell whether {settings.species} diffuses: {said}; run longer, or more often."
    return (
        f"{settings.species} does not diffuse within lags up to {longest}: {said}, and diffusion has 1; "
        "run longer or hotter."
    )
