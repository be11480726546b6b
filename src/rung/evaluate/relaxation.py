"""Relaxation of a structure, with its cell where asked for, with any ASE calculator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixScaled
from ase.filters import FrechetCellFilter
from pydantic import Field

from rung.data.held import Held
from rung.data.labels import Array
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.identity import beyond_geometry, exact_geometry, physics_key
from rung.evaluate.optimisation import KeptBFGS, Stand, optimise
from rung.progress import SILENT, Progress
from rung.settings import Settings
from rung.storage import content_hash


class RelaxationSettings(Settings):
    """How a structure is relaxed."""

    fmax: float = Field(default=0.02, gt=0)
    """Largest force on an atom at which it counts as relaxed, eV/Å, and of the cell as ASE scales it."""
    steps: int = Field(default=500, ge=1)
    """Steps that it may take."""
    cell: bool = False
    """Whether the cell relaxes too."""
    plane: bool = False
    """Whether the cell relaxes in the plane of its first two vectors alone: for layers in vacuum, however turned."""


@dataclass(frozen=True)
class Relaxation:
    """A relaxed structure.

    Parameters
    ----------
    atoms
        The structure as it ended.
    energy
        eV.
    max_force
        Largest force left on an atom, eV/Å.
    steps
        Steps taken in all.
    converged
        Whether the forces asked for were reached.
    """

    atoms: Atoms
    energy: float
    max_force: float
    steps: int
    converged: bool


class MovingCell(FrechetCellFilter):
    """ASE's filter of atoms and cell, in which constraints hold fractions and the strain may stay in a plane.

    The coordinates of an atom are those that it would have without the strain, so what is held of them moves with the
    cell: an atom that is held keeps its fractions.

    Parameters
    ----------
    atoms
        Without constraints; the cell has three vectors.
    held
        What is held of the coordinates without strain.
    normal
        Of the plane in which the cell strains, of length one; None where it strains in all directions.
    """

    def __init__(self, atoms: Atoms, held: Held, normal: Array | None) -> None:
        super().__init__(atoms)
        self._held = held
        self._places = atoms.positions.copy()
        # the logarithm of the strain, and what drives it, between two projectors on the plane
        self._plane = np.eye(3) if normal is None else np.eye(3) - np.outer(normal, normal)
        self._unstrained = self.get_positions()[-3:]

    def get_forces(self, **_: object) -> Array:
        """Return what drives the atoms and the cell, shape ``(n + 3, 3)``."""
        forces: Array = super().get_forces(apply_constraint=False)
        forces[:-3] = self._held.project(forces[:-3])
        forces[-3:] = self._plane @ forces[-3:] @ self._plane
        return forces

    def set_positions(self, new: Array, **_: object) -> None:
        """Move atoms and cell, shape ``(n + 3, 3)``."""
        moved = new.copy()
        moved[:-3] = self._places + self._held.project(new[:-3] - self._places)
        moved[-3:] = self._unstrained + self._plane @ (new[-3:] - self._unstrained) @ self._plane
        super().set_positions(moved, apply_constraint=False)


def relax(
    start: Atoms,
    calculator: Any,
    settings: RelaxationSettings,
    *,
    state: Path | None = None,
    progress: Progress = SILENT,
) -> Relaxation:
    """Relax ``start``; what constraints hold stays where it is, or keeps its fractions of a cell that relaxes.

    Parameters
    ----------
    start
        Where it begins.
    calculator
        Any ASE calculator; with stress where the cell relaxes.
    settings
        What to reach.
    state
        A file in which the relaxation is kept every few steps; a later call goes on from there, to the bits of a call
        that nobody broke off. More steps may be allowed then.
    progress
        Where steps are reported.

    Raises
    ------
    DataError
        When the cell is to relax and the structure has none, or a constraint holds what such a cell carries along.
    ConfigError
        When the cell is to relax and the calculator gives no stress.
    """
    held = Held.of(start)
    atoms = start.copy()
    atoms.calc = calculator
    atoms.set_constraint(held.constraints())
    moving: Any = atoms
    if settings.cell or settings.plane:
        _require_stress(atoms, plane=settings.plane)
        normal = _normal(atoms) if settings.plane else None
        _require_fractions(start, held, normal)
        atoms.set_constraint()
        moving = MovingCell(atoms, held, normal)
    key = content_hash(
        *exact_geometry(start),
        settings.model_dump_json(exclude={"steps"}),
        *(() if held.nothing and not beyond_geometry(start) else (physics_key(start),)),
    )
    before = None if state is None else Stand.read(state, key)
    if before is not None:
        atoms.set_cell(before.cells[0])
        atoms.set_positions(before.positions[0], apply_constraint=False)

    def save(steps: int, memory: Mapping[str, Array]) -> None:
        if state is not None:
            Stand.of([atoms], steps, 0, memory).write(state, key)

    with progress.task("relaxation", settings.steps) as task, KeptBFGS(moving, logfile=None) as optimizer:
        task.advance(0 if before is None else before.steps)
        converged, steps = optimise(
            optimizer, fmax=settings.fmax, steps=settings.steps, before=before, task=task, save=save
        )
    energy = float(atoms.get_potential_energy())
    forces = held.project(np.asarray(atoms.get_forces(apply_constraint=False)))
    largest = float(np.linalg.norm(forces, axis=1).max())
    relaxed = atoms.copy()
    relaxed.set_constraint(start.constraints)
    return Relaxation(relaxed, energy, largest, steps, converged)


def _require_stress(atoms: Atoms, *, plane: bool) -> None:
    """Refuse a cell that cannot relax before any step; the stress of the start is needed by the first step anyway."""
    formula = atoms.get_chemical_formula()
    if not atoms.pbc.any():
        raise DataError(
            f"{formula} is not periodic, so it has no cell to relax; leave the cell as it is, or give the structure a "
            "periodic cell of three vectors."
        )
    if atoms.cell.rank < 3:
        raise DataError(
            f"{formula} has {counted(int(atoms.cell.rank), 'lattice vector')}, so no cell to relax; give it three, one "
            "across vacuum where it is a layer."
        )
    if plane and not atoms.pbc[:2].all():
        raise DataError(
            f"{formula} is not periodic along its first two lattice vectors, whose plane is to relax; put the vacuum "
            "along the third."
        )
    try:
        atoms.get_stress()
    except (
        NotImplementedError,
        AttributeError,
    ) as error:  # as ASE says it, and a calculator that has the least of ASE's
        raise ConfigError(
            f"{type(atoms.calc).__name__} gives no stress, so it cannot relax a cell; relax the atoms alone."
        ) from error


def _normal(atoms: Atoms) -> Array:
    """Return the normal of the plane of the first two lattice vectors, of length one."""
    normal = np.cross(atoms.cell.array[0], atoms.cell.array[1])
    return np.asarray(normal / np.linalg.norm(normal))


def _require_fractions(start: Atoms, held: Held, normal: Array | None) -> None:
    """Refuse what a strain of the cell would move: an atom may be held in its fractions, or across the plane."""
    for constraint in start.constraints:
        if isinstance(constraint, (FixAtoms, FixScaled)):
            continue
        for index in np.intersect1d(np.ravel(constraint.index), held.directions_alone):
            across = np.eye(3) - held.free[index]
            if normal is None or not np.allclose(across, np.outer(normal, normal), atol=1e-6):
                raise DataError(
                    f"{type(constraint).__name__} holds atom {index} in a direction of space, and a cell that relaxes "
                    "moves its atoms along; hold it wholly or by fractions (FixScaled), or keep the cell."
                )
