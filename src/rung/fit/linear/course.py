"""The way of a network's weights from the base to where its energies are those of a linear fit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rung.data.batch import Batch, by_atoms
from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix
from rung.fit.linear.problem import without_composition
from rung.fit.linear.walk import walk
from rung.model.predictions import collated, predict_rows
from rung.model.trainable import TrainablePotential

CLOSE_ENOUGH = 0.2
"""How near the network comes to the linear fit of the labelled energies, in units of the model's own error."""

ATOMS_AT_ONCE = 200
"""Atoms of structures that go through the network together: each step of the way asks for all energies anew, and a pass
for one molecule costs nearly as much as one for fifty."""


@dataclass(frozen=True)
class Arrival:
    """Where the weights have come to.

    Parameters
    ----------
    curvature
        R.m.s. by which the network's energies leave the linear fit, eV/√atom, apart from E0: of the labelled structures
        or of the inspected ones, whichever is larger.
    change
        How far the energies of the labelled structures have moved, eV, shape ``(n,)``.
    """

    curvature: float
    change: Array


@dataclass(frozen=True)
class Course:
    """A network whose weights follow a linear fit of its energies.

    Parameters
    ----------
    model
        Its weights are those of the base at first.
    start
        The base's tensors that move, by name.
    fidelity
        Of the energies.
    labelled, inspected
        The structures of the fit, and others that show what happens between them.
    before, inspected_before
        The base's energies of both, eV.
    rows, inspected_rows
        Their derivatives by the moving weights, shapes ``(n, p)`` and ``(m, p)``.
    elements
        Atomic numbers whose reference energies are fitted.
    """

    model: TrainablePotential
    start: Mapping[str, torch.Tensor]
    fidelity: str
    labelled: Sequence[Structure]
    inspected: Sequence[Structure]
    before: Array
    inspected_before: Array
    rows: Array
    inspected_rows: Array
    elements: Sequence[int]

    def follow(self, step: Array, model_error: float) -> Arrival:
        """Move the weights by ``step``, shape ``(p,)``, and on until the labelled energies are those of the tangent.

        Parameters
        ----------
        step
            Of the moving weights, from the base.
        model_error
            s, eV/√atom, which tells how near is near enough.
        """
        straight = self.rows @ step

        def moved(coefficients: Array) -> Array:
            return np.asarray(step + (coefficients @ self._contrasts) @ self.rows)

        def misfit(coefficients: Array) -> Array:
            self.place(moved(coefficients))
            return np.asarray(self._contrasts @ (straight - self._energies(self._labelled) + self.before))

        arrived = walk(self._kernel, misfit, CLOSE_ENOUGH * model_error)
        self.place(moved(arrived.coefficients))
        change = self._energies(self._labelled) - self.before
        beside = self._energies(self._inspected) - self.inspected_before - self.inspected_rows @ step
        return Arrival(self._curvature(change - straight, beside), change)

    def place(self, step: Array) -> None:
        """Put the base's weights, moved by ``step``, into the model."""
        tensors = dict(self.model.named_parameters())
        moved, position = torch.as_tensor(step), 0
        with torch.no_grad():
            for name, origin in self.start.items():
                share = moved[position : position + origin.numel()].view(origin.shape).to(origin.device)
                tensors[name].copy_((origin.double() + share).to(origin.dtype))
                position += origin.numel()

    @cached_property
    def _sizes(self) -> Array:
        return np.sqrt([len(structure) for structure in [*self.labelled, *self.inspected]])

    @cached_property
    def _composition(self) -> Array:
        """Atoms of each element over √N of all structures, the labelled ones first."""
        composition = composition_matrix([*self.labelled, *self.inspected], self.elements)
        return np.asarray(composition / self._sizes[:, None])

    @cached_property
    def _contrasts(self) -> Array:
        """Combinations of labelled energies that no E0 touches, of unit size per √atom, shape ``(k, n)``."""
        count = len(self.labelled)
        left, singular, _ = np.linalg.svd(self._composition[:count], full_matrices=True)
        rank = int(np.sum(singular > 1e-10 * singular.max(initial=0.0)))
        return np.asarray(left[:, rank:].T / self._sizes[:count])

    @cached_property
    def _kernel(self) -> Array:
        """Products of the rows of the contrasts, shape ``(k, k)``."""
        return np.asarray(self._contrasts @ (self.rows @ self.rows.T) @ self._contrasts.T)

    def _curvature(self, labelled: Array, inspected: Array) -> float:
        count = len(labelled)
        rest = np.concatenate([labelled, inspected]) / self._sizes
        apart = without_composition(rest[:, None], self._composition)[:, 0]
        parts = [part for part in (apart[:count], apart[count:]) if len(part)]
        return max(float(np.sqrt(np.mean(part**2))) for part in parts)

    @cached_property
    def _labelled(self) -> Sequence[Batch]:
        return self._collated(self.labelled)

    @cached_property
    def _inspected(self) -> Sequence[Batch]:
        return self._collated(self.inspected)

    def _collated(self, structures: Sequence[Structure]) -> Sequence[Batch]:
        """Return batches that keep their neighbours, for the positions stay as they are on the way."""
        return [*collated(self.model, by_atoms(structures, ATOMS_AT_ONCE), self.fidelity)]

    def _energies(self, batches: Iterable[Batch]) -> Array:
        return np.array([one.energy for one in predict_rows(self.model, batches, forces=False)])
