"""What the fit cannot express, as a random function: the model's own error s in differences and in forces.

The energies tell s, the size per √atom of what the fit cannot follow. A random function of that size which is as likely
to lie along any direction that the features tell apart gives each difference and each force an error that the designs
know. Reference energies go with it, as they do in the fit: what they can absorb is no error. Half of s² counts as this
smooth function, half as an error of its own for each environment (:mod:`rung.model.environments`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.features.design import Design
from rung.fit.linear.problem import Problem, without_composition

SMOOTH_SHARE = 0.5
"""The share of s² that is a smooth function of the features; the rest belongs to single environments. Evidence hardly
tells them apart, and with equal shares bars cover on all test systems (docs/results/coverage.md)."""


@dataclass(frozen=True)
class FeatureError:
    """The error of an unknown function of the features whose energy has unit variance per atom.

    Parameters
    ----------
    covariance
        Over the weights and E0, for s = 1 eV/√atom, shape ``(P + E, P + E)``; zero where the features tell no frames
        apart.
    force_ratio
        R.m.s. of a force component for s = 1, √atom/Å; NaN without force designs.
    """

    covariance: Array
    force_ratio: float

    @property
    def smooth_share(self) -> float:
        """The share of s² that counts as a smooth function: none where the features tell no frames apart."""
        return SMOOTH_SHARE if self.covariance.any() else 0.0


def feature_error(problem: Problem, anchored: Sequence[Design]) -> FeatureError:
    """Return the error that a random function of the features would have, per unit s.

    The directions are those of the base's own basis: random units of a widened readout would count rough functions
    that the fit has already been given.

    Parameters
    ----------
    problem
        All training frames: their energies tell which directions the features tell apart.
    anchored
        Designs with forces.
    """
    directions = _directions(problem)
    carried = np.vstack([directions, -_absorbed(problem) @ directions])
    covariance = carried @ carried.T / max(directions.shape[1], 1)
    forces = [item.forces for item in anchored if item.has_forces]
    if not forces:
        return FeatureError(covariance, np.nan)
    n_components = sum(3 * item.n_atoms for item in anchored if item.has_forces)
    return FeatureError(covariance, _size(np.concatenate(forces) @ directions, n_components))


def probed_force_ratio(problem: Problem, derivatives: Array, n_components: int) -> float:
    """Return the ``force_ratio`` of :func:`feature_error` from derivatives of designs along random directions.

    A direction of unit variance sees the sum of squares over all components of a structure's forces, so a few stand
    for all and no design with forces is needed.

    Parameters
    ----------
    problem
        All training frames.
    derivatives
        u·∂a/∂x of a few frames, with u normal of unit variance, shape ``(k, P)``, 1/Å times the unit of the design.
    n_components
        How many components the forces of these frames have together.
    """
    return _size(derivatives @ _directions(problem), n_components)


def _size(forces: Array, n_components: int) -> float:
    """Return the r.m.s. of a component of the forces of a function of unit size in one of the directions."""
    return float(np.sqrt(np.sum(forces**2) / max(n_components * forces.shape[1], 1)))


def _directions(problem: Problem) -> Array:
    """Return changes of the weights that the features tell apart, each of unit energy per √atom, shape ``(P, d)``."""
    own = np.array([not group.endswith(".random") for group in problem.readout.groups])
    scale = problem.column_scale[own]
    rest = without_composition(problem.energy_design[:, own], problem.composition)
    rest = rest / np.sqrt(problem.n_atoms)[:, None] / scale
    eigenvalues, axes = np.linalg.eigh(rest.T @ rest / len(rest))
    kept = eigenvalues > max(1e-6 * float(eigenvalues[-1]), 1e-12)  # of columns whose size is one
    directions = np.zeros((len(own), int(kept.sum())))
    directions[own] = axes[:, kept] / np.sqrt(eigenvalues[kept]) / scale[:, None]
    return directions


def _absorbed(problem: Problem) -> Array:
    """Return how the reference energies follow a change of the weights, by least squares, shape ``(E, P)``."""
    if not len(problem.labelled):
        return np.zeros((len(problem.elements), len(problem.readout.weights)))
    data = problem.energies
    return np.asarray(np.linalg.lstsq(data.composition, data.design, rcond=None)[0])
