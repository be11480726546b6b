"""Copies of one label: frames of one geometry with one energy of a fidelity, which say no more than the first."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.data.frames import StreamedStructures
from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure

ROUNDING = 1.0e-6
"""eV: energies that differ by less are one number, written twice. Two runs of Monte Carlo never agree so well."""


@dataclass(frozen=True)
class Copy:
    """A label that is there already.

    Parameters
    ----------
    first, place
        Positions of the frame that had the energy first, and of this one.
    same_stderr
        Whether the errors agree too, or both are absent.
    """

    first: int
    place: int
    same_stderr: bool


def copies(structures: Sequence[Structure], fidelity: str) -> tuple[Copy, ...]:
    """Return the energies of ``fidelity`` that repeat an earlier one of the same geometry to rounding, in order.

    Independent energies of one geometry, which differ within their errors, are none.
    """
    seen: dict[Hashable, list[int]] = {}
    found = []
    for place, structure in enumerate(structures):
        if not structure.labelled(fidelity).has_energy:
            continue
        earlier = seen.setdefault(structure.geometry_hash, [])
        one = _copy_of(structures, fidelity, earlier, place)
        if one is None or not one.same_stderr:
            earlier.append(place)
        if one is not None:
            found.append(one)
    return tuple(found)


def without_copies(structures: Sequence[Structure], fidelity: str) -> Sequence[Structure]:
    """Return the structures with each energy of ``fidelity`` once: copies that agree in their errors lose theirs.

    Forces and stress of a copy go where the first frame has them. All frames stay, and streamed ones as they are.
    """
    if isinstance(structures, StreamedStructures):
        return structures
    known = {one.place: one.first for one in copies(structures, fidelity) if one.same_stderr}
    if not known:
        return structures
    return tuple(
        _unlabelled(structure, structures[known[place]].labels[fidelity], fidelity) if place in known else structure
        for place, structure in enumerate(structures)
    )


def _copy_of(structures: Sequence[Structure], fidelity: str, earlier: Sequence[int], place: int) -> Copy | None:
    """Return what the label at ``place`` is a copy of, rather one that agrees in its error; None where it is new."""
    label = structures[place].labels[fidelity]
    known = [(first, structures[first].labels[fidelity]) for first in earlier]
    same = [
        Copy(first, place, _near(label.energy_stderr, one.energy_stderr))
        for first, one in known
        if _near(label.energy, one.energy)
    ]
    return max(same, key=lambda one: one.same_stderr, default=None)


def _near(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=1e-12, atol=ROUNDING, equal_nan=True))


def _unlabelled(structure: Structure, first: Labels, fidelity: str) -> Structure:
    absent = empty_labels(len(structure))
    label = replace(structure.labels[fidelity], energy=absent.energy, energy_stderr=absent.energy_stderr)
    if first.has_forces:
        label = replace(label, forces=absent.forces, forces_stderr=absent.forces_stderr)
    if first.has_stress:
        label = replace(label, stress=absent.stress)
    labels = {name: one for name, one in structure.labels.items() if name != fidelity}
    return replace(structure, labels={**labels, fidelity: label} if label.says_anything else labels)
