"""How large force errors are where energy errors are s, from a pair of levels whose forces are known.

The low level has forces. So the same backbone is fitted to the low level's energies alone, from nothing, on the frames
whose energies of the target are known: its errors of forces and its s are those of a model of the same form that has
seen as little.
"""

from dataclasses import replace

import numpy as np

from rung.data.energy_table import NO_TABLE
from rung.data.labels import Labels
from rung.data.structure import Structure
from rung.errors import FitError
from rung.fidelity import Fidelity
from rung.fit.linear.closed_form import quadratic_solution
from rung.fit.linear.model_error import FeatureError
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Energies, WeightPrior, assemble
from rung.model.potential import Surface


def surrogate_ratio(problem: Problem, low: str) -> float:
    """Return the r.m.s. error of a force component over s, √atom/Å, what the weights' errors explain taken out.

    Parameters
    ----------
    problem
        The fit to the target; designs with forces of some frames.
    low
        The fidelity whose energies and forces the frames carry.

    Raises
    ------
    FitError
        When no frame with an energy of the target has one of ``low``, or none with a force design has its forces.
    """
    pairs = [
        (design, structure.labelled(low).forces)
        for design, structure in zip(problem.designs, problem.structures, strict=True)
        if design.has_forces and structure.labelled(low).has_forces
    ]
    labelled = set(problem.labelled.tolist())
    frames = tuple(
        structure if k in labelled else _without(structure, low) for k, structure in enumerate(problem.structures)
    )
    if not pairs or not any(frame.labelled(low).has_energy for frame in frames):
        raise FitError(
            f"force_error: surrogate needs {low}_energy of the frames that carry an energy of the target, and "
            f"{low}_forces: the training frames have none. Take force_error: assumed."
        )
    blank = problem.readout.moved(-problem.readout.weights)
    twin = replace(
        problem,
        structures=frames,
        readout=blank,
        surface=Surface(blank, problem.surface.reference),
        target=Fidelity(low),
        table=NO_TABLE,
    )
    solution = quadratic_solution(assemble((Energies(), WeightPrior()), twin))
    size = len(blank.weights)
    weights, covariance = solution.gaussian.mean[:size], solution.gaussian.covariance[:size, :size]
    error, explained, count = 0.0, 0.0, 0.0
    for design, forces in pairs:
        rest = design.forces @ weights + design.fixed_forces - design.seen(forces)
        known = np.isfinite(rest)
        error += float(np.sum(rest[known] ** 2))
        explained += float(np.sum((design.forces @ covariance * design.forces)[known]))
        count += design.components_a_row * float(known.sum())
    own = (error - explained) / count
    return float(np.sqrt(max(own, 0.0))) / solution.model_error


def with_ratio(error: FeatureError, ratio: float) -> FeatureError:
    """Return an error whose forces, smooth and rough part together, are ``ratio`` for s = 1."""
    rough = ratio**2 - error.smooth_share * error.force_ratio**2
    return replace(error, force_ratio=float(np.sqrt(max(rough, 0.0))))


def _without(structure: Structure, fidelity: str) -> Structure:
    """Return the structure without its energy of a fidelity."""
    label: Labels = structure.labelled(fidelity)
    return replace(structure, labels={**structure.labels, fidelity: replace(label, energy=np.nan)})
