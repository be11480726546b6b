"""Predictions with error bars straight from designs: what a study needs, without a calculator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.features.design import Design
from rung.features.errorbars import energy_gradient, force_variance, joint_energies, shared_environments
from rung.model.errorbars import EnergyVariance, against_labels, variance_of_sum
from rung.model.posterior import Posterior
from rung.model.potential import Surface
from rung.model.readout import Readout


@dataclass(frozen=True)
class DesignPrediction:
    """What a surface predicts for one structure of ``n`` atoms.

    Parameters
    ----------
    energy
        eV.
    energy_variance
        eV², from the posterior of the weights and E0; infinite where E0 is not identified, NaN without a posterior.
    energy_total_variance
        The same with the model's own error.
    energy_label_variance
        The same for the difference to a label of the fidelity, which shares what all labels share.
    forces
        eV/Å, shape ``(n, 3)``, or shape ``(0, 3)`` where the design holds none.
    force_variance, force_total_variance
        (eV/Å)², of each component, shape of ``forces``.
    """

    energy: float
    energy_variance: float
    energy_total_variance: float
    energy_label_variance: float
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
        Over the readout's weights, then ``E0[Z]``.

    Raises
    ------
    ModelError
        When a structure has an element whose E0 the posterior does not have.
    """
    return [_predicted(design, surface, elements, posterior) for design in designs]


def difference_variance(first: Design, second: Design, elements: Sequence[int], posterior: Posterior) -> EnergyVariance:
    """Return the variance of ``E(first) - E(second)``; infinite where their compositions differ unidentified."""
    return joint_energies([first, second], elements, posterior).combination_variance([1.0, -1.0])


def _predicted(
    design: Design, surface: Surface, elements: Sequence[int], posterior: Posterior | None
) -> DesignPrediction:
    readout = surface.readout
    energy = surface_energies((design,), readout, surface, elements)[0]
    forces = (design.forces @ readout.weights + design.fixed_forces).reshape(-1, 3)
    if posterior is None:
        missing = np.full_like(forces, np.nan)
        return DesignPrediction(float(energy), np.nan, np.nan, np.nan, forces, missing, missing)
    gradient = energy_gradient(design, elements, posterior)
    variance = variance_of_sum(gradient, float(shared_environments([design], posterior)[0, 0]), posterior)
    return DesignPrediction(
        float(energy),
        variance.weights,
        variance.total,
        against_labels(variance.total, gradient, posterior),
        forces,
        force_variance(design, posterior),
        force_variance(design, posterior, model_error=True),
    )


def _reference(energies: Mapping[int, float], element: int) -> float:
    return energies.get(element, np.nan)
