"""Predictions with error bars straight from designs: what a study needs, without a calculator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.features.design import Design
from rung.model.errorbars import DifferenceVariance, linear_covariance, unidentified, variance_of_difference
from rung.model.posterior import Posterior
from rung.model.potential import Surface
from rung.model.readout import Readout


@dataclass(frozen=True)
class DesignPrediction:
    """What a surface says of one structure of ``n`` atoms.

    Parameters
    ----------
    energy
        eV.
    energy_variance
        eV², from the posterior of the weights and E0; infinite where E0 is not identified, NaN without a posterior.
    energy_total_variance
        The same with the model's own error, N s².
    forces
        eV/Å, shape ``(n, 3)``, or shape ``(0, 3)`` where the design holds none.
    force_variance, force_total_variance
        (eV/Å)², of each component, shape of ``forces``.
    """

    energy: float
    energy_variance: float
    energy_total_variance: float
    forces: Array
    force_variance: Array
    force_total_variance: Array


def surface_energies(designs: Sequence[Design], readout: Readout, surface: Surface, elements: Sequence[int]) -> Array:
    """Return total energies from designs, eV, shape ``(S,)``."""
    reference = np.array([_reference(surface.reference.energies, element) for element in elements])
    present = [np.where(design.composition > 0, reference, 0.0) for design in designs]
    return np.array(
        [
            design.energy @ readout.weights
            + design.composition @ energies
            + design.n_atoms * readout.constant
            + design.fixed_energy
            for design, energies in zip(designs, present, strict=True)
        ]
    )


def predict_designs(
    designs: Sequence[Design], surface: Surface, elements: Sequence[int], posterior: Posterior | None = None
) -> list[DesignPrediction]:
    """Return energies and forces of each design, with variances where there is a posterior.

    Parameters
    ----------
    designs
        Of the surface's own readout basis.
    surface
        Readout and reference energies.
    elements
        Atomic numbers in the order of ``Design.composition``: the backbone's, ascending.
    posterior
        Over the readout's weights, then ``E0[Z]`` in ascending Z.
    """
    return [_predicted(design, surface, elements, posterior) for design in designs]


def energy_gradient(design: Design) -> Array:
    """Return ∂E/∂(weights, E0) of one structure, shape ``(P + E,)``."""
    return np.concatenate([design.energy, design.composition])


def energy_covariance(designs: Sequence[Design], posterior: Posterior) -> Array:
    """Return the covariance of the structures' energies from the posterior, eV², shape ``(S, S)``.

    Rows of structures whose composition no label identifies are infinite; differences that cancel it must be
    formed from :func:`difference_variance`.
    """
    return linear_covariance(np.array([energy_gradient(design) for design in designs]), posterior)


def difference_variance(first: Design, second: Design, posterior: Posterior) -> DifferenceVariance:
    """Return the variance of ``E(first) - E(second)``; infinite where their compositions differ unidentified."""
    gradient = energy_gradient(first) - energy_gradient(second)
    return variance_of_difference(gradient, first.n_atoms + second.n_atoms, posterior)


def _predicted(
    design: Design, surface: Surface, elements: Sequence[int], posterior: Posterior | None
) -> DesignPrediction:
    readout = surface.readout
    energy = surface_energies((design,), readout, surface, elements)[0]
    forces = (design.forces @ readout.weights + design.fixed_forces).reshape(-1, 3)
    if posterior is None:
        missing = np.full_like(forces, np.nan)
        return DesignPrediction(float(energy), np.nan, np.nan, forces, missing, missing)
    gradient = energy_gradient(design)
    variance = np.inf if unidentified(gradient, posterior) else float(gradient @ posterior.covariance @ gradient)
    n_weights = len(readout.weights)
    weights = posterior.covariance[:n_weights, :n_weights]
    force_variance = np.sum((design.forces @ weights) * design.forces, axis=1).reshape(-1, 3)
    return DesignPrediction(
        float(energy),
        variance,
        variance + design.n_atoms * posterior.model_error**2,
        forces,
        force_variance,
        force_variance + posterior.force_error**2,
    )


def _reference(energies: Mapping[int, float], element: int) -> float:
    return energies.get(element, np.nan)
