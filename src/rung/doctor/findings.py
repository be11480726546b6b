"""How the checks make findings, and how their sentences name structures and count frames."""

from collections.abc import Sequence

from rung.data.structure import Structure
from rung.errors import counted
from rung.results.findings import Finding, Severity

NAMED = 3
"""How many structures a sentence names before it only counts."""


def finding(
    severity: Severity,
    code: str,
    sentence: str,
    splits: tuple[str, ...] = (),
    fidelities: tuple[str, ...] = (),
    structures: tuple[str, ...] = (),
) -> Finding:
    """Return one finding; its parts are those of :class:`~rung.results.findings.Finding`, in order."""
    return Finding(
        severity=severity,
        code=code,
        sentence=sentence,
        splits=splits,
        fidelities=fidelities,
        structures=structures,
    )


def ids(structures: Sequence[Structure]) -> tuple[str, ...]:
    """Return the names of structures, each once, in order."""
    return tuple(dict.fromkeys(structure.structure_id for structure in structures))


def few(names: Sequence[str]) -> str:
    """Return the first names and how many more there are, for a sentence."""
    listed = ", ".join(names[:NAMED])
    return f"{listed} and {len(names) - NAMED} more" if len(names) > NAMED else listed


def frames(n: int) -> str:
    """Return ``1 frame`` or ``2 frames``."""
    return counted(n, "frame")
