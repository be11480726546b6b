"""The anchored forces of a fit as rows that are linear in the weights: every component, or random directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rung.data.labels import Array
from rung.fit.linear.anchor import AnchorForces, Direction, Scale, Transform, processed
from rung.fit.linear.problem import Problem


@dataclass(frozen=True)
class AnchoredRows:
    """What a band is made of: ``m`` numbers that are linear in the forces of the anchored atoms.

    Parameters
    ----------
    design
        Their derivatives by the weights, eV/Å per unit weight, shape ``(m, P)``.
    departure
        The anchor less the base, eV/Å, shape ``(m,)``.
    directions
        How the anchor is uncertain, forces of shape ``(m,)``.
    n_atoms
        How many atoms are anchored.
    typical
        R.m.s. length of the anchor's force on an atom, eV/Å.
    """

    design: Array
    departure: Array
    directions: tuple[Direction, ...]
    n_atoms: int
    typical: float

    @cached_property
    def gram(self) -> Array:
        """BᵀB, or its unbiased estimate, shape ``(P, P)``."""
        return self.design.T @ self.design


def band_weight(gram: Array, n_atoms: int) -> float:
    """Return P/n_F: the rank of the force designs' ``gram`` over the number of anchored atoms."""
    eigenvalues = np.linalg.eigvalsh(gram)
    return int(np.sum(eigenvalues > 1e-10 * eigenvalues.max(initial=0.0))) / n_atoms


def anchored_rows(
    anchor: str, transforms: Sequence[Transform], problem: Problem, chosen: Sequence[int]
) -> AnchoredRows | None:
    """Return the rows of the frames ``chosen``; None where there are none.

    Parameters
    ----------
    anchor
        ``base``, or the fidelity whose labels anchor.
    transforms
        What the anchor goes through; where forces were probed, scales alone.
    problem
        Frames and their designs.
    chosen
        Positions of the frames that anchor.
    """
    if not len(chosen):
        return None
    if problem.designs[chosen[0]].is_probed:
        return _probed(anchor, transforms, problem, chosen)
    forces, design = gather_anchor(anchor, transforms, problem, chosen)
    kept = np.repeat(forces.kept, 3)
    return AnchoredRows(
        design[kept],
        (forces.forces - forces.base).ravel()[kept],
        tuple(Direction(one.name, one.forces.ravel()[kept], one.stderr) for one in forces.directions),
        int(forces.kept.sum()),
        float(np.sqrt(np.mean(np.sum(forces.forces[forces.kept] ** 2, axis=1)))),
    )


def gather_anchor(
    anchor: str, transforms: Sequence[Transform], problem: Problem, chosen: Sequence[int]
) -> tuple[AnchorForces, Array]:
    """Return the processed anchor and the force design of its atoms, shape ``(3n, P)``."""
    design = np.concatenate([problem.designs[k].forces for k in chosen])
    fixed = np.concatenate([problem.designs[k].fixed_forces for k in chosen])
    base = (design @ problem.readout.weights + fixed).reshape(-1, 3)
    forces = base
    if anchor != "base":
        forces = np.concatenate([problem.structures[k].labelled(anchor).forces for k in chosen])
    gathered = AnchorForces(
        forces=forces,
        base=base,
        numbers=np.concatenate([problem.structures[k].atoms.numbers for k in chosen]),
        positions=np.concatenate([problem.structures[k].atoms.positions for k in chosen]),
        frame=np.repeat(np.arange(len(chosen)), [len(problem.structures[k]) for k in chosen]),
        kept=np.ones(len(base), dtype=bool),
    )
    return processed(gathered, transforms), design


def _probed(anchor: str, transforms: Sequence[Transform], problem: Problem, chosen: Sequence[int]) -> AnchoredRows:
    """Return the rows along random directions, through transforms that know no single atoms."""
    designs = [problem.designs[k] for k in chosen]
    design = np.concatenate([one.forces for one in designs])
    base = design @ problem.readout.weights + np.concatenate([one.fixed_forces for one in designs])
    forces = base
    if anchor != "base":
        labels = [problem.structures[k].labelled(anchor).forces for k in chosen]
        if transforms:  # as for single atoms: what has been changed has no net force
            labels = [one - one.mean(axis=0) for one in labels]
        forces = np.concatenate(
            [one.sketch @ label.ravel() for one, label in zip(designs, labels, strict=True) if one.sketch is not None]
        )
    directions = list[Direction]()
    for transform in transforms:
        assert isinstance(transform, Scale)  # noqa: S101 - others are never probed, see Band.sees_atoms
        if transform.stderr:
            directions.append(Direction("scale", forces, transform.stderr))
        forces = transform.value * forces
    n_atoms = sum(one.n_atoms for one in designs)
    typical = float(np.sqrt(np.sum(forces**2) / n_atoms))
    return AnchoredRows(design, forces - base, tuple(directions), n_atoms, typical)
