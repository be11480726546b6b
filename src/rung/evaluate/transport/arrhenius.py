"""Activation energies: a straight line through ln D against 1/kT, with the errors of the points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rung.data.labels import Array
from rung.errors import DataError
from rung.evaluate.transport.analysis import Transport, Value
from rung.units import BOLTZMANN


@dataclass(frozen=True)
class Arrhenius:
    """A rate A exp(−E/kT).

    Parameters
    ----------
    activation_energy, activation_energy_stderr
        E and its one-sigma error, eV.
    log_prefactor, log_prefactor_stderr
        ln A and its error, A in the unit of the rate.
    covariance
        Of (ln A, E), shape ``(2, 2)``.
    scale
        The factor, never below one, by which points that scatter more than their errors widened all errors; 1 where two
        points leave nothing to scatter.
    temperatures
        Where the rate was measured, K.
    """

    activation_energy: float
    activation_energy_stderr: float
    log_prefactor: float
    log_prefactor_stderr: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    scale: float
    temperatures: tuple[float, ...]

    def at(self, temperature: float) -> tuple[float, float]:
        """Return the rate at a temperature in K and its one-sigma error; beyond the measured ones it is a guess."""
        slope = -1.0 / (BOLTZMANN * temperature)
        value = float(np.exp(self.log_prefactor + slope * self.activation_energy))
        gradient = np.array([1.0, slope])
        return value, value * float(np.sqrt(gradient @ np.array(self.covariance) @ gradient))


def fit_arrhenius(temperatures: ArrayLike, rates: ArrayLike, stderrs: ArrayLike) -> Arrhenius:
    """Fit A exp(−E/kT) by least squares in the logarithm, each point weighed by its error.

    Parameters
    ----------
    temperatures
        K, at least two different ones, shape ``(n,)``.
    rates, stderrs
        Rates of any unit and their one-sigma errors, shape ``(n,)``.

    Raises
    ------
    DataError
        When there are fewer than two temperatures, or a rate or an error is not positive.
    """
    kelvin, values, errors = (np.asarray(one, dtype=float) for one in (temperatures, rates, stderrs))
    if len(set(kelvin.tolist())) < 2:
        raise DataError("An activation energy needs at least two temperatures.")
    if not (values > 0).all() or not (errors > 0).all() or not np.isfinite(values + errors).all():
        raise DataError(
            "An activation energy needs rates above zero, each with an error; leave out those that are not."
        )
    design = np.column_stack([np.ones_like(kelvin), -1.0 / (BOLTZMANN * kelvin)])
    relative = errors / values
    weighted = design / relative[:, np.newaxis]
    covariance = np.linalg.inv(weighted.T @ weighted)
    found = covariance @ (weighted.T @ (np.log(values) / relative))
    freedom = len(kelvin) - 2
    left = (np.log(values) - design @ found) / relative
    scale = max(1.0, float(np.sqrt(left @ left / freedom))) if freedom else 1.0
    return _result(found, covariance * scale**2, scale, kelvin.tolist())


@dataclass(frozen=True)
class Activation:
    """What temperatures say of one quantity.

    Parameters
    ----------
    quantity
        Its name and unit.
    fit
        The line through the values, with their statistical errors.
    activation_energy
        Of the fit, eV, with the scatter of fits to each draw of the potential where there are draws.
    extrapolated
        Value and error at other temperatures, by temperature in K; the error has the scatter of these fits, too.
    """

    quantity: str
    fit: Arrhenius
    activation_energy: Value
    extrapolated: Mapping[float, tuple[float, float]]


ACTIVATED = {
    "tracer_diffusivity": ("tracer diffusivity, cm²/s", False),
    "conductivity": ("conductivity times temperature, S K/cm", True),
}
"""Quantities that follow Arrhenius: their name, and whether they do once multiplied by the temperature."""


def activations(results: Sequence[Transport], extrapolate: Sequence[float] = ()) -> dict[str, Activation]:
    """Return activation energies of the diffusivity and the conductivity, as far as temperatures allow.

    Parameters
    ----------
    results
        One a temperature; those where nothing diffuses, or a value is not above zero, are left out.
    extrapolate
        Temperatures at which the fit is evaluated, K.
    """
    found = {}
    for name, (quantity, times_temperature) in ACTIVATED.items():
        usable = [one for one in results if getattr(one, name).value > 0 and getattr(one, name).stderr > 0]
        if len(usable) < 2:
            continue
        fit = _fit_values(usable, [getattr(one, name) for one in usable], times_temperature)
        of_draws = _fits_of_draws(usable, name, times_temperature)
        points = {kelvin: _at(kelvin, fit, of_draws) for kelvin in extrapolate}
        found[name] = Activation(quantity, fit, _with_draws(fit, of_draws), points)
    return found


def _fit_values(results: Sequence[Transport], values: Sequence[Value], times_temperature: bool) -> Arrhenius:
    kelvin = np.array([one.temperature for one in results])
    factor = kelvin if times_temperature else np.ones_like(kelvin)
    return fit_arrhenius(
        kelvin, factor * np.array([one.value for one in values]), factor * np.array([one.stderr for one in values])
    )


def _fits_of_draws(results: Sequence[Transport], name: str, times_temperature: bool) -> list[Arrhenius]:
    """Return the fit of each draw of the potential that all temperatures have, where all its values are above zero."""
    fits = []
    for draw in sorted(set.intersection(*(set(one.by_draw) for one in results))):
        values = [one.by_draw[draw][name] for one in results]
        if all(value.value > 0 for value in values):
            fits.append(_fit_values(results, values, times_temperature))
    return fits


def _with_draws(fit: Arrhenius, of_draws: Sequence[Arrhenius]) -> Value:
    stderr = fit.activation_energy_stderr
    scatter = _scatter([(one.activation_energy, one.activation_energy_stderr) for one in of_draws])
    if scatter is None:
        return Value(fit.activation_energy, stderr, stderr_total=stderr)
    between, model = scatter
    return Value(fit.activation_energy, stderr, float(np.sqrt(model)), float(np.sqrt(max(between, stderr**2))))


def _at(temperature: float, fit: Arrhenius, of_draws: Sequence[Arrhenius]) -> tuple[float, float]:
    """Return the rate at a temperature in K and its error, that of the model counted, in the logarithm."""
    value, stderr = fit.at(temperature)
    rates = [one.at(temperature) for one in of_draws]
    scatter = _scatter([(float(np.log(rate)), error / rate) for rate, error in rates])
    return value, stderr if scatter is None else value * float(np.sqrt(max(scatter[0], (stderr / value) ** 2)))


def _scatter(found: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the variance of values between draws, and this less their own errors squared; None of fewer than two."""
    if len(found) < 2:
        return None
    values, errors = np.array(found).T
    between = float(np.var(values, ddof=1))
    return between, max(between - float(np.mean(errors**2)), 0.0)


def _result(found: Array, covariance: Array, scale: float, temperatures: Sequence[float]) -> Arrhenius:
    errors = np.sqrt(np.diag(covariance))
    (a, b), (c, d) = covariance.tolist()
    return Arrhenius(
        activation_energy=float(found[1]),
        activation_energy_stderr=float(errors[1]),
        log_prefactor=float(found[0]),
        log_prefactor_stderr=float(errors[0]),
        covariance=((a, b), (c, d)),
        scale=scale,
        temperatures=tuple(temperatures),
    )
