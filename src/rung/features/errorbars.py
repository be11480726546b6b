"""Error bars of energies and forces, which are linear in the fitted weights and reference energies, from designs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from rung.data.batch import collate
from rung.data.elements import symbols
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.design import Design
from rung.features.passes import build_designs
from rung.features.pulls import Pull
from rung.model.domain import Domain, Place
from rung.model.draws import drawn_change, drawn_potential
from rung.model.environments import overlaps
from rung.model.errorbars import (
    EnergyVariance,
    ModelErrorKind,
    linear_covariance,
    variance_of_sum,
    with_model_error,
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
        raise ModelError(f"The fit had no reference energy for {symbols(missing)}, so no error bar is known.")
    return np.concatenate([design.energy, [counts.get(number, 0.0) for number in posterior.elements]])


def force_variance(design: Design, posterior: Posterior, *, model_error: bool = False) -> Array:
    """Return the variance of each component of the forces, (eV/Å)², shape ``(n, 3)``.

    Parameters
    ----------
    design
        With forces, of the readout whose weights are the posterior's first parameters.
    posterior
        Of the parameters.
    model_error
        Whether the model's own error counts; without, it is the variance that the weights give.
    """
    n_weights = design.forces.shape[1]
    weights = (posterior.total if model_error else posterior.covariance)[:n_weights, :n_weights]
    variance = np.maximum(np.sum((design.forces @ weights) * design.forces, axis=1), 0.0).reshape(-1, 3)
    return np.asarray(variance + posterior.force_error**2 if model_error else variance)


def shared_environments(designs: Sequence[Design], posterior: Posterior) -> Array:
    """Return Σ_ij k(i, j) over the atoms of each two structures, shape ``(S, S)``.

    Where the posterior does not know which environments are alike, or the designs hold no features of their atoms,
    each atom stands for itself, and only one and the same geometry shares.
    """
    atoms = [design.atoms for design in designs]
    kernel = posterior.environments
    if kernel is not None and all(one is not None for one in atoms):
        return overlaps([kernel.environments(one.features, one.numbers) for one in atoms if one is not None])
    energies = np.array([np.concatenate([design.energy, design.composition]) for design in designs])
    _, geometry = np.unique(energies, axis=0, return_inverse=True)
    sizes = np.array([float(design.n_atoms) for design in designs])
    return np.where(geometry[:, None] == geometry[None, :], sizes[:, None], 0.0)


def places_in(domain: Domain, designs: Sequence[Design]) -> list[Place | None]:
    """Return where the structures of designs lie in ``domain``; None for a design that holds no features of atoms."""
    return [
        None
        if design.atoms is None
        else domain.place(design.energy, design.composition, design.atoms.features, design.atoms.numbers)
        for design in designs
    ]


@dataclass(frozen=True)
class JointEnergies:
    """How uncertain the energies of ``S`` structures are together, as linear functions of ``K`` parameters.

    Parameters
    ----------
    gradients
        ∂E/∂(weights, E0), shape ``(S, K)``.
    overlaps
        How much of the model's rough error each two structures share, in atoms, shape ``(S, S)``.
    posterior
        Of the parameters.
    """

    gradients: Array
    overlaps: Array
    posterior: Posterior

    def covariance(self, model_error: ModelErrorKind = "none") -> Array:
        """Return the covariance of the energies, eV², shape ``(S, S)``, with the model's own error or without.

        Rows of structures whose composition no label identifies are infinite; differences that cancel it must be
        formed by :meth:`combination_variance`.
        """
        if not with_model_error(model_error):
            return linear_covariance(self.gradients, self.posterior)
        smooth = linear_covariance(self.gradients, self.posterior, model_error=True)
        return np.asarray(smooth + self.posterior.rough_variance * self.overlaps)

    def finite_covariance(self, variance: float) -> Array:
        """Return the covariance with the model's own error, where what no label identifies has this variance, eV²."""
        return replace(self, posterior=self.posterior.identified(variance)).covariance("total")

    def combination_variance(self, coefficients: Sequence[float]) -> EnergyVariance:
        """Return the variance of Σ c E, eV²; infinite where it depends on what no label identifies."""
        factors = np.asarray(coefficients, dtype=float)
        return variance_of_sum(factors @ self.gradients, float(factors @ self.overlaps @ factors), self.posterior)

    def changes(self, count: int, *, seed: int = 0) -> Array:
        """Return the changes of the energies on ``count`` draws from the posterior, eV, shape ``(count, S)``."""
        draws = [drawn_change(self.posterior, seed, index) for index in range(count)]
        return np.array(draws) @ self.gradients.T


def joint_energies(designs: Sequence[Design], elements: Sequence[int], posterior: Posterior) -> JointEnergies:
    """Return the joint uncertainty of the energies of several designs; arguments as for :func:`energy_gradient`."""
    gradients = [energy_gradient(design, elements, posterior) for design in designs]
    return JointEnergies(np.array(gradients), shared_environments(designs, posterior), posterior)


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

    def joint(self, structures: Sequence[Structure], pulls: Sequence[Pull]) -> JointEnergies:
        """Return the joint uncertainty of energies and then of forces.

        The rough part of a force's own error is not in it: no energy tells of it.
        """
        energies = self.energies(structures)
        designs = self._designs([pull.structure for pull in pulls], forces=True)
        rows = np.zeros((len(pulls), energies.gradients.shape[1]))
        for row, pull, design in zip(rows, pulls, designs, strict=True):
            row[: design.forces.shape[1]] = pull.direction.ravel() @ design.forces
        overlaps = np.zeros((len(structures) + len(pulls),) * 2)
        overlaps[: len(structures), : len(structures)] = energies.overlaps
        return JointEnergies(np.vstack([energies.gradients, rows]), overlaps, self.posterior)

    def places(self, structures: Sequence[Structure]) -> list[Place | None]:
        """Return where structures lie, seen from those of the fit; None for each where the fit did not keep it."""
        domain = self.posterior.domain
        return (
            [None] * len(structures) if domain is None else places_in(domain, self._designs(structures, forces=False))
        )

    def forces_stderr(self, structure: Structure, *, model_error: bool = True) -> Array:
        """Return the one-sigma error of each component of the forces, eV/Å, shape ``(n, 3)``."""
        (design,) = self._designs([structure], forces=True)
        return np.sqrt(force_variance(design, self.posterior, model_error=model_error))

    def draw(self, index: int, *, seed: int = 0) -> ReadoutPotential:
        """Return the potential with the weights and reference energies of the draw number ``index``."""
        return drawn_potential(self.potential, self.fidelity, self.posterior, seed=seed, index=index)

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
        alike = self.posterior.environments is not None or self.posterior.domain is not None
        return build_designs(structures, backbone, readout, forces=forces, fidelity=self.fidelity, keep_features=alike)
