"""Rates over a barrier by harmonic transition-state theory."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.paths.vibrations import Vibrations
from rung.results.barrier_task import Rate
from rung.units import BOLTZMANN, PLANCK


@dataclass(frozen=True)
class HarmonicRate:
    """The rate at which a harmonic system at one temperature crosses a barrier one way.

    Parameters
    ----------
    temperature
        K.
    prefactor
        Vineyard's, 1/s.
    rate
        Classical: ``prefactor · exp(−barrier/kT)``, 1/s.
    quantum_rate
        With quantised modes at both ends (zero-point energy in it), without tunnelling, 1/s.
    factor
        By what the rates may be multiplied or divided for one standard error of the barrier; NaN where it has none.
    """

    temperature: float
    prefactor: float
    rate: float
    quantum_rate: float
    factor: float

    def entry(self) -> Rate:
        """Return the fields as ``barrier.json`` has them."""
        return Rate(**vars(self))


def vineyard_prefactor(start: Vibrations, saddle: Vibrations) -> float:
    """Return Π ν(start) / Π ν(saddle, real), 1/s (Vineyard, J. Phys. Chem. Solids 3, 121 (1957)).

    Raises
    ------
    DataError
        When the start is no minimum or the saddle has not exactly one imaginary mode.
    """
    minimum, top = _real_modes(start, saddle)
    return float(np.exp(np.log(minimum / PLANCK).sum() - np.log(top / PLANCK).sum()))


def harmonic_rate(
    start: Vibrations, saddle: Vibrations, barrier: float, temperature: float, *, barrier_stderr: float = float("nan")
) -> HarmonicRate:
    """Return the rate over a barrier of ``barrier`` eV at ``temperature`` K.

    Parameters
    ----------
    start, saddle
        Modes of both, of the same atoms.
    barrier, barrier_stderr
        Energy of the saddle less the start and its one-sigma error, eV.
    temperature
        K.

    Raises
    ------
    DataError
        When the temperature is not positive, or the modes are not those of a minimum and a saddle.
    """
    if not temperature > 0:
        raise DataError(f"A rate needs a temperature above 0 K, not {temperature}.")
    minimum, top = _real_modes(start, saddle)
    thermal = BOLTZMANN * temperature
    prefactor = vineyard_prefactor(start, saddle)
    quantised = float(_log_sinh(minimum / thermal).sum() - _log_sinh(top / thermal).sum())
    return HarmonicRate(
        temperature=temperature,
        prefactor=prefactor,
        rate=prefactor * _exp(-barrier / thermal),
        quantum_rate=thermal / PLANCK * _exp(quantised - barrier / thermal),
        factor=_exp(barrier_stderr / thermal) if np.isfinite(barrier_stderr) else float("nan"),
    )


def _real_modes(start: Vibrations, saddle: Vibrations) -> tuple[Array, Array]:
    """Return the quanta of the minimum and those of the saddle without the imaginary one, eV."""
    if (start.quanta <= 0).any():
        raise DataError(
            f"The start has a mode of {abs(start.wavenumbers.min()):.0f}i cm⁻¹ and is no minimum: relax it further."
        )
    negative = int((saddle.quanta <= 0).sum())
    if negative == 1 and not saddle.n_imaginary:
        raise DataError(
            f"The lowest mode of the saddle, {-saddle.wavenumbers[0]:.0f}i cm⁻¹, is too soft to tell from noise: relax "
            "the band to smaller forces in float64, or take it for a plateau."
        )
    if negative != 1:
        raise DataError(
            f"The saddle has {negative} imaginary modes and not one: relax the band further or look at its images."
        )
    if len(start.quanta) != len(saddle.quanta):
        raise DataError("Start and saddle have different numbers of free shifts and turns, so their modes do not pair.")
    return start.quanta, saddle.quanta[1:]


def _exp(power: float) -> float:
    """Return exp(power), infinite where it overflows: a bar of 0.7 eV is a factor of exp(810) at 10 K."""
    with np.errstate(over="ignore"):
        return float(np.exp(power))


def _log_sinh(ratio: Array) -> Array:
    """Return ln[2 sinh(x/2)], which does not overflow for cold or stiff modes."""
    return np.asarray(ratio / 2 + np.log1p(-np.exp(-ratio)))


def saddle_sentence(saddle: Vibrations) -> str:
    """Return what the modes say of a structure that should be a saddle."""
    if saddle.n_imaginary == 1:
        return f"The saddle has exactly one imaginary mode, {-saddle.wavenumbers[0]:.0f}i cm⁻¹."
    listed = ", ".join(f"{-value:.0f}i" for value in saddle.wavenumbers[: saddle.n_imaginary])
    if not saddle.n_imaginary:
        lowest = saddle.wavenumbers[0]
        soft = f" (its lowest is {abs(lowest):.0f}{'i' if lowest < 0 else ''} cm⁻¹)"
        return f"The highest image has no imaginary mode{soft}: it is no saddle, or the band is flat there."
    return f"The highest image has {saddle.n_imaginary} imaginary modes ({listed} cm⁻¹): it is no simple saddle."


def along_band(saddle: Vibrations, before: Array, after: Array, masses: Array) -> float:
    """Return how well the lowest mode points along the band: 1 is parallel, 0 across.

    Parameters
    ----------
    saddle
        Its modes.
    before, after
        Positions of the images on both sides, unwrapped, Å, shape ``(n, 3)``.
    masses
        Of the atoms, amu, shape ``(n,)``.
    """
    tangent = (after - before) * np.sqrt(masses)[:, None]
    return float(abs(np.sum(tangent * saddle.modes[0])) / sqrt(np.sum(tangent**2)))
