"""The arrays that a linear fit is made of: designs, labels and what the base says, gathered once for any settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rung.data.energy_table import NO_TABLE, EnergyTable
from rung.data.label_rows import are_special, label_rows, mentioned
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import FitError, counted
from rung.features.design import Design
from rung.features.predict import surface_energies
from rung.fidelity import Fidelity
from rung.fit.linear.energies import Energies
from rung.fit.linear.gaussian import EnergyData
from rung.fit.linear.grouped import GroupedEnergies
from rung.model.environments import KnownEnvironments
from rung.model.potential import Surface
from rung.model.readout import Readout

LABEL_FLOOR = 1e-4
"""Least error of a label without one that repeats another, eV/√atom: no computed energy is converged exactly."""

MOST_BESIDE_DIFFERENCES = 5_000
"""Of how many structures the errors are held as full matrices where labels are differences."""

FOLLOWS, ROUNDING = 1e-6, 9.0
"""Share of the variance of the model's own error in one datum, given all others, that is no more than rounding; and by
how many times as much a datum may exceed it."""

NEARLY_EQUAL = 0.999
"""Share of their environments above which one structure repeats another."""


@dataclass(frozen=True)
class Problem:
    """Training frames with their designs, seen from a base.

    Parameters
    ----------
    structures, designs
        All training frames; designs carry forces where the frame may anchor.
    readout
        The base's readout, widened where asked for; its weights are where d starts.
    surface
        The base's surface: reference energies.
    elements
        Atomic numbers in the order of ``Design.composition``.
    target
        The fidelity that is lifted to.
    environments
        Which environments of the labelled frames are alike; without, only frames of one geometry share the model's
        own error.
    table
        Labels that are differences of two frames, and errors that labels share.
    """

    structures: tuple[Structure, ...]
    designs: tuple[Design, ...]
    readout: Readout
    surface: Surface
    elements: tuple[int, ...]
    target: Fidelity
    environments: KnownEnvironments | None = None
    table: EnergyTable = NO_TABLE

    @cached_property
    def labelled(self) -> Array:
        """Positions of the frames that a label of the target tells of: with an energy, or in a difference."""
        return np.array(mentioned(self.structures, self.target.name, self.table), dtype=int)

    @property
    def has_differences(self) -> bool:
        """Whether some labels are differences, so that data and labelled frames are not one and the same."""
        return bool(self.table.of(self.target.name).differences)

    @cached_property
    def exact(self) -> Array:
        """How many labels without an error stand in each datum; see :func:`exact_labels`."""
        return exact_labels([self.structures[k] for k in self.labelled], self.target.name, self.table)

    @cached_property
    def n_atoms(self) -> Array:
        """Atoms of each frame, shape ``(S,)``."""
        return np.array([len(structure) for structure in self.structures], dtype=float)

    @cached_property
    def composition(self) -> Array:
        """Shape ``(S, E)``."""
        return np.array([design.composition for design in self.designs])

    @cached_property
    def energy_design(self) -> Array:
        """A of all frames, shape ``(S, P)``."""
        return np.array([design.energy for design in self.designs])

    @cached_property
    def base_energy(self) -> Array:
        """What the base says, eV, shape ``(S,)``."""
        return surface_energies(self.designs, self.readout, self.surface, self.elements)

    @cached_property
    def spread(self) -> float:
        """R.m.s. of the base's energies beyond their composition, eV/√atom; zero where no two frames tell it."""
        return spread_beyond(self.base_energy[self._distinct], self.composition[self._distinct])

    @cached_property
    def _distinct(self) -> NDArray[np.intp]:
        """Positions of the first frame of each geometry, so that adding a frame twice changes nothing."""
        return np.sort(np.unique([structure.geometry_hash for structure in self.structures], return_index=True)[1])

    @cached_property
    def column_scale(self) -> Array:
        """D: r.m.s. of each column of A per √atom with composition projected out, floored, shape ``(P,)``.

        Over distinct geometries, so that adding a frame twice changes nothing.
        """
        rows = self._distinct
        composition, design = self.composition[rows], self.energy_design[rows]
        rest = without_composition(design, composition)
        scale = np.sqrt(np.mean(rest**2 / self.n_atoms[rows, None], axis=0))
        if scale.max(initial=0.0) <= 1e-12 * np.abs(design).max(initial=1.0):
            # one frame per composition: nothing is left to compare, the plain size must do
            scale = np.sqrt(np.mean(design**2 / self.n_atoms[rows, None] ** 2, axis=0))
        return np.maximum(scale, 1e-3 * scale.max())

    @cached_property
    def energies(self) -> Energies:
        """The labels less what the base says: energies, then differences.

        Their errors are kept by groups where only frames of one geometry share the model's own error: without
        environments, and with so many frames that all cannot be compared with each other.

        Raises
        ------
        FitError
            When an energy has no usable ``energy_stderr``: negative; an absent one counts as zero. Or when there are
            differences among more structures than full matrices can hold.
        """
        rows = self.labelled
        structures = [self.structures[k] for k in rows]
        known, said = self.environments, (self.base_energy[rows], self.energy_design[rows], self.composition[rows])
        if (known is not None and known.are_compared([one.geometry_hash for one in structures])) or (
            are_special(self.target.name, self.table)
        ):
            return energy_data(structures, self.target, *said, known, self.table)
        return grouped_energies(structures, self.target, *said, known)


def spread_beyond(energies: Array, composition: Array) -> float:
    """Return the r.m.s. of energies beyond what compositions explain, eV/√atom; zero where they explain all.

    Parameters
    ----------
    energies
        eV, shape ``(S,)``.
    composition
        Atoms of each element, shape ``(S, E)``.
    """
    weight = 1.0 / np.sqrt(composition.sum(axis=1))
    rows = composition * weight[:, None]
    freedom = len(rows) - int(np.linalg.matrix_rank(rows)) if len(rows) else 0
    if freedom == 0:
        return 0.0
    return float(np.sqrt(np.sum(without_composition(energies * weight, rows) ** 2) / freedom))


def without_composition(design: Array, composition: Array) -> Array:
    """Return each column of ``design`` less what compositions explain of it by least squares, shape of ``design``."""
    return np.asarray(design - composition @ np.linalg.lstsq(composition, design, rcond=None)[0])


def exact_labels(structures: Sequence[Structure], fidelity: str, table: EnergyTable = NO_TABLE) -> Array:
    """Return how many labels without an error stand in each datum, shape ``(n,)``: up to two in a difference."""
    if not are_special(fidelity, table):
        labels = [structure.labelled(fidelity) for structure in structures]
        return np.array([float(not label.energy_stderr > 0) for label in labels])
    rows = label_rows(structures, fidelity, table)
    return np.where(rows.sigma > 0, 0.0, np.abs(rows.combination).sum(axis=1))


def energy_data(
    structures: Sequence[Structure],
    target: Fidelity,
    before: Array,
    design: Array,
    composition: Array,
    environments: KnownEnvironments | None = None,
    table: EnergyTable = NO_TABLE,
) -> EnergyData:
    """Return the labels less what the base says of them, with their errors: energies, then differences.

    Parameters
    ----------
    structures, target
        ``n`` structures that labels of the fidelity tell of.
    before
        The base's energies, eV, shape ``(n,)``.
    design, composition
        Derivatives by the weights, shape ``(n, P)``, and atoms of each element, shape ``(n, E)``.
    environments
        Which environments are alike; without, each atom stands for itself and frames of one geometry share.
    table
        Differences, and which labels share errors.

    Raises
    ------
    FitError
        When an ``energy_stderr`` is negative; an absent one counts as zero.
    """
    labels, special = label_rows(structures, target.name, table), are_special(target.name, table)
    _require_positive(labels.sigma, target)
    rows = labels.combination
    shared = shared_error(structures, environments, complete=special)
    exact = EnergyData(design, composition, -before, np.zeros_like(shared), shared)
    if special:
        exact = exact.transformed(rows)
    own = np.sqrt(np.maximum(np.diag(exact.model), 1e-300))
    alike = exact.model / own[:, None] / own[None, :]
    pairs = np.abs(alike - np.eye(len(own))).max(axis=1, initial=0.0) > NEARLY_EQUAL
    repeats = pairs | (np.abs(rows).sum(axis=1) > 1)
    if ((labels.sigma == 0) & ~repeats).any():
        repeats |= _follow_from_others(alike)
    floor = _floor(np.abs(rows) @ composition.sum(axis=1), labels.sigma, repeats)
    statistical = (
        labels.covariance + target.energy_shared_stderr**2 * np.outer(exact.share, exact.share) + np.diag(floor)
    )
    return replace(exact, target=labels.energy + exact.target, statistical=statistical)


def _follow_from_others(alike: Array) -> NDArray[np.bool_]:
    """Return whose model error follows from that of all others, as that of two fragments does of both far apart.

    Parameters
    ----------
    alike
        Correlations of the model's own errors, shape ``(n, n)``.
    """
    inverse = np.linalg.inv(alike + FOLLOWS * np.eye(len(alike)))
    return np.asarray(1.0 / np.diag(inverse) < 2.0 * FOLLOWS * (1.0 + ROUNDING))


def grouped_energies(
    structures: Sequence[Structure],
    target: Fidelity,
    before: Array,
    design: Array,
    composition: Array,
    environments: KnownEnvironments | None = None,
) -> GroupedEnergies:
    """Return what :func:`energy_data` does where only frames of one geometry share the model's own error.

    Parameters and errors are the same. Memory and time are linear in structures.
    """
    energy, sigma = energy_labels(structures, target)
    names = [structure.geometry_hash for structure in structures]
    size = np.array([len(structure) for structure in structures], dtype=float)
    if environments is not None:
        size = environments.own(names)
    return grouped_by(names, design, composition, energy - before, sigma, size, target.energy_shared_stderr)


def grouped_by(
    geometries: Sequence[str],
    design: Array,
    composition: Array,
    change: Array,
    sigma: Array,
    size: Array,
    shared_stderr: float,
) -> GroupedEnergies:
    """Return energies of which those of one geometry share the model's own error.

    Parameters
    ----------
    geometries
        A name for the geometry of each.
    design, composition
        Derivatives by the weights, shape ``(n, P)``, and atoms of each element, shape ``(n, E)``.
    change
        The energies less the base's, eV, shape ``(n,)``.
    sigma, shared_stderr
        The error of each label alone, eV, shape ``(n,)``, and what all share, eV.
    size
        Variance of the model's own error per s², in atoms, shape ``(n,)``.
    """
    group = np.unique(np.array(geometries, dtype=str), return_inverse=True)[1]
    floor = _floor(composition.sum(axis=1), sigma, np.bincount(group)[group] > 1)
    return GroupedEnergies(design, composition, change, sigma**2 + floor, shared_stderr, size, group)


def shared_error(
    structures: Sequence[Structure], environments: KnownEnvironments | None, *, complete: bool = False
) -> Array:
    """Return the covariance of the model's own error per s², in atoms, shape ``(n, n)``.

    The error belongs to environments: the frames share it as far as theirs agree, so that a geometry that is labelled
    twice, or repeated within its cell, says no more of the error than once.

    Raises
    ------
    FitError
        When the matrix must be ``complete`` and there are too many structures for it.
    """
    names = np.array([structure.geometry_hash for structure in structures], dtype=str)
    size = np.array([len(structure) for structure in structures], dtype=float)
    if complete and len(names) > MOST_BESIDE_DIFFERENCES:
        raise FitError(
            f"Labels are differences or share errors, and {len(names)} structures are labelled: the covariance is held "
            f"for {MOST_BESIDE_DIFFERENCES}; take fewer, or leave data.labels out."
        )
    if environments is not None and not (complete and not environments.are_compared(names.tolist())):
        return environments.overlaps(names.tolist())
    if environments is not None:
        size = environments.own(names.tolist())
    return np.where(names[:, None] == names[None, :], size[:, None], 0.0)


def _floor(n_atoms: Array, sigma: Array, repeats: NDArray[np.bool_]) -> Array:
    """Return what the variance of labels without an error needs where they repeat others, eV², shape ``(n,)``.

    Two exact labels of equal environments say nothing of the model's own error, so nothing else allows their rounding.
    A difference may repeat two energies.
    """
    return np.where(repeats & (sigma == 0), LABEL_FLOOR**2 * n_atoms, 0.0)


def energy_labels(structures: Sequence[Structure], target: Fidelity) -> tuple[Array, Array]:
    """Return the labelled energies and the error of each alone, eV, shape ``(n,)``; an absent error counts as zero.

    Raises
    ------
    FitError
        When an ``energy_stderr`` is negative.
    """
    labels = [structure.labelled(target.name) for structure in structures]
    sigma = np.nan_to_num(np.array([label.energy_stderr for label in labels], dtype=float))
    _require_positive(sigma, target)
    return np.array([label.energy for label in labels], dtype=float), sigma


def _require_positive(sigma: Array, target: Fidelity) -> None:
    if (sigma < 0).any():
        raise FitError(f"{target.name}_energy_stderr is negative in {counted(int((sigma < 0).sum()), 'frame')}.")
