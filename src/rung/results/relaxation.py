"""``relax.json``: a relaxed structure in numbers."""

from rung.results.base import Number, Numbers, Result
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
    warnings: tuple[str, ...]
    """What a reader should know."""
