"""Error bars of a tangent fit: of energies by one reverse pass each, of forces by draws of a linear function.

All of it is linear in the weights at the base. Weights drawn and put into the network would not do: the network curves
further than the posterior is wide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rung.data.batch import Batch, collate
from rung.data.elements import symbols
from rung.data.labels import Array
from rung.data.structure import Structure, composition_matrix
from rung.errors import ModelError
from rung.features.design import Design
from rung.features.errorbars import places_in, shared_environments
from rung.features.passes import build_designs
from rung.features.pulls import Pull
from rung.features.weights import Row, changes_along, energy_row, force_row, group_members
from rung.model.domain import Place
from rung.model.draws import drawn_change
from rung.model.errorbars import (
    EnergyVariance,
    ModelErrorKind,
    against_labels,
    linear_covariance,
    unidentified,
    with_model_error,
)
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Prediction
from rung.model.tangent import TangentPosterior
from rung.model.trainable import TrainablePotential
from rung.storage import content_hash

DRAWS = 32
"""How many draws stand for the variance of forces and of atoms' energies: a bar is then known to 12 %."""


@dataclass(frozen=True)
class TangentErrors:
    """The error bars of a fidelity whose fit was a tangent fit.

    Parameters
    ----------
    potential
        What was fitted.
    fidelity
        Which of its fidelities.
    posterior
        Of the weights of its base and of the reference energies.
    model
        The posterior's base as a module at its fidelity.
    """

    potential: ReadoutPotential
    fidelity: str
    posterior: TangentPosterior
    model: TrainablePotential

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The weights that moved."""
        self.model.train()
        return tuple(self._named.values())

    @cached_property
    def _named(self) -> dict[str, Tensor]:
        known = dict(self.model.named_parameters())
        if missing := [name for name in self.posterior.tensors if name not in known]:
            raise ModelError(f"The posterior's base has no tensor {missing[0][:80]!r}, so no error bar is known.")
        return {name: known[name] for name in self.posterior.tensors}

    @cached_property
    def rows(self) -> Row:
        """The rows that span the fit's bases, shape ``(R, p)``: one pass each, when they are first asked for."""
        return np.array([self._row(row.structure, row.direction) for row in self.posterior.rows])

    def energies(self, structures: Sequence[Structure]) -> "TangentEnergies":
        """Return the joint uncertainty of the energies of ``structures``.

        Raises
        ------
        ModelError
            When a structure has an element whose E0 the fit did not have.
        """
        elements = self.posterior.coordinates.elements
        composition = composition_matrix(structures, elements)
        for structure, counts in zip(structures, composition, strict=True):
            if counts.sum() < len(structure):
                missing = sorted(set(structure.atoms.numbers.tolist()) - set(elements))
                raise ModelError(f"The fit had no reference energy for {symbols(missing)}, so no error bar is known.")
        shared = shared_environments(self._designs(structures), self.posterior.coordinates)
        return TangentEnergies(self, np.array([self._row(structure) for structure in structures]), composition, shared)

    def joint(self, structures: Sequence[Structure], pulls: Sequence[Pull]) -> "TangentEnergies":
        """Return the joint uncertainty of energies and then of forces.

        The rough part of a force's own error is not in it: no energy tells of it.
        """
        energies = self.energies(structures)
        if not pulls:
            return energies
        rows = np.array([self._row(pull.structure, pull.direction) for pull in pulls])
        still = np.zeros((len(pulls), energies.composition.shape[1]))
        shared = np.pad(energies.overlaps, (0, len(pulls)))
        return TangentEnergies(
            self, np.vstack([energies.gradients, rows]), np.vstack([energies.composition, still]), shared
        )

    def places(self, structures: Sequence[Structure]) -> list[Place | None]:
        """Return where structures lie, seen from those of the fit by the base; None where the fit did not keep it."""
        domain = self.posterior.domain
        return [None] * len(structures) if domain is None else places_in(domain, self._designs(structures))

    def _designs(self, structures: Sequence[Structure]) -> list[Design]:
        base, fidelity = self.posterior.base, self.posterior.fidelity
        readout = base.surface(fidelity).readout
        return build_designs(structures, base.backbone, readout, forces=False, fidelity=fidelity, keep_features=True)

    def energy_variances(self, structures: Sequence[Structure]) -> Array:
        """Return the variance of each energy less a label of it, with the model's own error, eV², shape ``(S,)``.

        What all labels share is left out, as in :func:`~rung.model.errorbars.against_labels`.
        """
        variances = []
        for structure in structures:
            energies = self.energies([structure])
            along = self.coordinates_of(energies.gradients, energies.composition)[0]
            total = energies.combination_variance([1.0]).total
            variances.append(against_labels(total, along, self.posterior.coordinates))
        return np.array(variances)

    def forces_stderr(self, structure: Structure, *, model_error: bool = True) -> Array:
        """Return the one-sigma error of each component of the forces, eV/Å, shape ``(n, 3)``.

        Small structures get one double pass a component; larger ones ``DRAWS`` draws of the linear function.
        """
        variance = self._force_variance(structure, model_error=model_error)
        return np.sqrt(variance + self.posterior.coordinates.force_error**2 if model_error else variance)

    def _force_variance(self, structure: Structure, *, model_error: bool) -> Array:
        """Return what the weights give to the variance of forces, with the smooth part of the model's own error."""
        shape = (len(structure), 3)
        if 3 * len(structure) > DRAWS:
            batch, directions = self._batch(structure), self.directions(DRAWS, model_error=model_error)
            changes = [one.forces for one in changes_along(self.model, batch, self.tensors, directions)]
            return _spread([np.asarray(change.cpu().numpy()) for change in changes if change is not None]) ** 2
        units = np.eye(3 * len(structure)).reshape(-1, *shape)
        gradients = np.array([self._row(structure, unit) for unit in units])
        still = np.zeros((len(gradients), len(self.posterior.coordinates.elements)))
        variance = np.diag(self.covariance_of(gradients, still)).copy()
        if model_error:
            variance += self.posterior.own_variance * np.sum(np.asarray(gradients, dtype=float) ** 2, axis=1)
        return np.maximum(variance, 0.0).reshape(shape)

    def atom_energies_stderr(self, structure: Structure) -> Array:
        """Return the error that the weights give to the energy of each atom, eV, shape ``(n,)``, from draws."""
        batch, directions = self._batch(structure), self.directions(DRAWS, model_error=False)
        changes = changes_along(self.model, batch, self.tensors, directions, forces=False)
        return _spread([np.asarray(one.atom_energies.cpu().numpy()) for one in changes])

    def draw(self, index: int, *, seed: int = 0) -> "TangentDraw":
        """Return the potential of the draw number ``index``: the fit plus a change that is linear in the weights."""
        direction, reference = self.drawn(seed, index)
        energies = dict(zip(self.posterior.coordinates.elements, reference.tolist(), strict=True))
        return TangentDraw(self, direction, energies)

    def directions(self, count: int, *, seed: int = 0, model_error: bool = False) -> Iterator[Row]:
        """Yield ``count`` draws of the change of the weights, shapes ``(p,)``.

        ``model_error`` says whether the smooth part of the model's own error is drawn too.
        """
        for index in range(count):
            direction, _ = self.drawn(seed, index)
            if model_error:
                normal = np.random.default_rng([seed, index, 2]).standard_normal(direction.shape)
                direction = direction + np.sqrt(self.posterior.own_variance) * normal
            yield direction

    def drawn(self, seed: int, index: int) -> tuple[Row, Array]:
        """Return one draw of the changes of the weights and of E0."""
        values = drawn_change(self.posterior.coordinates, seed, index)
        normal: Array = np.random.default_rng([seed, index, 1]).standard_normal((self.rows.shape[1],))
        direction, position = np.zeros_like(normal), 0
        for group, members in zip(self.posterior.groups, self._members, strict=True):
            own = np.where(members, normal, 0.0)
            inside = group.size**2 * (group.combination @ (self.rows @ own))
            stop = position + len(group.combination)
            wide = np.sqrt(group.variance) / group.size
            along = group.combination.T @ (values[position:stop] - wide * inside)
            direction += np.where(members, self.rows.T @ along, 0.0) + wide * own
            position = stop
        return direction, values[position:]

    @cached_property
    def _members(self) -> tuple[NDArray[np.bool_], ...]:
        return tuple(group_members(self.model, self._named, group.layer) for group in self.posterior.groups)

    def _row(self, structure: Structure, direction: Array | None = None) -> Row:
        arguments = (self.model, structure, self.posterior.fidelity, self.tensors)
        return energy_row(*arguments) if direction is None else force_row(*arguments, direction)[1]

    def _batch(self, structure: Structure) -> Batch:
        model = self.model
        return collate([structure], [self.posterior.fidelity], model.cutoff, dtype=model.dtype, device=model.device)

    def coordinates_of(self, gradients: Row, composition: Array) -> Array:
        """Return derivatives by the posterior's coordinates, shape ``(Q, K)``."""
        parts = [
            (self.rows @ np.where(members, gradients, 0.0).T).T @ group.combination.T
            for group, members in zip(self.posterior.groups, self._members, strict=True)
        ]
        return np.hstack([*parts, composition])

    def covariance_of(self, gradients: Row, composition: Array, coordinates: Posterior | None = None) -> Array:
        """Return the covariance that the weights and E0 give to what has these derivatives, shape ``(Q, Q)``.

        Parameters
        ----------
        gradients, composition
            The derivatives by the weights and by the reference energies.
        coordinates
            The posterior of the coordinates, where it is not that of the fit.
        """
        along = self.coordinates_of(gradients, composition)
        covariance = linear_covariance(along, coordinates or self.posterior.coordinates)
        position = 0
        for group, members in zip(self.posterior.groups, self._members, strict=True):
            inside = along[:, position : position + len(group.combination)]
            own = np.where(members, gradients, 0.0).astype(float)
            covariance = covariance + group.variance * (own @ own.T / group.size**2 - inside @ inside.T)
            position += len(group.combination)
        return np.asarray(covariance)

    def own_covariance(self, gradients: Row, composition: Array) -> Array:
        """Return the covariance of the smooth part of the model's own error, in which E0 goes with the weights.

        Shape ``(Q, Q)``.
        """
        apart = np.asarray(gradients - (composition @ self.posterior.absorbed) @ self.rows, dtype=float)
        return np.asarray(self.posterior.own_variance * (apart @ apart.T))


@dataclass(frozen=True)
class TangentEnergies:
    """How uncertain the energies of ``S`` structures are together.

    Parameters
    ----------
    errors
        Where they come from.
    gradients
        ∂E/∂θ, shape ``(S, p)``.
    composition
        Atoms of each element of the posterior, shape ``(S, E)``.
    overlaps
        How much of the model's rough error each two structures share, in atoms, shape ``(S, S)``.
    """

    errors: TangentErrors
    gradients: Row
    composition: Array
    overlaps: Array

    def covariance(self, model_error: ModelErrorKind = "none") -> Array:
        """Return the covariance of the energies, eV², shape ``(S, S)``, with the model's own error or without."""
        covariance = self.errors.covariance_of(self.gradients, self.composition)
        return np.asarray(covariance + self._own) if with_model_error(model_error) else covariance

    def finite_covariance(self, variance: float) -> Array:
        """Return the covariance with the model's own error, where what no label identifies has this variance, eV²."""
        coordinates = self.errors.posterior.coordinates.identified(variance)
        covariance = self.errors.covariance_of(self.gradients, self.composition, coordinates)
        return np.asarray(covariance + self._own)

    @property
    def _own(self) -> Array:
        smooth = self.errors.own_covariance(self.gradients, self.composition)
        return np.asarray(smooth + self.errors.posterior.rough_variance * self.overlaps)

    def combination_variance(self, coefficients: Sequence[float]) -> EnergyVariance:
        """Return the variance of Σ c E, eV²; infinite where it depends on what no label identifies."""
        factors = np.asarray(coefficients, dtype=float)
        gradients, composition = factors[None] @ self.gradients, factors[None] @ self.composition
        along = self.errors.coordinates_of(gradients, composition)[0]
        if unidentified(along, self.errors.posterior.coordinates):
            return EnergyVariance(np.inf, np.inf, np.inf)
        weights = float(self.errors.covariance_of(gradients, composition)[0, 0])
        own = float(self.errors.own_covariance(gradients, composition)[0, 0])
        shared = max(float(factors @ self.overlaps @ factors), 0.0)
        rough = shared * self.errors.posterior.rough_variance
        return EnergyVariance(weights=max(weights, 0.0), smooth=own, rough=rough)

    def changes(self, count: int, *, seed: int = 0) -> Array:
        """Return the changes of the energies on ``count`` draws from the posterior, eV, shape ``(count, S)``."""
        changes = []
        for index in range(count):
            direction, reference = self.errors.drawn(seed, index)
            changes.append(self.gradients @ direction + self.composition @ reference)
        return np.array(changes).reshape(count, len(self.gradients))


@dataclass(frozen=True)
class TangentDraw:
    """A draw from the posterior as a potential: the fit, and a change of energies that is linear in the weights.

    A prediction costs the fit's and one double pass through the base.

    Parameters
    ----------
    errors
        Of the fit.
    direction
        The change of the weights, shape ``(p,)``.
    reference
        The change of the reference energies, eV, by atomic number.
    """

    errors: TangentErrors
    direction: Row
    reference: Mapping[int, float]

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelity of the fit."""
        return (self.errors.fidelity,)

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the potential knows."""
        return self.errors.potential.elements

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""
        return self.errors.potential.cutoff

    @property
    def dtype(self) -> torch.dtype:
        """The type in which features are computed."""
        return self.errors.potential.dtype

    @property
    def device(self) -> torch.device:
        """Where the potential lives."""
        return self.errors.potential.device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the fit and of the change."""
        numbers = tuple(sorted(self.reference.items()))
        return content_hash("tangent-draw-1", self.errors.potential.fingerprint, self.direction, numbers)

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return energies, and forces and stress where asked for."""
        fitted = self.errors.potential.predict(batch, forces=forces, stress=stress)
        names = [self.errors.posterior.fidelity] * len(batch.fidelities)
        (change,) = changes_along(
            self.errors.model,
            replace(batch, fidelities=tuple(names)),
            self.errors.tensors,
            [self.direction],
            forces=forces,
            stress=stress,
        )
        reference = [self.reference.get(number, 0.0) for number in batch.numbers.tolist()]
        atoms = change.atom_energies + torch.as_tensor(reference, dtype=torch.float64, device=batch.numbers.device)
        rows = torch.zeros(batch.n_rows, dtype=torch.float64, device=atoms.device)
        return Prediction(
            energy=fitted.energy + rows.index_add(0, batch.atom_row, atoms),
            atom_energies=fitted.atom_energies + atoms,
            forces=_sum(fitted.forces, change.forces),
            stress=_sum(fitted.stress, change.stress),
        )


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else first + second.to(first)


def _spread(draws: Sequence[Array]) -> Array:
    """Return the r.m.s. of draws whose mean is zero."""
    return np.asarray(np.sqrt(np.mean(np.array(draws, dtype=float) ** 2, axis=0)))
