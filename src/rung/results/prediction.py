"""``<out>.predicted.json``: what a model predicted for each structure of a file, and whether it could know."""

from collections.abc import Mapping

from rung.results.base import Atoms, DomainWord, Entry, Number, Result

SIDECAR = ".predicted.json"


class PredictedStructure(Entry):
    """What is predicted of one structure."""

    structure_id: str
    """Of the structure."""
    n_atoms: Atoms
    """Its atoms."""
    energy: Number
    """Total energy, eV."""
    energy_stderr: Number
    """One-sigma error with the model's own error, eV; null where the model has no error bars, or no label identifies
    the composition."""
    identified: bool
    """Whether labels identify the energy of its composition; true without error bars."""
    largest_force: Number
    """Length of the largest force on an atom, eV/Å."""
    domain: DomainWord
    """Whether it is like the training structures."""


class PredictionResult(Result):
    """What ``rung predict`` found."""

    fidelity: str
    """The fidelity that was predicted."""
    name: str
    """What the predictions are called in the file: ``<name>_energy`` and so on."""
    model: str
    """What the potential was opened from."""
    fingerprint: str
    """A hash of its weights, readout and reference energies."""
    out: str
    """The file."""
    out_hashes: tuple[str, ...]
    """Of its content and of what it replaced, by which a later call knows it for its own."""
    inputs: Mapping[str, str]
    """A hash of each file that was read, by its path."""
    structures: tuple[PredictedStructure, ...]
    """In the order of the files."""
    warnings: tuple[str, ...]
    """What a reader should know."""
    command: str
    """The call."""
    rung: str
    """The version."""
