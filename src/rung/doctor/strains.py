"""Finite strains: pairs of frames that differ in their cells, whose energies tell what the stress should be."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.doctor.slopes import Slope, slope_through_zero

STRAIN = 0.08
"""The largest component of a strain whose mean stress still gives the change of energy within a tenth or so."""

STEP = 0.05
"""Å: the farthest that an atom moves beside the strain; the work of forces over more would drown that of the stress."""

FRAMES = 150
"""Frames of one kind that are looked at."""

KINDS = 30
"""Kinds of frames that are looked at, the largest ones."""


ORDERS: Mapping[str, tuple[int, int, int]] = {
    "yz xz xy": (0, 1, 2),
    "xy yz zx (VASP's)": (1, 2, 0),
    "xy xz yz (LAMMPS's)": (2, 1, 0),
    "yz xy xz": (0, 2, 1),
    "xz yz xy": (1, 0, 2),
    "xz xy yz": (2, 0, 1),
}
"""Where yz, xz and xy stand among the last three numbers of a stress, by the order of these; the first is right."""

RIGHT = next(iter(ORDERS))


@dataclass(frozen=True)
class Strained:
    """Pairs of strained frames of one fidelity.

    Parameters
    ----------
    fidelities
        The fidelity.
    changes
        By how much the energies change beyond what the forces explain, eV, shape ``(n,)``.
    parts
        What each stress component says of it, by place in the label, for each meaning of the place: shape
        ``(n, 6, 6)``, eV; ``[:, m, c]`` is the label at place c taken for component m.
    volumes
        Å³, shape ``(n,)``.
    """

    fidelities: tuple[str, ...]
    changes: Array
    parts: Array
    volumes: Array
    words: str = "the energies of strained frames"

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.changes)

    def slope(self) -> Slope:
        """Return how the work of the stress changes with the energies."""
        return slope_through_zero(self.changes, np.einsum("ncc->n", self.parts))

    def fits(self) -> tuple[Mapping[str, float], int]:
        """Return how well the shears fit in each order (a correlation), and from how many numbers."""
        left = self.changes - np.einsum("ncc->n", self.parts[:, :3, :3])
        found = {}
        for name, places in ORDERS.items():
            work = sum(self.parts[:, 3 + meaning, 3 + place] for meaning, place in enumerate(places))
            size = float(np.linalg.norm(left) * np.linalg.norm(work))
            found[name] = float(left @ work) / size if size > 0 else 0.0
        return found, len(self)


def strained_pairs(structures: Sequence[Structure], fidelity: str) -> Strained:
    """Return pairs of near frames whose cells differ; each frame with the nearest one of another cell."""
    groups: dict[Hashable, list[Structure]] = {}
    for structure in structures:
        label = structure.labels[fidelity]
        if label.has_energy and label.has_stress and structure.atoms.pbc.all():
            groups.setdefault(structure.atoms.numbers.tobytes(), []).append(structure)
    rows = [
        row
        for group in sorted(groups.values(), key=len, reverse=True)[:KINDS]
        if len(group) > 1
        for row in _rows(evenly_spread(group, FRAMES), fidelity)
    ]
    return Strained(
        (fidelity,),
        np.array([change for change, _, _ in rows]),
        np.array([parts for _, parts, _ in rows]).reshape(-1, 6, 6),
        np.array([volume for _, _, volume in rows]),
    )


def _rows(group: Sequence[Structure], fidelity: str) -> list[tuple[float, Array, float]]:
    cells = np.array([structure.atoms.cell.array.ravel() for structure in group])
    rows = []
    for k, structure in enumerate(group):
        distance = np.linalg.norm(cells - cells[k], axis=1)
        distance[distance < 1e-4] = np.inf
        nearest = int(np.argmin(distance))
        if np.isfinite(distance[nearest]):
            row = _pair(structure, group[nearest], fidelity)
            rows += [] if row is None else [row]
    return rows


def _pair(one: Structure, other: Structure, fidelity: str) -> tuple[float, Array, float] | None:
    """Return the change of energy that the strain explains, the parts of its work, and the volume; None if too far."""
    here, there = one.labels[fidelity], other.labels[fidelity]
    first, second = one.atoms.cell.array, other.atoms.cell.array
    gradient = np.linalg.solve(first, second) - np.eye(3)
    strain = 0.5 * (gradient + gradient.T)
    scaled = other.atoms.positions @ np.linalg.inv(second) - one.atoms.positions @ np.linalg.inv(first)
    moves = (scaled - np.round(scaled)) @ (0.5 * (first + second))
    moves -= moves.mean(axis=0)
    moved = float(np.linalg.norm(moves, axis=1).max())
    if np.abs(gradient).max() > STRAIN or moved > STEP:
        return None
    change = there.energy - here.energy
    if moved > 1e-3:
        if not (here.has_forces and there.has_forces):
            return None
        change += 0.5 * float(((here.forces + there.forces) * moves).sum())
    volume = 0.5 * (one.atoms.cell.volume + other.atoms.cell.volume)
    weights = volume * np.array([*np.diag(strain), *(2.0 * strain[[1, 0, 0], [2, 2, 1]])])
    parts = weights[:, None] * (0.5 * (here.stress + there.stress))
    noise = float(np.sqrt(np.nansum([here.energy_stderr**2, there.energy_stderr**2])))
    return None if abs(change) <= 3.0 * noise else (change, parts, volume)
