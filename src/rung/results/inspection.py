"""What ``rung inspect`` says of a file."""

from collections.abc import Mapping

from pydantic import JsonValue

from rung.results.base import Entry, Number, Result
from rung.results.origin import Card, Origin


class ModelFacts(Entry):
    """What a backend says of a model."""

    backend: str
    """The name of the backend."""
    kind: str = ""
    """What the library calls such a model."""
    heads: tuple[str, ...] = ()
    """Its heads or modalities, as the library calls them."""
    elements: tuple[str, ...] = ()
    """The elements that it knows."""
    cutoff: Number = float("nan")
    """The range of one edge, Å."""
    receptive_field: Number = float("nan")
    """How far an atom sees, Å; null where that is not known."""
    dtype: str = ""
    """The type of its numbers."""
    n_weights: int | None = None
    """How many trainable numbers it has; null where that is not known."""
    reference_energies: Mapping[str, Mapping[str, Number]] = {}
    """E0 of each element by head, eV."""
    details: Mapping[str, JsonValue] = {}
    """What else there is to say, by the library's own names."""
    trouble: str = ""
    """Why rung cannot use the model; empty where it can, as far as this look tells."""


class FidelityFacts(Entry):
    """One fidelity of a checkpoint."""

    n_weights: int
    """How many weights its readout has."""
    reference_energies: Mapping[str, Number]
    """E0 of each element, eV."""


class Inspection(Result):
    """What a file is."""

    file: str
    """Its path; of a run, that of its ``model.rung``."""
    kind: str
    """What it is, in words."""
    size: int
    """Bytes."""
    sha256_32: str
    """The first 32 hexadecimal digits of the SHA-256 of its bytes."""
    models: tuple[ModelFacts, ...] = ()
    """The models in it: one, or two of a sum."""
    fidelities: Mapping[str, FidelityFacts] = {}
    """The fidelities of a checkpoint, by name."""
    posterior: str = ""
    """What a checkpoint has error bars from; empty where it has none."""
    origin: Origin | None = None
    """What the potential was made from; null where the file does not say it."""
    card: Card | None = None
    """What an exported file says of itself; null where it has no card."""
    exported: tuple[str, ...] = ()
    """Of a run: the files that it exported, by name."""
