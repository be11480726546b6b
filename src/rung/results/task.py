"""``provenance.json`` of a task's folder: whose work it holds, and what it was made with."""

from collections.abc import Mapping

from rung.results.base import Entry, Result

PROVENANCE = "provenance.json"


class Potential(Entry):
    """The potential behind the results of one fidelity."""

    source: str
    """The file or function that it was opened from."""
    fingerprint: str
    """A hash that tells it from other potentials."""


class Call(Entry):
    """One call of the task in this folder."""

    command: str
    """As it was typed."""
    date: str
    """When it began, ISO 8601."""
    rung: str
    """The version of rung."""
    python: str
    """The version of Python."""
    packages: Mapping[str, str]
    """Versions of packages that can change a result."""


class TaskProvenance(Result):
    """Whose work a task's folder holds; another task, start or potential is refused."""

    task: str
    """The name of the task."""
    identity: Mapping[str, str]
    """What decides the results, a hash each: of the start, of the settings."""
    potentials: Mapping[str, Potential]
    """By fidelity."""
    calls: tuple[Call, ...]
    """All calls, in order."""
    written: Mapping[str, str] = {}
    """The first 32 hexadecimal digits of the SHA-256 of each file of results, by its name in the folder."""
