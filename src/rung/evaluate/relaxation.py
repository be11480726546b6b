"""Relaxation of a structure, with its cell where asked for, with any ASE calculator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from pydantic import Field

from rung.data.labels import Array
from rung.errors import ConfigError, DataError
from rung.evaluate.identity import exact_geometry
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
    """Whether the cell relaxes in its first two vectors alone: for layers in vacuum."""


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


def relax(
    start: Atoms,
    calculator: Any,
    settings: RelaxationSettings,
    *,
    state: Path | None = None,
    progress: Progress = SILENT,
) -> Relaxation:
    """Relax ``start``; constraints hold.

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
        When the cell is to relax and the structure has none.
    ConfigError
        When the cell is to relax and the calculator gives no stress.
    """
    atoms = start.copy()
    atoms.calc = calculator
    moving: Any = atoms
    if settings.cell or settings.plane:
        _require_stress(atoms)
        mask = [True, True, False, False, False, True] if settings.plane else [True] * 6
        moving = FrechetCellFilter(atoms, mask=mask)
    key = content_hash(*exact_geometry(start), settings.model_dump_json(exclude={"steps"}))
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
    largest = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    relaxed = atoms.copy()
    return Relaxation(relaxed, energy, largest, steps, converged)


def _require_stress(atoms: Atoms) -> None:
    """Refuse a cell that cannot relax before any step; the stress of the start is needed by the first step anyway."""
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        raise DataError(
            f"{atoms.get_chemical_formula()} is not periodic, so it has no cell to relax; leave the cell as it "
            "is, or give the structure a periodic cell of three vectors."
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
