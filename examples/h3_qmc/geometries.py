"""The geometries of H + H2 -> H2 + H: a path, frames rattled around it, and the entrance channel."""

from collections.abc import Iterator

import numpy as np
from ase import Atoms

BOND, SADDLE = 0.7414, 0.930
"""Å: the bond of H2, and both bonds of the saddle (Pauling bond orders n and 1 - n join them)."""

FAR = 4.0
"""Å, from the middle atom to the third one where H and H2 are apart."""

RATTLED, CHANNEL = 293, 60
"""How many frames there are of each kind."""


def path_point(order: float, angle: float = 180.0) -> np.ndarray:
    """Return positions, Å, on the path of bond orders; ``order`` is that of the first bond, ``angle`` in degrees."""
    scale = (SADDLE - BOND) / np.log(2)
    first, second = BOND - scale * np.log(order), BOND - scale * np.log(1 - order)
    bend = np.deg2rad(180.0 - angle)
    return np.array([[0.0, 0.0, -first], [0.0, 0.0, 0.0], [second * np.sin(bend), 0.0, second * np.cos(bend)]])


def apart(bond: float, distance: float, angle: float = 180.0) -> np.ndarray:
    """Return positions, Å, of H2 and an atom at ``distance`` from its nearer end; ``angle`` in degrees."""
    bend = np.deg2rad(180.0 - angle)
    return np.array([[0.0, 0.0, -bond], [0.0, 0.0, 0.0], [distance * np.sin(bend), 0.0, distance * np.cos(bend)]])


def geometries() -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and positions: 7 along the path, 293 rattled around it, 60 of the entrance channel."""
    yield "path_050", path_point(0.5)
    yield "path_far", apart(BOND, FAR)
    for order in (0.6, 0.7, 0.8, 0.9, 0.97):
        yield f"path_{int(order * 100):03d}", path_point(order)
    random = np.random.default_rng(20)
    for number in range(RATTLED):
        order, angle = random.uniform(0.03, 0.97), 180.0 - abs(random.normal(0.0, 30.0))
        yield f"rand_{number:03d}", path_point(order, angle) + random.normal(0.0, 0.05, (3, 3))
    random = np.random.default_rng(21)
    for number in range(CHANNEL):
        bond, distance = random.normal(BOND, 0.04), random.uniform(1.5, 4.5)
        yield f"chan_{number:03d}", apart(bond, distance, 180.0 - abs(random.normal(0.0, 40.0)))


def frames() -> list[Atoms]:
    """Return the geometries as molecules with a ``structure_id``."""
    return [Atoms("H3", positions, info={"structure_id": name}) for name, positions in geometries()]
