"""What the output of another program holds, in eV per simulation cell, whichever program wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.collect.forces import ForceSeries
from rung.data.labels import Array


@dataclass(frozen=True)
class Series:
    """Energies of one Monte Carlo run, a row for each block or step, in the order of time.

    Parameters
    ----------
    source
        The file.
    program
        What wrote it.
    method
        ``VMC`` or ``DMC``; empty where the file does not say.
    energies
        Shape ``(rows,)``, eV per simulation cell.
    weights
        By which rows are averaged, shape ``(rows,)``; ones where the program's own tools average plainly.
    equilibration
        How many rows the program itself calls equilibration.
    columns
        Other energies of each row by the program's own names, eV; corrections are made of them.
    n_atoms
        Atoms in the simulation cell; None where nobody says.
    notes
        What a reader of the energies must know.
    forces
        Pieces of the forces on the atoms of the simulation cell; None without them.
    atoms
        Those atoms in the program's order, where a file beside the output tells them.
    """

    source: Path
    program: str
    method: str
    energies: Array
    weights: Array
    equilibration: int = 0
    columns: Mapping[str, Array] = field(default_factory=dict)
    n_atoms: int | None = None
    notes: tuple[str, ...] = ()
    forces: ForceSeries | None = None
    atoms: Atoms | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.energies)

    @classmethod
    def plain(cls, source: Path, program: str, method: str, energies: Array) -> "Series":
        """Return a series whose rows count alike."""
        return cls(source, program, method, energies, np.ones(len(energies)))


@dataclass(frozen=True)
class Mean:
    """A mean with its error, where a program leaves these alone.

    Parameters
    ----------
    source, program, method, notes
        As in :class:`Series`.
    energy, stderr
        eV per simulation cell.
    rows
        How many blocks the program averaged; 0 where it does not say.
    """

    source: Path
    program: str
    method: str
    energy: float
    stderr: float
    rows: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Total:
    """Energies of a deterministic calculation of one geometry that came to its end and converged.

    Parameters
    ----------
    source, program, notes
        As in :class:`Series`.
    energies
        eV per cell, by level: ``scf``, ``mp2``, ``ccsd``, ``ccsd(t)``, or ``total`` where the program leaves one.
    atoms
        The geometry; None where the file does not hold it.
    forces
        Shape ``(n, 3)``, eV/Å, of the level ``forces_of``; None where there are none.
    stress
        Shape ``(6,)``, as ASE has it, eV/Å³, of the level ``forces_of``; None where there is none.
    forces_of
        The level of forces and stress.
    """

    source: Path
    program: str
    energies: Mapping[str, float]
    atoms: Atoms | None = None
    forces: Array | None = None
    stress: Array | None = None
    forces_of: str = "total"
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The levels that there are, the highest last."""
        return ", ".join(self.energies)


Output = Series | Mean | Total
"""What a reader returns."""
