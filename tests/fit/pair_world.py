"""A lifted truth that a readout can express: the pair backbone at two fidelities, with noisy energies at one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.features.predict import predict_designs
from rung.fidelity import Fidelity
from rung.fit.lift import Context
from rung.model.potential import ReadoutPotential, Surface
from tests.pair_backbone import PairBackbone, pair_potential

FIDELITIES = {"low": Fidelity("low"), "high": Fidelity("high")}
CONTEXT = Context(dtype="float64")


def geometries(count: int, seed: int = 0) -> list[Structure]:
    """Small periodic cells of carbon and oxygen in two compositions."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        symbols = [6, 8, 6, 8] if number % 2 else [6, 8, 6, 6]
        positions = np.array([[0, 0, 0], [1.5, 1.4, 0.1], [0.1, 1.5, 1.6], [1.6, 0.1, 1.5]])
        atoms = Atoms(
            symbols, positions=positions + random.normal(scale=0.12, size=(4, 3)), cell=[3.1, 3.2, 3.3], pbc=True
        )
        frames.append(Structure(atoms, f"cell-{number}", {}))
    return frames


def truth(base: ReadoutPotential, size: float = 0.3, seed: int = 5) -> Surface:
    """The high fidelity: other readout weights on the same features, other E0."""
    surface = base.surface("low")
    change = size * np.random.default_rng(seed).normal(size=surface.readout.weights.shape)
    elements = surface.reference.elements
    return Surface(surface.readout.moved(change), surface.reference.moved(elements, np.array([3.0, -2.0])))


def labelled(
    frames: Sequence[Structure], potential: ReadoutPotential, surface: Surface, count: int, sigma: float, seed: int = 0
) -> list[Structure]:
    """Give the first ``count`` frames a noisy high energy."""
    random = np.random.default_rng(seed)
    designs = build_designs(frames, potential.backbone, surface.readout, forces=False, fidelity="low")
    found = predict_designs(designs, surface, sorted(potential.elements))
    return [
        _with_energy(frame, item.energy + sigma * random.normal(), sigma) if number < count else frame
        for number, (frame, item) in enumerate(zip(frames, found, strict=True))
    ]


def _with_energy(frame: Structure, energy: float, sigma: float) -> Structure:
    label = replace(empty_labels(len(frame)), energy=energy, energy_stderr=sigma)
    return replace(frame, labels={**frame.labels, "high": label})


def pair_base() -> ReadoutPotential:
    return pair_potential(PairBackbone(), ("low",))
