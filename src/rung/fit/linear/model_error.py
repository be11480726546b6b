"""What the features cannot express, in forces: the model's own error s turned into eV/Å.

The energies tell s, the size per √atom of what the fit cannot follow. A function of that size which is as likely to
lie along any direction that the features tell apart has forces of a size that the designs know: the mean, over the
whitened directions, of the force variance for unit energy variance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.features.design import Design
from rung.fit.linear.problem import Problem, without_composition


@dataclass(frozen=True)
class FeatureError:
    """The error of an unknown function of the features whose energy has unit variance per atom.

    Parameters
    ----------
    covariance
        Over the weights, for s = 1 eV/√atom, shape ``(P, P)``.
    force_ratio
        R.m.s. of a force component for s = 1, √atom/Å; NaN without force designs.
    """

    covariance: Array
    force_ratio: float


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
    own = np.array([not group.endswith(".random") for group in problem.readout.groups])
    scale = problem.column_scale[own]
    composition, design = problem.composition, problem.energy_design[:, own]
    rest = without_composition(design, composition)
    rest = rest / np.sqrt(problem.n_atoms)[:, None] / scale
    eigenvalues, axes = np.linalg.eigh(rest.T @ rest / len(rest))
    kept = eigenvalues > 1e-6 * max(float(eigenvalues[-1]), 1e-300)
    directions = np.zeros((len(own), int(kept.sum())))
    directions[own] = axes[:, kept] / np.sqrt(eigenvalues[kept]) / scale[:, None]
    covariance = directions @ directions.T / kept.sum()
    forces = [item.forces for item in anchored if item.has_forces]
    if not forces:
        return FeatureError(covariance, np.nan)
    stacked = np.concatenate(forces) @ directions
    return FeatureError(covariance, float(np.sqrt(np.mean(stacked**2, axis=0).mean())))
