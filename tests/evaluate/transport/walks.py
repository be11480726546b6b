"""Walks of known diffusivity in periodic cells, for the tests of transport."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rung.data.labels import Array

CELL = 16.0
FRAME_FS = 50.0


def walk(steps: Array, *, rattle: float = 0.0, seed: int = 0, framework: Array | None = None) -> list[Atoms]:
    """Return lithium that takes ``steps``, Å, shape ``(T, n, 3)``, among four sulfurs that move by ``framework``."""
    random = np.random.default_rng([seed, 1])  # another stream than that of the steps
    start = random.uniform(0, CELL, size=(1, steps.shape[1], 3))
    path = start + np.concatenate([np.zeros_like(start), np.cumsum(steps, axis=0)])
    path += rattle * random.standard_normal(path.shape)
    held = np.zeros((len(path), 1, 3)) if framework is None else framework[:, np.newaxis]
    sites = CELL / 4 * np.array([[0, 0, 0], [2, 2, 0], [2, 0, 2], [0, 2, 2]], dtype=float)
    symbols = ["Li"] * steps.shape[1] + ["S"] * 4
    return [
        Atoms(symbols, positions=np.concatenate([mobile + shift, sites + shift]), cell=3 * [CELL], pbc=True)
        for mobile, shift in zip(path, held, strict=True)
    ]


def brownian(diffusivity: float, *, frames: int, atoms: int, seed: int) -> Array:
    """Return Gaussian steps of ``diffusivity``, Å²/fs, between frames, shape ``(frames - 1, atoms, 3)``."""
    width = np.sqrt(2.0 * diffusivity * FRAME_FS)
    return np.random.default_rng(seed).normal(scale=width, size=(frames - 1, atoms, 3))


def hops(rate: float, length: float, *, frames: int, atoms: int, seed: int) -> Array:
    """Return hops of ``length`` along an axis at a share ``rate`` of the frames: D = rate length² / (6 δt)."""
    random = np.random.default_rng(seed)
    shape = (frames - 1, atoms)
    directions = np.eye(3)[random.integers(0, 3, size=shape)] * random.choice([-1.0, 1.0], size=(*shape, 1))
    return np.asarray(length * directions * (random.random((*shape, 1)) < rate))


class Nothing(Calculator):
    """No forces at all: Langevin's friction alone makes atoms diffuse, with D = kT / (m γ)."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}
