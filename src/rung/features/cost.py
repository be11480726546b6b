"""What a design costs, counted in passes through the backbone, and how structures share passes."""

from collections.abc import Iterator, Sequence
from typing import Literal

Kind = Literal["jacobian", "summed", "probed"]

ATOMS_A_BATCH = 100
"""On a CPU: the fixed cost of a pass is small beside its arithmetic, and its arrays small enough for the allocator to
reuse; at 300 atoms a third of a pass went into fresh pages of memory."""

ATOMS_A_BATCH_ACCELERATOR = 2000
"""On a GPU, where a small pass costs as much as a large one."""

JACOBIAN_BYTES = 1 << 30
"""A Jacobian larger than this is not made unless it is asked for by name."""


def cheaper_kind(n_colours: int, n_basis: int, jacobian_bytes: int = 0, *, pass_ratio: float) -> Kind:
    """Return which way to a design with forces costs less.

    Parameters
    ----------
    n_colours
        Groups of atoms that move in one pass; the number of atoms where all of them see one another. The Jacobian takes
        three passes a group, whatever the readout.
    n_basis
        Fitted weights; the summed design takes one reverse pass for each, whatever the number of atoms.
    jacobian_bytes
        Memory of the Jacobian.
    pass_ratio
        Cost of one pass of the Jacobian in units of one reverse pass; every backbone has its own.
    """
    if jacobian_bytes > JACOBIAN_BYTES:
        return "summed"
    # at equal cost the Jacobian is worth more, for it serves every other readout
    return "jacobian" if 3 * n_colours * pass_ratio <= n_basis else "summed"


def batches(
    sizes: Sequence[int], costs: Sequence[int], batch_size: int | None = None, *, atoms_a_batch: int = ATOMS_A_BATCH
) -> Iterator[list[int]]:
    """Yield indices of structures that share passes, those of similar cost together.

    Parameters
    ----------
    sizes
        Atoms of each structure.
    costs
        Passes of each structure: a batch takes as many as its dearest structure.
    batch_size
        Structures a batch; None takes as many as ``atoms_a_batch`` holds, and at least one.
    atoms_a_batch
        Atoms.
    """
    batch: list[int] = []
    atoms = 0
    for index in sorted(range(len(sizes)), key=lambda index: (costs[index], sizes[index], index)):
        full = len(batch) >= batch_size if batch_size is not None else atoms + sizes[index] > atoms_a_batch
        if batch and full:
            yield batch
            batch, atoms = [], 0
        batch.append(index)
        atoms += sizes[index]
    if batch:
        yield batch
