"""Frames of two fidelities: many with energies and forces at ``low``, a few with energies at ``high``."""

from dataclasses import replace

from rung.data.structure import Structure
from tests.fit.toy_surface import toy_structures

DEPTH = 1.3
"""How much deeper than ``low`` the surface of ``high`` is."""


def two_levels(low: int, high: int, seed: int = 0, *, forces: bool = False) -> list[Structure]:
    """Return ``low`` frames, of which the first ``high`` are labelled at ``high`` too."""
    cheap = toy_structures(low, seed)
    dear = toy_structures(high, seed, fidelity="high", depth=DEPTH, forces=forces)
    both = [replace(one, labels={**one.labels, **two.labels}) for one, two in zip(cheap, dear, strict=False)]
    return [*both, *cheap[high:]]
