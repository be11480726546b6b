"""What ``rung fit --dry-run --json`` prints: what a run would read, fit and compute. No file holds it."""

from pydantic import Field

from rung.results.base import Entry, Number, Result
from rung.results.findings import CensusRow, Finding


class PlannedDesigns(Entry):
    """Designs of one kind that a fit would read."""

    what: str
    """What they hold, in words."""
    n_structures: int
    """Of how many structures."""
    n_entries: int
    """Entries of the cache."""
    n_missing: int
    """Entries that the cache does not have yet."""
    seconds: Number
    """Time for the missing ones on this machine, s."""
    stored: Number
    """What the cache would keep of them, bytes."""


class FitPlan(Result):
    """What a run would do."""

    run: str
    """The folder of the run."""
    state: str
    """``new``, ``finished``, or ``begun``: such a run would go on."""
    method: str
    """The method."""
    target: str
    """The fidelity to lift to."""
    base: str | None
    """The base's file; null without one."""
    census: tuple[CensusRow, ...]
    """Labels of each split and fidelity."""
    findings: tuple[Finding, ...]
    """What the doctor found in data and base."""
    n_energies: int
    """Labels of the target that would be fitted."""
    n_fitted: int | None
    """Weights that move; null where the method cannot tell."""
    n_frozen: int | None
    """Weights that do not."""
    designs: tuple[PlannedDesigns, ...] = ()
    """What would be read of the frozen backbone."""
    seconds: Number
    """Time of designs and fit on this machine, s; null where unknown."""
    memory: Number
    """Memory beside what the process has, bytes; null where unknown."""
    reference_energies: str
    """What the labels say of reference energies, in words."""
    warnings: tuple[str, ...] = Field(default=())
    """What to know before the run."""
    sentences: tuple[str, ...] = Field(default=())
    """What else there is to say."""
