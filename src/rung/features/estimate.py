"""What a build of designs will cost, before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from rung.errors import counted
from rung.features.cache import EntryKind
from rung.features.measure import PassCosts
from rung.progress import duration, memory_size

WORTH_MEASURING = 20_000
"""Passes times atoms above which the cost of passes is measured before a build: some seconds for a small model."""

WORTH_SAYING = 20.0
"""Seconds above which a build says what it will cost."""


@dataclass(frozen=True)
class Piece:
    """One entry to compute.

    Parameters
    ----------
    kind
        Of the entry.
    n_atoms
        Of its structure.
    passes
        Passes through the backbone, beside the one for the features.
    n_bytes
        About how much the cache keeps of it.
    """

    kind: EntryKind
    n_atoms: int
    passes: int
    n_bytes: int = 0


@dataclass(frozen=True)
class Estimate:
    """What a build will take on this machine.

    Parameters
    ----------
    n_structures
        Entries to compute; what the cache has is not among them.
    seconds
        Time.
    memory
        Bytes that the passes of a batch hold at most, beside what the process has.
    stored
        Bytes that the cache will keep.
    """

    n_structures: int
    seconds: float
    memory: float
    stored: float

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{counted(self.n_structures, 'structure')}: about {duration(self.seconds)} on this machine, "
            f"up to {memory_size(self.memory)} of memory, {memory_size(self.stored)} to keep"
        )


def estimate(pieces: Sequence[Piece], costs: PassCosts, atoms_a_batch: int) -> Estimate:
    """Return what ``pieces`` will take, from passes that were measured on one structure.

    Parameters
    ----------
    pieces
        What is to be computed.
    costs
        Of passes on this machine.
    atoms_a_batch
        Atoms whose passes are in memory at once, or those of the largest structure where it has more.
    """
    seconds = {"features": 0.0, "summed": costs.reverse, "jacobian": costs.jacobian, "probed": costs.probe}
    time = sum((costs.forward + piece.passes * seconds[piece.kind]) * piece.n_atoms for piece in pieces)
    sizes = [piece.n_atoms for piece in pieces]
    at_once = min(max([atoms_a_batch, *sizes]), sum(sizes))
    return Estimate(
        n_structures=len(pieces),
        seconds=time / costs.n_atoms,
        memory=costs.n_bytes / costs.n_atoms * at_once,
        stored=float(sum(piece.n_bytes for piece in pieces)),
    )
