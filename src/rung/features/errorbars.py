"""Error bars of energies and forces, which are linear in the fitted weights and reference energies, from designs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.design import Design
from rung.features.passes import build_designs
from rung.model.draws import drawn_change
from rung.model.errorbars import (
    DifferenceVariance,
    ModelErrorKind,
    linear_covariance,
    model_error_covariance,
    variance_of_difference,
)
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface


def energy_gradient(design: Design, elements: Sequence[int], posterior: Posterior) -> Array:
    """Return ∂E/∂(weights, E0) of one structure in the order of the posterior's parameters, shape ``(K,)``.

    Parameters
    ----------
    design
        Of the readout whose weights are the posterior's first parameters.
    elements
        Atomic numbers in the order of ``Design.composition``: the backbone's, ascending.
    posterior
        Its ``E0[Z]`` may stand in any order.

    Raises
    ------
    ModelError
        When the structure has an element whose E0 the fit did not have.
    """
    counts = dict(zip(elements, design.composition, strict=True))
    missing = sorted(number for number, count in counts.items() if count and number not in posterior.elements)
    if missing:
        raise ModelError(f"The fit had no reference energy for the atomic numbers {missing}, so no error bar is known.")
    return np.concatenate([design.energy, [counts.get(number, 0.0) for number in posterior.elements]])


def force_variance(design: Design, posterior: Posterior) -> Array:
    """Return the variance that the weights give to each component of the forces, (eV/Å)², shape ``(n, 3)``."""
    n_weights = design.forces.shape[1]
    weights = posterior.covariance[:n_weights, :n_weights]
    return np.maximum(np.sum((design.forces @ weights) * design.forces, axis=1), 0.0).reshape(-1, 3)


@dataclass(frozen=True)
class JointEnergies:
    """How uncertain the energies of ``S`` structures are together, as linear functions of ``K`` parameters.

    Parameters
    ----------
    gradients
        ∂E/∂(weights, E0), shape ``(S, K)``.
    n_atoms
        Atoms of each structure, shape ``(S,)``.
    posterior
        Of the parameters.
    """

    gradients: Array
    n_atoms: Array
    posterior: Posterior

    def covariance(self, model_error: ModelErrorKind = "none") -> Array:
        """Return the covariance of the energies, eV², shape ``(S, S)``, with the model's own error as asked for.

        Rows of structures whose composition no label identifies are infinite; differences that cancel it must be
        formed by :meth:`combination_variance`.
        """
        weights = linear_covariance(self.gradients, self.posterior)
        return weights + model_error_covariance(self.gradients, self.n_atoms, self.posterior, model_error)

    def combination_variance(self, coefficients: Sequence[float]) -> DifferenceVariance:
        """Return the variance of Σ c E, eV²; infinite where it depends on what no label identifies."""
        factors = np.asarray(coefficients, dtype=float)
        return variance_of_difference(factors @ self.gradients, float(factors**2 @ self.n_atoms), self.posterior)

    def changes(self, count: int, *, seed: int = 0) -> Array:
        """Return the changes of the energies on ``count`` draws from the posterior, eV, shape ``(count, S)``."""
        draws = [drawn_change(self.posterior, seed, index) for index in range(count)]
        return np.array(draws) @ self.gradients.T


def joint_energies(designs: Sequence[Design], elements: Sequence[int], posterior: Posterior) -> JointEnergies:
    """Return the joint uncertainty of the energies of several designs; arguments as for :func:`energy_gradient`."""
    gradients = [energy_gradient(design, elements, posterior) for design in designs]
    return JointEnergies(np.array(gradients), np.array([float(design.n_atoms) for design in designs]), posterior)


@dataclass(frozen=True)
class PosteriorErrors:
    """The error bars of one fidelity of a potential, for structures that have no design yet.

    Parameters
    ----------
    potential
        What was fitted.
    fidelity
        Which of its fidelities.
    posterior
        Of the weights and reference energies of that fidelity.

    Raises
    ------
    ModelError
        When the posterior is of another readout.
    """

    potential: ReadoutPotential
    fidelity: str
    posterior: Posterior

    def __post_init__(self) -> None:
        """Refuse a posterior of other weights."""
        parameters = self.surface.readout.parameters
        if self.posterior.parameters[: len(parameters)] != parameters:
            raise ModelError(f"The posterior is not that of the readout of {self.fidelity!r}; it gives no error bars.")

    @property
    def surface(self) -> Surface:
        """The readout and reference energies that the posterior is of."""
        return self.potential.surface(self.fidelity)

    def energies(self, structures: Sequence[Structure]) -> JointEnergies:
        """Return the joint uncertainty of the energies of ``structures``."""
        return joint_energies(self._designs(structures, forces=False), sorted(self.potential.elements), self.posterior)

    def forces_stderr(self, structure: Structure, *, model_error: bool = True) -> Array:
        """Return the one-sigma error of each component of the forces, eV/Å, shape ``(n, 3)``."""
        (design,) = self._designs([structure], forces=True)
        extra = self.posterior.force_error**2 if model_error else 0.0
        return np.sqrt(force_variance(design, self.posterior) + extra)

    def atom_energies_stderr(self, structure: Structure) -> Array:
        """Return √(hᵀΣh) of each atom, eV, shape ``(n,)``, where h are its energy's derivatives by the weights."""
        backbone = self.potential.backbone
        batch = collate([structure], [self.fidelity], backbone.cutoff, dtype=backbone.dtype, device=backbone.device)
        with torch.no_grad():
            basis = self.surface.readout.basis(backbone.features(batch)).double().cpu().numpy()
        weights = self.posterior.covariance[: basis.shape[1], : basis.shape[1]]
        variance = np.einsum("ip,pq,iq->i", basis, weights, basis, optimize=True)
        return np.sqrt(np.maximum(variance, 0.0))

    def _designs(self, structures: Sequence[Structure], *, forces: bool) -> list[Design]:
        backbone, readout = self.potential.backbone, self.surface.readout
        return build_designs(structures, backbone, readout, forces=forces, fidelity=self.fidelity)
