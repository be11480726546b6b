"""Optimisers whose steps outlive their process: one that was killed goes on to the same bits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.optimize import BFGS, FIRE

from rung.data.labels import Array
from rung.progress import Task
from rung.results.arrays import COUNT, REAL, TEXT, ArrayKind, DamagedArraysError, read_arrays
from rung.storage import atomic_path, set_aside

SAVE_EVERY = 5
"""Steps from one checkpoint to the next."""


class KeptBFGS(BFGS):
    """ASE's BFGS, whose Hessian and last step can be taken out and put back."""

    _last: tuple[Any, ...] = ()

    def dump(self, data: tuple[Any, ...]) -> None:
        """Keep what ASE would write to a restart file after each step."""
        self._last = data[:4]

    def load(self) -> tuple[Any, ...]:
        """Return it."""
        return self._last

    def memory(self) -> dict[str, Array]:
        """Return what decides the next step, beside where it stands."""
        return dict(zip(_BFGS, map(np.asarray, self._last), strict=False))

    def remember(self, memory: Mapping[str, Array]) -> None:
        """Go on as the optimiser that had this memory would."""
        if memory:
            *arrays, maxstep = (np.array(memory[name]) for name in _BFGS)
            self._last = (*arrays, float(maxstep))
            self.read()


_BFGS = ("hessian", "positions_before", "forces_before", "longest_step")


class KeptFIRE(FIRE):
    """ASE's FIRE, whose velocities and clocks can be taken out and put back."""

    def memory(self) -> dict[str, Array]:
        """Return what decides the next step, beside where it stands."""
        if self.vel is None:
            return {}
        return {"velocities": np.array(self.vel), "clocks": np.array([self.dt, self.a, self.Nsteps])}

    def remember(self, memory: Mapping[str, Array]) -> None:
        """Go on as the optimiser that had this memory would."""
        if memory:
            self.vel = np.array(memory["velocities"])
            self.dt, self.a = (float(value) for value in memory["clocks"][:2])
            self.Nsteps = int(memory["clocks"][2])


@dataclass(frozen=True)
class Stand:
    """Where an optimisation stands.

    Parameters
    ----------
    positions
        Of each image, Å, shape ``(images, n, 3)``.
    cells
        Of each image, Å, shape ``(images, 3, 3)``.
    energy
        Of the first image, eV: another potential gives another one.
    steps
        Steps taken in all.
    stage
        Which of several optimisations in a row.
    memory
        What the optimiser knows.
    """

    positions: Array
    cells: Array
    energy: float
    steps: int = 0
    stage: int = 0
    memory: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Sequence[Atoms], steps: int, stage: int, memory: Mapping[str, Array]) -> Self:
        """Return where ``images`` stand; the first has its energy."""
        return cls(
            np.array([image.positions for image in images]),
            np.array([image.cell.array for image in images]),
            float(images[0].get_potential_energy()),
            steps,
            stage,
            memory,
        )

    def write(self, path: Path, key: str) -> None:
        """Write the file of the optimisation that ``key`` identifies, whole or not at all."""
        content: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS}
        content |= {_MEMORY + name: array for name, array in self.memory.items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, key=np.array(key), **content)

    @classmethod
    def read(cls, path: Path, key: str) -> Self | None:
        """Return what the file says; None where there is none, it is of another key, or damaged: that is warned of."""
        if not path.exists():
            return None
        try:
            content = read_arrays(path, _KINDS)
            if str(content.pop("key")) != key:
                return None
            memory = {name.removeprefix(_MEMORY): content[name] for name in content if name.startswith(_MEMORY)}
            return cls(
                content["positions"],
                content["cells"],
                float(content["energy"]),
                int(content["steps"]),
                int(content["stage"]),
                memory,
            )
        except DamagedArraysError as error:
            set_aside(path, error.reason)
            return None


_KINDS = {
    "key": TEXT,
    "positions": ArrayKind("f", ("images", "n", 3), finite=True),
    "cells": ArrayKind("f", ("images", 3, 3), finite=True),
    "energy": REAL,
    "steps": COUNT,
    "stage": COUNT,
}
_FIELDS = ("positions", "cells", "energy", "steps", "stage")
_MEMORY = "memory_"


def optimise(
    optimizer: KeptBFGS | KeptFIRE,
    *,
    fmax: float,
    steps: int,
    before: Stand | None,
    task: Task,
    save: Callable[[int, Mapping[str, Array]], None],
) -> tuple[bool, int]:
    """Run until the forces are small, the steps are spent or a force is not finite.

    Parameters
    ----------
    optimizer
        Made for atoms that stand where ``before`` says.
    fmax
        Largest force on an atom to reach, eV/Å.
    steps
        Steps that may be taken in all, those of earlier processes counted.
    before
        What an earlier process left; None without.
    task
        Where steps are reported.
    save
        Is given the steps in all and the memory, every few steps and at the end.

    Returns
    -------
    tuple
        Whether the forces are small, and the steps in all.
    """
    done = 0 if before is None else before.steps
    if before is not None:
        optimizer.remember(before.memory)
    first, converged = done, False
    for step, small in enumerate(optimizer.irun(fmax=fmax, steps=max(0, steps - first))):
        largest = float(np.linalg.norm(optimizer.atoms.get_forces(), axis=1).max())
        converged, done = bool(small), first + step
        if not np.isfinite(largest):
            return False, done
        task.describe(f"largest force {largest:.3f} eV/Å")
        if step:
            task.advance()
            if done % SAVE_EVERY == 0:
                save(done, optimizer.memory())
    save(done, optimizer.memory())
    return converged, done
