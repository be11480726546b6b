"""What the samples of a run say: drift of the energy, temperature, and how both fluctuate, with errors."""

from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.evaluate.dynamics.md import Trajectory
from rung.units import MILLI


@dataclass(frozen=True)
class RunStatistics:
    """Averages after the first part of a run was left out.

    Parameters
    ----------
    samples
        Samples that were averaged.
    temperature, temperature_stderr
        K.
    temperature_variance_ratio
        Variance of the kinetic temperature over the canonical 2T²/f of f degrees of freedom: 1 in NVT, less in NVE.
    potential, potential_stderr
        eV for each atom.
    drift, drift_stderr
        Slope of the total energy, meV/atom/ps. In NVE an error of the integration; in NVT the bath's work.
    fluctuation
        Standard deviation of the total energy about that slope, meV/atom.
    """

    samples: int
    temperature: float
    temperature_stderr: float
    temperature_variance_ratio: float
    potential: float
    potential_stderr: float
    drift: float
    drift_stderr: float
    fluctuation: float


def statistics(run: Trajectory, timestep: float, *, discard: float = 0.2) -> RunStatistics | None:
    """Return averages and drift of a run; None where fewer than ten samples are left.

    Parameters
    ----------
    run
        The run.
    timestep
        fs.
    discard
        The part of the samples at the beginning that is left out, for equilibrium.
    """
    kept = run.samples[int(discard * len(run.samples)) :]
    if len(kept) < 10:
        return None
    steps, potential, kinetic, temperature = kept.T
    total = MILLI * (potential + kinetic) / run.n_atoms
    slope, slope_error, rest = line(steps * timestep / 1000.0, total)
    mean = float(temperature.mean())
    return RunStatistics(
        samples=len(kept),
        temperature=mean,
        temperature_stderr=mean_error(temperature),
        temperature_variance_ratio=float(temperature.var(ddof=1) * max(run.degrees_of_freedom, 1) / (2.0 * mean**2)),
        potential=float(potential.mean() / run.n_atoms),
        potential_stderr=mean_error(potential) / run.n_atoms,
        drift=slope,
        drift_stderr=slope_error,
        fluctuation=float(rest.std()),
    )


def inefficiency(series: Array) -> float:
    """Return how many samples count as one, from the autocorrelation summed up to its first pair below zero.

    Geyer's initial positive sequence, Statist. Sci. 7, 473 (1992).
    """
    centred = series - series.mean()
    variance = float(centred @ centred)
    if len(series) < 4 or variance == 0:
        return 1.0
    size = 1 << (2 * len(series) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    correlation = np.fft.irfft(power, size)[: len(series)] / variance
    pairs = correlation[0 : 2 * (len(series) // 2)].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    last = int(ends[0]) if len(ends) else len(pairs)
    return float(max(2.0 * pairs[:last].sum() - 1.0, 1.0))


def mean_error(series: Array) -> float:
    """Return the standard error of the mean of a correlated series."""
    return float(series.std(ddof=1) * np.sqrt(inefficiency(series) / len(series)))


def line(times: Array, values: Array) -> tuple[float, float, Array]:
    """Return the slope of a straight line, its standard error with correlated residuals, and the residuals."""
    centred = times - times.mean()
    slope = float(centred @ values / (centred @ centred))
    rest = values - values.mean() - slope * centred
    variance = float(rest @ rest) / max(len(times) - 2, 1)
    return slope, float(np.sqrt(variance * inefficiency(rest) / (centred @ centred))), rest
