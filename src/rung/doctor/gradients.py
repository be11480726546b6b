"""Checks of forces: gradients given as forces, forces that are no derivative of the energy, net forces, zeroed forces.

Whether forces point downhill is read off in three ways, each blind to a common mistake that another one sees: finite
steps between near frames (E₂ - E₁ ≈ -F·Δx), bonds (a stretched bond pulls, a compressed one pushes), and the base.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from rung.data.batch import neighbours
from rung.data.labels import Array
from rung.data.readers.structures import reading_of
from rung.data.splits import evenly_spaced, evenly_spread
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, frames, ids
from rung.doctor.relaxed import STILL, at_rest, least_change, telling_forces
from rung.doctor.slopes import ENERGY_UNITS, FORCE_UNITS, Slope, explanations, slope_through_zero
from rung.doctor.symmetry import balanced_sites
from rung.results.findings import Finding

STEP = 0.6
"""Å: the farthest that an atom moves in a finite step; the mean force then gives ΔE within a fifth or so."""

STEP_FRAMES = 1_000
"""Frames of one kind that look for the frame nearest to them: more would not move a median."""

COPY = 1.0e-4
"""Å, over all atoms together: nearer frames are copies, whose energies differ by rounding."""

DISTANCES_AT_ONCE = 2_000_000

BOND = 1.2
"""Of the sum of covalent radii: the length up to which a pair counts as a bond."""

BOND_FRAMES = 60
"""Frames whose bonds are looked at."""

NET_FORCE = 0.01
"""eV/Å times √atoms: above rounding and above what a converged calculation leaves."""

PULLED = 0.2
"""eV/Å, r.m.s.: above it bonds decide which way the atoms are pulled."""


@dataclass(frozen=True)
class Witness:
    """One way to tell whether forces point downhill: what it is called, and a slope that should be positive."""

    name: str
    slope: Slope

    @property
    def accuses(self) -> bool:
        """Whether it says for sure that the forces point uphill."""
        return self.slope.is_sure and self.slope.value < 0


def gradients_as_forces(examined: Examined) -> Iterator[Finding]:
    """Find forces with the sign of a gradient."""
    accused: set[tuple[str, str]] = set()
    cleared: set[tuple[str, str]] = set()
    for split, fidelity, members in examined.labelled():
        witnesses = _witnesses(examined, split, fidelity, members)
        guilty = [witness for witness in witnesses if witness.accuses]
        innocent = [witness for witness in witnesses if witness.slope.is_sure and witness.slope.value > 0]
        if len(guilty) > len(innocent):
            accused.add((split, fidelity))
            yield finding(
                "error",
                "gradients-as-forces",
                f"{split}: the {fidelity!r} forces point uphill, by {' and by '.join(one.name for one in guilty)}; "
                "they are gradients, turn their sign.",
                (split,),
                (fidelity,),
            )
        elif innocent:
            cleared.add((split, fidelity))
    for split, members in examined.splits.items():
        for one, other in examined.pairs():
            both = [s for s in members if s.labelled(one).has_forces and s.labelled(other).has_forces]
            slope = slope_through_zero(*telling_forces(_forces(both, one), _forces(both, other)))
            pair = {(split, one), (split, other)}
            if slope.is_sure and slope.value < 0 and not pair & accused:
                yield finding(
                    "error",
                    "gradients-as-forces",
                    f"{split}: the {one!r} and {other!r} forces point in opposite directions; one of them holds "
                    "gradients.",
                    (split,),
                    (one, other) if not pair & cleared else tuple(sorted(f for _, f in pair - cleared)),
                )


def forces_not_derivative(examined: Examined) -> Iterator[Finding]:
    """Find forces whose finite steps do not give the energies of the same fidelity: two units, or two surfaces."""
    for split, fidelity, members in examined.labelled():
        slope = _steps(examined, split, fidelity, members)
        if not slope.is_sure or slope.value < 0 or slope.is_within(1.5):
            continue
        reason = explanations(
            slope.value,
            f"{fidelity!r} forces",
            f"{fidelity!r} energies",
            {**ENERGY_UNITS, **{name: size for name, size in FORCE_UNITS.items() if "Bohr" in name}},
        )
        yield finding(
            "warning" if slope.is_within(3.0) or not reason else "error",
            "forces-not-derivative",
            f"{split}: between near frames the {fidelity!r} energies change {slope.value:.3g} times as much as their "
            f"forces say{': ' + reason if reason else ', so they do not belong to one surface'}.",
            (split,),
            (fidelity,),
        )


def net_force(examined: Examined) -> Iterator[Finding]:
    """Find forces that do not sum to zero."""
    for split, fidelity, members in examined.labelled():
        pulled = [structure for structure, net in zip(members, _net(members, fidelity), strict=True) if net > 1.0]
        if pulled:
            worst = max(float(np.linalg.norm(s.labels[fidelity].forces.sum(axis=0))) for s in pulled)
            yield finding(
                "warning",
                "net-force",
                f"{split}: the {fidelity!r} forces of {frames(len(pulled))} do not sum to zero (up to "
                f"{worst:.3g} eV/Å): {few(ids(pulled))}; are some zeroed, from another frame, or is there a field?",
                (split,),
                (fidelity,),
                ids(pulled),
            )


def zeroed_forces(examined: Examined) -> Iterator[Finding]:
    """Find atoms with forces of exactly zero among others that are pulled: a constraint's work."""
    for split, fidelity, members in examined.labelled():
        zeroed = {structure.structure_id: structure for structure in members if len(_zeros(structure, fidelity))}
        constrained = [s for s in zeroed.values() if set(_zeros(s, fidelity)) & set(reading_of(s).fixed_atoms)]
        free = [s for s in zeroed.values() if not set(_zeros(s, fidelity)) & set(reading_of(s).fixed_atoms)]
        if constrained:
            yield finding(
                "error",
                "constrained-forces",
                f"{split}: in {frames(len(constrained))} the {fidelity!r} forces of fixed atoms are exactly zero: "
                f"{few(ids(constrained))}; write them with apply_constraint=False, or leave the forces out.",
                (split,),
                (fidelity,),
                ids(constrained),
            )
        if free:
            yield finding(
                "warning",
                "exact-zero-forces",
                f"{split}: in {frames(len(free))} the {fidelity!r} forces of some atoms are exactly zero and others "
                f"are not: {few(ids(free))}; did a constraint zero them?",
                (split,),
                (fidelity,),
                ids(free),
            )


def steps(members: Sequence[Structure], fidelity: str) -> Slope:
    """Return the slope of E₂ - E₁ on -½(F₁ + F₂)·Δx over pairs of near frames; 1 where forces are derivatives."""
    groups: dict[Hashable, list[Structure]] = {}
    rounded: dict[bytes, bytes] = {}
    for structure in members:
        label = structure.labels[fidelity]
        if label.has_energy and label.has_forces and len(structure) > 1:
            cell = structure.atoms.cell.array
            exact = cell.tobytes()
            if exact not in rounded:
                rounded[exact] = (np.round(cell, 4) + 0.0).tobytes()
            groups.setdefault((structure.atoms.numbers.tobytes(), rounded[exact]), []).append(structure)
    expected, changes = [], []
    for group in groups.values():
        for structure, near in nearest_frames(group):
            here, there = structure.labels[fidelity], near.labels[fidelity]
            move = near.atoms.positions - structure.atoms.positions
            work = -0.5 * float(((here.forces + there.forces) * move).sum())
            noise = float(np.sqrt(np.nansum([here.energy_stderr**2, there.energy_stderr**2])))
            change = there.energy - here.energy
            # Frames at one minimum, one of them turned: no mean force gives the little that lies between.
            turned = max(abs(work), abs(change)) < least_change((near,)) and at_rest(structure) and at_rest(near)
            if abs(work) > 3.0 * noise and not turned:
                expected.append(work)
                changes.append(change)
    slope = slope_through_zero(expected, changes)
    # Relaxed frames differ in energy and have no forces to speak of: their slopes are large and scatter.
    return slope if slope.is_tight else replace(slope, agreement=0.0)


def nearest_frames(group: Sequence[Structure]) -> Iterator[tuple[Structure, Structure]]:
    """Yield frames with the frame nearest to each, where no atom moves by more than ``STEP`` from one to the other.

    At most ``STEP_FRAMES`` frames, spread evenly, look for their nearest one among all: the cost is linear in frames.
    """
    points = np.stack([structure.atoms.positions.ravel() for structure in group])
    points -= points.mean(axis=0)  # far-off squares would drown the distances in rounding
    squares = np.sum(points**2, axis=1)
    chosen = evenly_spaced(len(group), STEP_FRAMES)
    for rows in np.array_split(chosen, 1 + len(chosen) * len(group) // DISTANCES_AT_ONCE):
        distance = squares[rows, None] + squares - 2.0 * points[rows] @ points.T
        distance[distance < COPY**2] = np.inf  # the frame itself, and copies of it
        for k, nearest in zip(rows, np.argmin(distance, axis=1), strict=True):
            move = (points[nearest] - points[k]).reshape(-1, 3)
            if np.linalg.norm(move) > COPY and np.linalg.norm(move, axis=1).max() <= STEP:
                yield group[int(k)], group[int(nearest)]


def bonds(members: Sequence[Structure], fidelity: str) -> Slope:
    """Return the slope of the pull along each bond on its stretch, within a pair of elements; positive for forces."""
    able = [s for s, pulled in zip(members, _pulled(members, fidelity), strict=True) if pulled and len(s) > 1]
    able = [s for s in able if not at_rest(s)]  # relaxed bonds differ by their place, not by a stretch
    kinds, stretches, pulls = [], [], []
    for structure in evenly_spread(able, BOND_FRAMES):
        kind, stretch, pull = _bonds_of(structure, structure.labels[fidelity].forces)
        kinds.append(kind)
        stretches.append(stretch)
        pulls.append(pull)
    if not kinds:
        return Slope(np.nan, 0.0, 0)
    kind, stretch, pull = np.concatenate(kinds), np.concatenate(stretches), np.concatenate(pulls)
    for one in np.unique(kind):
        same = kind == one
        stretch[same] -= np.median(stretch[same])
        pull[same] -= np.median(pull[same])
    if len(stretch) < 20:
        return Slope(np.nan, 0.0, 0)
    size = max(float(np.linalg.norm(stretch) * np.linalg.norm(pull)), 1e-12)
    correlation = float(stretch @ pull) / size
    # Angles and neighbours pull too, so a correlation of one half is as sure as bonds can be.
    return Slope(correlation, min(1.0, 1.5 * abs(correlation)), len(stretch))


def _pulled(members: Sequence[Structure], fidelity: str) -> NDArray[np.bool_]:
    """Return where forces are those of a frame that is not relaxed: a relaxed bond pulls neither way."""
    sizes, starts = _spans(members)
    squares = np.sum(np.concatenate([one.labels[fidelity].forces for one in members]) ** 2, axis=1)
    return np.asarray(np.sqrt(np.add.reduceat(squares, starts) / (3 * sizes)) > PULLED)  # NaN is no force


def _spans(members: Sequence[Structure]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of atoms of each structure, and where its atoms begin when all are joined."""
    sizes = np.array([len(structure) for structure in members], dtype=np.int64)
    return sizes, np.cumsum(sizes) - sizes


def _bonds_of(structure: Structure, forces: Array) -> tuple[Array, Array, Array]:
    numbers = structure.atoms.numbers
    (one, other), translation = neighbours(structure.atoms, 2.0 * BOND * float(covalent_radii[numbers].max()))
    vectors = structure.atoms.positions[other] - structure.atoms.positions[one]
    vectors = vectors + translation @ structure.atoms.cell.array
    length = np.linalg.norm(vectors, axis=1)
    relative = length / (covalent_radii[numbers[one]] + covalent_radii[numbers[other]])
    use = (one < other) & (relative < BOND) & (length > 0)
    one, other, vectors, length = one[use], other[use], vectors[use], length[use]
    pull = -((forces[other] - forces[one]) * vectors).sum(axis=1) / length
    low, high = np.minimum(numbers[one], numbers[other]), np.maximum(numbers[one], numbers[other])
    return (1000 * low + high).astype(float), relative[use], pull


def _steps(examined: Examined, split: str, fidelity: str, members: Sequence[Structure]) -> Slope:
    return examined.once(("steps", split, fidelity), partial(steps, members, fidelity))


def _witnesses(examined: Examined, split: str, fidelity: str, members: Sequence[Structure]) -> tuple[Witness, ...]:
    predictions = [
        one for one in examined.predictions if one.split == split and one.structure.labelled(fidelity).has_forces
    ]
    labels = _forces([one.structure for one in predictions], fidelity)
    base = slope_through_zero(*telling_forces([one.forces for one in predictions], labels))
    return (
        Witness("finite steps between near frames", _steps(examined, split, fidelity, members)),
        Witness("stretched bonds that push", bonds(members, fidelity)),
        Witness("the base", base),
    )


def _forces(members: Sequence[Structure], fidelity: str) -> list[Array]:
    return [structure.labels[fidelity].forces for structure in members]


def _net(members: Sequence[Structure], fidelity: str) -> Array:
    """Return the net force of each structure over what is allowed; NaN where not all atoms have forces."""
    labels = [structure.labels[fidelity] for structure in members]
    sizes, starts = _spans(members)
    net = np.linalg.norm(np.add.reduceat(np.concatenate([one.forces for one in labels]), starts), axis=1)
    squares = np.nan_to_num(np.concatenate([one.forces_stderr for one in labels]) ** 2).sum(axis=1)
    return np.asarray(net / (NET_FORCE * np.sqrt(sizes) + 5.0 * np.sqrt(np.add.reduceat(squares, starts))))


def _zeros(structure: Structure, fidelity: str) -> tuple[int, ...]:
    """Return the atoms with forces of exactly zero, where the others are pulled and no symmetry explains it."""
    forces = structure.labels[fidelity].forces
    still = ~forces.any(axis=1)
    if not structure.labels[fidelity].has_forces or still.all() or not still.any():
        return ()
    if np.sqrt((forces[~still] ** 2).mean()) <= STILL:
        return ()
    zeros = tuple(int(index) for index in np.flatnonzero(still))
    balanced = balanced_sites(structure, zeros)
    return tuple(index for index in zeros if index not in balanced)
