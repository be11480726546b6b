"""Potentials drawn from a posterior: for what is not linear in the weights, such as a relaxed barrier."""

import numpy as np

from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface


def drawn_change(posterior: Posterior, seed: int, index: int) -> Array:
    """Return one draw of all parameters less their mean, shape ``(K,)``; equal seeds and indices give equal draws.

    Along what no label identifies nothing is drawn: the mean holds, and what depends on it has no error bar.

    Raises
    ------
    ModelError
        When the fit left no error bars.
    """
    if not posterior.is_known:
        raise ModelError("A fit with a hinge band has no error bars to draw from; fit with a quadratic band.")
    values, vectors = np.linalg.eigh(0.5 * (posterior.covariance + posterior.covariance.T))
    lengths = np.sqrt(np.maximum(values, 0.0))  # rounding leaves eigenvalues of a singular covariance below zero
    normal = np.random.default_rng([seed, index]).standard_normal(len(values))
    return np.asarray(vectors @ (lengths * normal))


def committee_of(
    potential: ReadoutPotential, fidelity: str, posterior: Posterior, count: int, *, seed: int
) -> tuple[ReadoutPotential, ...]:
    """Return ``count`` potentials drawn from a posterior whose mean is the fit itself.

    Independent draws less their mean, times √(n/(n-1)): each is distributed as a draw. What is linear in the weights
    averages to what the fit says, and its mean square about that is an unbiased variance.

    Parameters
    ----------
    potential, fidelity, posterior
        As for :func:`drawn_potential`.
    count
        Two or more.
    seed
        Which draws.

    Raises
    ------
    ModelError
        When the posterior is of another readout, or one draw alone is asked for.
    """
    if count < 2:
        raise ModelError("One draw has no spread; a committee takes two or more.")
    draws = np.array([drawn_change(posterior, seed, index) for index in range(count)])
    changes = (draws - draws.mean(axis=0)) * np.sqrt(count / (count - 1.0))
    return tuple(_moved(potential, fidelity, posterior, change) for change in changes)


def drawn_potential(
    potential: ReadoutPotential, fidelity: str, posterior: Posterior, *, seed: int, index: int
) -> ReadoutPotential:
    """Return ``potential`` with the weights and reference energies of ``fidelity`` drawn from ``posterior``.

    Parameters
    ----------
    potential
        What was fitted; its weights are the posterior's mean.
    fidelity
        The fidelity that ``posterior`` is of; the others stay as they are.
    posterior
        Its first parameters are the weights of the readout, the rest are named ``E0[Z]``.
    seed, index
        Which draw.

    Raises
    ------
    ModelError
        When the posterior is of another readout.
    """
    return _moved(potential, fidelity, posterior, drawn_change(posterior, seed, index))


def _moved(potential: ReadoutPotential, fidelity: str, posterior: Posterior, change: Array) -> ReadoutPotential:
    surface = potential.surface(fidelity)
    size = len(surface.readout.weights)
    if posterior.parameters[:size] != surface.readout.parameters:
        raise ModelError(f"The posterior is not that of the readout of {fidelity!r}, so no draw of it can be made.")
    reference = surface.reference.moved(posterior.elements, change[size:])
    moved = Surface(surface.readout.moved(change[:size]), reference)
    return potential.with_surface(fidelity, moved)
