"""Walkers that may be killed at any block and go on as if they had not been: their state, and how they are followed.

The state after a block is one file that is whole or of the block before. Random numbers of a block are drawn from a
stream of its own, so a run that was killed gives the numbers of one that was not.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np

from rung.data.labels import Array
from rung.errors import StorageError, UnconvergedError
from rung.storage import atomic_path, set_aside

SAVED_AFTER = 10.0
"""Seconds of processor time after which the state is written again."""

STARVED, CROWDED = 0.2, 5.0
"""Mean weights of a block, of walkers that began with one each, beyond which the population is out of control."""

_FIELDS = ("positions", "weights", "energies", "block_weights", "acceptance", "numbers")


@dataclass(frozen=True)
class Walkers:
    """Walkers after some blocks.

    Parameters
    ----------
    positions
        Of the electrons, shape ``(walkers, electrons, 3)``, Bohr.
    weights
        Of the walkers, shape ``(walkers,)``.
    energies, block_weights, acceptance
        Of each block: weighted mean energy in Hartree, mean weight, and share of moves that were accepted.
    trial, reference, spread
        The trial energy of the next block, the estimate of the energy, and the spread of local energies at the
        beginning, Hartree.
    cpu_seconds
        Processor time so far, those of runs that were killed among it.
    """

    positions: Array
    weights: Array
    energies: Array
    block_weights: Array
    acceptance: Array
    trial: float
    reference: float
    spread: float
    cpu_seconds: float = 0.0

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self.energies)

    @classmethod
    def start(cls, positions: Array, energy: float, spread: float) -> Self:
        """Return walkers before their first block."""
        none = np.zeros(0)
        return cls(positions, np.ones(len(positions)), none, none, none, energy, energy, spread)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what a file holds; None where there is none, or it is damaged and was set aside."""
        if not path.exists():
            return None
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in _FIELDS}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            set_aside(path, str(error))
            return None
        numbers = arrays.pop("numbers")
        return cls(*arrays.values(), *(float(number) for number in numbers))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        numbers = np.array([self.trial, self.reference, self.spread, self.cpu_seconds])
        arrays = {name: getattr(self, name) for name in _FIELDS[:-1]}
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **arrays, numbers=numbers)
        except ValueError as error:
            raise StorageError(f"Cannot write {path}: {error}.") from error


@dataclass(frozen=True)
class Block:
    """What one block gave: the walkers after it, its mean energy (Hartree), mean weight and acceptance."""

    positions: Array
    weights: Array
    energy: float
    weight: float
    acceptance: float


@dataclass(frozen=True)
class Sampler:
    """Follows walkers.

    Parameters
    ----------
    advance
        Follows them for one block.
    feedback
        Whether weights are steered by the trial energy, as in diffusion Monte Carlo.
    file
        Where the state is kept.
    seed
        Of the streams of random numbers.
    clock
        Gives the processor time, s.
    """

    advance: Callable[[Walkers], Block]
    feedback: bool
    file: Path
    seed: int
    clock: Callable[[], float]

    def run(self, walkers: Walkers, blocks: int) -> Walkers:
        """Return the walkers once they have so many blocks, from wherever they are.

        Raises
        ------
        UnconvergedError
            When an energy is not finite, or the population is out of control.
        """
        began, saved, before = self.clock(), self.clock(), walkers.cpu_seconds
        while walkers.blocks < blocks:
            with seeded(self.seed, walkers.blocks):
                block = self.advance(walkers)
            _require_sound(block, walkers.blocks)
            walkers = self._after(walkers, block)
            now = self.clock()
            if now - saved > SAVED_AFTER or walkers.blocks == blocks:
                walkers = replace(walkers, cpu_seconds=before + now - began)
                walkers.write(self.file)
                saved = now
        return walkers

    def _after(self, walkers: Walkers, block: Block) -> Walkers:
        energies = np.append(walkers.energies, block.energy)
        weights = np.append(walkers.block_weights, block.weight)
        late = len(energies) // 4  # as PyQMC takes its estimate
        reference = float(np.average(energies[late:], weights=weights[late:]))
        steered = reference - float(np.log(block.weights.mean())) if self.feedback else reference
        return replace(
            walkers,
            positions=block.positions,
            weights=block.weights,
            energies=energies,
            block_weights=weights,
            acceptance=np.append(walkers.acceptance, block.acceptance),
            trial=steered,
            reference=reference,
        )


def _require_sound(block: Block, number: int) -> None:
    if not (np.isfinite(block.energy) and np.isfinite(block.positions).all() and np.isfinite(block.weights).all()):
        raise UnconvergedError(f"Block {number} has an energy that is not finite: the walk diverged.")
    if not STARVED < block.weight < CROWDED:
        raise UnconvergedError(
            f"Block {number} has a mean weight of {block.weight:.3g}: the population is out of control; take a "
            "shorter time_step, or look at the trial wave function."
        )


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Draw numpy's global random numbers, which PyQMC uses, from a stream of its own within the block."""
    before = np.random.get_state()
    digest = hashlib.sha256(repr(parts).encode()).digest()
    np.random.seed(np.frombuffer(digest, dtype=np.uint32))
    try:
        yield
    finally:
        np.random.set_state(before)
