"""What the doctor says: a census, findings, and both as plain JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rung.data.structure import Structure
from rung.storage import jsonable

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst down: an error would spoil a fit, a warning may, a note is good to know."""

NAMED = 3
"""How many structures a sentence names before it only counts."""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Parameters
    ----------
    severity
        ``error``, ``warning`` or ``note``.
    code
        What was found, in two or three words joined by hyphens; stable, for scripts.
    sentence
        What was found and what to do, for people.
    splits
        The splits concerned.
    fidelities
        The fidelities concerned; empty where geometry alone is.
    structures
        The ``structure_id`` of each structure concerned; empty where all are.
    """

    severity: Severity
    code: str
    sentence: str
    splits: tuple[str, ...] = ()
    fidelities: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()


@dataclass(frozen=True)
class CensusRow:
    """How many structures of one split carry which labels of one fidelity.

    Parameters
    ----------
    split, fidelity
        Which labels are counted; ``fidelity`` is empty in a split without any labels.
    n_structures
        All structures of the split.
    n_energies, n_stderr, n_forces, n_stress
        Structures with an energy, with its error, with forces on every atom, with a stress.
    n_formulas
        Distinct compositions among the structures with an energy.
    """

    split: str
    fidelity: str
    n_structures: int
    n_energies: int
    n_stderr: int
    n_forces: int
    n_stress: int
    n_formulas: int


@dataclass(frozen=True)
class Diagnosis:
    """The census and the findings, the worst first.

    Parameters
    ----------
    census
        One row per split and fidelity.
    findings
        What was found.
    """

    census: tuple[CensusRow, ...]
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity that occurs, or None where nothing was found."""
        present = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in present), None)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def as_json(self) -> dict[str, Any]:
        """Return plain data: ``census``, ``findings``, ``worst``."""
        content: dict[str, Any] = jsonable({**asdict(self), "worst": self.worst})
        return content


def ids(structures: Sequence[Structure]) -> tuple[str, ...]:
    """Return the names of structures, each once, in order."""
    return tuple(dict.fromkeys(structure.structure_id for structure in structures))


def few(names: Sequence[str]) -> str:
    """Return the first names and how many more there are, for a sentence."""
    listed = ", ".join(names[:NAMED])
    return f"{listed} and {len(names) - NAMED} more" if len(names) > NAMED else listed


def frames(n: int) -> str:
    """Return ``1 frame`` or ``2 frames``."""
    return f"{n} frame" if n == 1 else f"{n} frames"
