"""``relax.json``: a relaxed structure in numbers."""

from rung.results.base import Number, Numbers, Result
from rung.results.domain import DomainNumbers
from rung.results.settings import SettingsEntry

RELAXATION_FILE = "relax.json"


class RelaxationSettingsEntry(SettingsEntry):
    """The settings of the relaxation."""

    fmax: Number
    """The force asked for, eV/Å."""


class RelaxationResult(Result):
    """What ``rung relax`` found."""

    fidelity: str
    """The fidelity."""
    model: str
    """What the potential was opened from."""
    settings: RelaxationSettingsEntry
    """Of the relaxation."""
    energy: Number
    """eV."""
    energy_stderr: Number = float("nan")
    """One-sigma error of the energy in all, eV; null without error bars, infinite where no label identifies it."""
    max_force: Number
    """Largest force left on an atom, eV/Å."""
    steps: int
    """Steps taken."""
    converged: bool
    """Whether the forces asked for were reached."""
    cell_before: tuple[Numbers, ...]
    """Vectors of the cell at the start, Å."""
    cell: tuple[Numbers, ...]
    """Vectors of the cell at the end, Å."""
    domain: DomainNumbers | None = None
    """Whether the relaxed structure is inside the domain of the fit; null without error bars."""
    warnings: tuple[str, ...]
    """What a reader should know."""
