"""``findings.json``: what the doctor found in labelled data, with a census of the labels."""

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field

from rung.results.base import Entry, Result

FINDINGS_FILE = "findings.json"

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst down: an error would spoil a fit, a warning may, a note is good to know."""


class CensusRow(Entry):
    """How many structures of one split carry which labels of one fidelity."""

    split: str
    """The split."""
    fidelity: str
    """The fidelity; empty in a split without any labels."""
    n_structures: int
    """All structures of the split."""
    n_energies: int
    """Structures with an energy."""
    n_stderr: int
    """Structures whose energy has an error."""
    n_forces: int
    """Structures with forces on every atom."""
    n_stress: int
    """Structures with a stress."""
    n_formulas: int
    """Distinct compositions among the structures with an energy."""


class Finding(Entry):
    """One thing that the doctor found."""

    severity: Severity
    """``error``, ``warning`` or ``note``."""
    code: str
    """What was found, in two or three words joined by hyphens; stable, for scripts."""
    sentence: str = Field(validation_alias=AliasChoices("sentence", "message"))
    """What was found and what to do, for people."""
    splits: tuple[str, ...] = ()
    """The splits concerned."""
    fidelities: tuple[str, ...] = ()
    """The fidelities concerned; empty where geometry alone is."""
    structures: tuple[str, ...] = ()
    """The ``structure_id`` of each structure concerned; empty where all are."""


class Diagnosis(Result):
    """The census and the findings, the worst first."""

    census: tuple[CensusRow, ...]
    """One row per split and fidelity."""
    findings: tuple[Finding, ...]
    """What was found."""

    worst: Severity | None
    """The gravest severity that occurs; null where nothing was found."""

    @classmethod
    def of_findings(cls, census: Iterable[CensusRow], findings: Iterable[Finding]) -> Self:
        """Return the diagnosis that these make, the findings sorted by severity."""
        ranked = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
        return cls(census=tuple(census), findings=tuple(ranked), worst=ranked[0].severity if ranked else None)

    def of_severity(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file: every key of every finding."""
        return self.model_dump()
