"""Where a potential came from: what ``model.rung`` keeps of its fit, and the card in every exported file."""

from collections.abc import Mapping

from rung.results.base import Entry, Number, Result

ORIGIN = "origin"
"""The key of a checkpoint's metadata."""


class KnownFile(Entry):
    """A file that was read, by name alone: an exported file travels, and tells nothing of its first machine."""

    name: str
    """Its name, without its folder."""
    sha256_32: str
    """The first 32 hexadecimal digits of the SHA-256 of its bytes."""


class TrainingLabels(Entry):
    """The labels of one fidelity that a fit learnt from."""

    level_of_theory: str = ""
    """What made them, as the config says it."""
    n_energies: int
    """How many energies."""
    n_differences: int = 0
    """How many differences of energies, of a table."""
    n_forces: int
    """How many structures with forces."""
    energy_stderr: Number
    """Median one-sigma error of an energy, eV; null where none has one."""
    energy_shared_stderr: Number = 0.0
    """The error that all its energies share, eV."""


class Origin(Result):
    """What a fit was made from."""

    rung: str
    """The version of rung that made it."""
    method: str
    """The method."""
    target: str
    """The fidelity that it lifted to."""
    labels: Mapping[str, TrainingLabels]
    """By fidelity."""
    data: Mapping[str, KnownFile]
    """The files of labels and structures, by the key of the config."""
    base: KnownFile | None = None
    """The file of the base; null without one."""
    base_fidelity: str | None = None
    """The fidelity of the base; null without one."""


class Draw(Entry):
    """Which draw from the posterior a file of a committee is."""

    number: int
    """From 0 on."""
    of: int
    """How many files the committee has."""
    seed: int
    """Of the generator."""
    holds: str
    """What the spread of the files stands for."""


class Card(Result):
    """What an exported file says of itself."""

    rung: str
    """The version of rung that wrote the file."""
    fidelity: str
    """The fidelity that it predicts."""
    reference_energies: Mapping[str, float]
    """E0 of each element, eV."""
    origin: Origin | None = None
    """What the potential was made from; absent where nobody knows."""
    draw: Draw | None = None
    """Which draw it is; absent where it is no file of a committee."""
    route: str = ""
    """What the file was converted for; empty for the backend's own file."""
