"""Potentials drawn from a posterior: for what is not linear in the weights, such as a relaxed barrier."""

import numpy as np

from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface


def drawn_change(posterior: Posterior, seed: int, index: int) -> Array:
    """Return one draw of all parameters less their mean, shape ``(K,)``; equal seeds and indices give equal draws.

    Along what no label identifies nothing is drawn: the mean holds, and what depends on it has no error bar.
    """
    values, vectors = np.linalg.eigh(0.5 * (posterior.covariance + posterior.covariance.T))
    lengths = np.sqrt(np.maximum(values, 0.0))  # rounding leaves eigenvalues of a singular covariance below zero
    normal = np.random.default_rng([seed, index]).standard_normal(len(values))
    return np.asarray(vectors @ (lengths * normal))


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
    surface = potential.surface(fidelity)
    size = len(surface.readout.weights)
    if posterior.parameters[:size] != surface.readout.parameters:
        raise ModelError(f"The posterior is not that of the readout of {fidelity!r}, so no draw of it can be made.")
    change = drawn_change(posterior, seed, index)
    reference = surface.reference.moved(posterior.elements, change[size:])
    moved = Surface(surface.readout.moved(change[:size]), reference)
    return potential.with_surface(fidelity, moved)
