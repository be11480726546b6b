"""Files of ``rung label``: ``metrics.json`` of each structure's job, and ``label.json`` of all of them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from rung.results.base import Entry, Number, Numbers, Result

LABEL_FILE = "label.json"

LabelState = Literal["labelled", "failed", "waiting", "missing"]
"""Waiting: inputs are written, and outputs are not there yet. Missing: not computed yet."""


class LabelRecord(Result):
    """One label, and how it was made."""

    structure_id: str
    """The structure."""
    energy: Number
    """Of the cell, eV."""
    energy_stderr: Number
    """One-sigma error, eV; null where nobody knows it."""
    stderr_wanted: Number
    """The error that was asked for, eV; null where none was."""
    forces: tuple[Numbers, ...]
    """eV/Å, a row an atom; empty where there are none."""
    stress: Numbers
    """xx yy zz yz xz xy, ASE's sign, eV/Å³; empty where there is none."""
    independent: Number
    """Independent samples; null where the calculation is not statistical."""
    program: str
    """What made it."""
    method: str
    """The level of theory."""
    warnings: tuple[str, ...]
    """What makes it doubtful."""
    details: Mapping[str, Number]
    """Numbers that say how it was made, by name."""
    seconds: Number
    """Time that its last part took, s."""
    cpu_seconds: Number
    """Processor time of it, children included, s."""
    host: str
    """The machine."""
    seed: int
    """Of everything random."""
    settings_hash: str
    """Of the engine's settings and the files that they name."""
    versions: Mapping[str, str]
    """Versions of rung, Python and the packages that decide the result."""


class LabelEntry(Entry):
    """What became of one structure."""

    structure_id: str
    """The structure."""
    folder: str
    """Its folder, from that of the labels."""
    state: LabelState
    """Whether it has a label."""
    sentence: str
    """Why it has none, or none as precise as it was asked for; empty where it has."""
    energy: Number
    """Of the cell, eV."""
    energy_stderr: Number
    """One-sigma error, eV."""
    stderr_wanted: Number
    """The error that was asked for, eV."""
    independent: Number
    """Independent samples."""
    cpu_seconds: Number
    """Processor time, s."""
    warnings: tuple[str, ...]
    """What makes the label doubtful."""


class Labelled(Result):
    """All labels of a folder."""

    fidelity: str
    """What they are called."""
    engine: Mapping[str, JsonValue]
    """Settings of the engine."""
    files: Mapping[str, str]
    """The first 32 hexadecimal digits of the SHA-256 of each file that decides labels, by its path."""
    entries: tuple[LabelEntry, ...]
    """Structures, in the order in which they came."""
    command: str
    """What was called last."""
    rung: str
    """The version of rung."""
