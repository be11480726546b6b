"""Relaxation of a structure, with its cell where asked for, with any ASE calculator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from pydantic import Field

from rung.errors import ConfigError, DataError
from rung.progress import SILENT, Progress
from rung.settings import Settings


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
        Steps taken.
    converged
        Whether the forces asked for were reached.
    """

    atoms: Atoms
    energy: float
    max_force: float
    steps: int
    converged: bool


def relax(start: Atoms, calculator: Any, settings: RelaxationSettings, *, progress: Progress = SILENT) -> Relaxation:
    """Relax ``start``; constraints hold.

    Parameters
    ----------
    start
        Where it begins.
    calculator
        Any ASE calculator; with stress where the cell relaxes.
    settings
        What to reach.
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
    converged = False
    with progress.task("relaxation", settings.steps) as task, BFGS(moving, logfile=None) as optimizer:
        for done in optimizer.irun(fmax=settings.fmax, steps=settings.steps):
            largest = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            if not np.isfinite(largest):
                break
            converged = bool(done)
            task.describe(f"largest force {largest:.3f} eV/Å")
            task.advance()
        steps = optimizer.get_number_of_steps()
    energy = float(atoms.get_potential_energy())
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
