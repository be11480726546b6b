"""``provenance.json``: what a run or a study was made of, and what became of its export."""

from collections.abc import Mapping

from rung.results.base import Entry, Number, Result

PROVENANCE_FILE = "provenance.json"


class FileRecord(Entry):
    """A file that was read."""

    path: str
    """Where it was."""
    sha256_32: str
    """The first 32 hexadecimal digits of the SHA-256 of its bytes."""


class Export(Entry):
    """What became of the export to one file of the base's backend."""

    file: str | None
    """The name of the file; null where the potential cannot be one."""
    reason: str = ""
    """Why it cannot."""
    energy_step: Number = float("nan")
    """Steps in which the file gives total energies as large as those of the training frames, meV."""
    warning: str = ""
    """What a user of the file must know of these steps; empty where they are small."""


class Provenance(Result):
    """Versions, hashes, seed and device."""

    rung: str
    """The version of rung."""
    python: str
    """The version of Python."""
    packages: Mapping[str, str]
    """Versions of packages that can change a result."""
    platform: str
    """The machine and its operating system."""
    seed: int
    """The seed of the config."""
    device: str
    """The device of the config."""
    dtype: str | None
    """The type of numbers of the config; null where it is the base's own."""
    files: Mapping[str, FileRecord]
    """Every file that the config names, by the key that names it."""
    ingredients: Mapping[str, str]
    """What decides the result, hashed, by key: settings as they are, files by their content."""
    notice: tuple[str, ...] = ()
    """Sentences for the top of the report: who made the labels, and what may be done with them."""
    written: Mapping[str, str] = {}
    """The first 32 hexadecimal digits of the SHA-256 of each file that a stage wrote, by its name in the folder. Empty
    text where it is to be made again; rung 0.1 left no hashes."""
    base_stored: str | None = None
    """The type of the numbers in the base's file where it is half precision, such as ``bfloat16``; else null."""
    export: Export | None = None
    """What became of the export; absent before it was tried."""
