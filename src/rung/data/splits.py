"""Which structures teach, which test, which are looked at and which keep a label: the same ones each time."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rung.data.congruence import SAME
from rung.data.fingerprint import fingerprint, first_of_each
from rung.data.labels import empty_labels
from rung.data.other_keys import no_such_label
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted, one_of

Item = TypeVar("Item")
Key = Callable[[Structure], Hashable]


def structure_id(structure: Structure) -> str:
    """Return the name of the geometry: the key that keeps one geometry on one side."""
    return structure.structure_id


def formula(structure: Structure) -> str:
    """Return the composition: the key that keeps whole compositions on one side."""
    return structure.formula


def key_of(name: str) -> Key:
    """Return the key of a name: ``structure_id``, ``composition``, or that of an entry in a frame's ``info``.

    The key raises a :class:`~rung.errors.DataError` for a structure that lacks the entry.
    """
    keys: dict[str, Key] = {"structure_id": structure_id, "composition": formula}

    def entry(structure: Structure) -> Hashable:
        if name not in structure.info:
            there = {*keys, *structure.info}
            raise DataError(f"{structure.structure_id!r} cannot be grouped: {one_of(name, there, 'key')}")
        value = structure.info[name]
        plain: Hashable = value.item() if isinstance(value, np.generic) else value
        return plain if isinstance(plain, (str, int, float, bool)) else str(plain)

    return keys.get(name, entry)


def holding(structures: Sequence[Structure], wanted: Mapping[str, Sequence[Hashable]]) -> tuple[int, ...]:
    """Return the indices of the structures that have one of the ``wanted`` values under every key of it.

    Parameters
    ----------
    structures
        Where to look.
    wanted
        Values by key, as :func:`key_of` names them.
    """
    keys = {name: (key_of(name), set(values)) for name, values in wanted.items()}
    return tuple(
        k for k, structure in enumerate(structures) if all(key(structure) in values for key, values in keys.values())
    )


def evenly_spaced(total: int, count: int) -> NDArray[np.int64]:
    """Return at most ``count`` of the indices below ``total``: ascending, evenly spaced, always the same ones.

    The first and the last index are among them where there are two or more.
    """
    if total <= count:
        return np.arange(total, dtype=np.int64)
    return np.linspace(0, total - 1, count).round().astype(np.int64)


def evenly_spread(members: Sequence[Item], count: int) -> list[Item]:
    """Return at most ``count`` of ``members``, chosen by :func:`evenly_spaced`."""
    if len(members) <= count:
        return list(members)
    return [members[int(index)] for index in evenly_spaced(len(members), count)]


ELSEWHERE = (
    "and a path that begins at a training structure is no test set: leave it out of data.evaluate and evaluate it with "
    "rung barrier --path FILE, or --energies FILE --target FIDELITY"
)
"""What to do with a band whose end is a training structure."""

REMEDY = f"remove it from one of the two, {ELSEWHERE}."
"""What to do about a structure in two splits."""


HOWEVER = "be it shifted, wrapped, turned, mirrored or re-ordered"
"""What does not make another geometry of one."""


@dataclass(frozen=True)
class Overlap:
    """One structure that stands in two splits.

    Parameters
    ----------
    splits
        The names of the two splits.
    structures
        What each split calls it.
    same_geometry
        Whether the geometries are equal; otherwise only the names are.
    """

    splits: tuple[str, str]
    structures: tuple[str, str]
    same_geometry: bool


def overlaps(splits: Mapping[str, Sequence[Structure]], tolerance: float = SAME) -> tuple[Overlap, ...]:
    """Return every structure of one split whose geometry or ``structure_id`` stands in another, each once.

    A geometry is one however it is shifted, wrapped, turned, mirrored or ordered: its energy is.

    Parameters
    ----------
    splits
        The structures, by the name of their split.
    tolerance
        Å: by how much atoms may be off.
    """
    if len(splits) < 2:
        return ()
    every = [structure for members in splits.values() for structure in members]
    geometries = dict(zip(map(id, every), one_geometry(every, tolerance), strict=True))
    shared: list[Overlap] = []
    for one, other in combinations(splits, 2):
        by_geometry = {geometries[id(structure)]: structure for structure in reversed(splits[one])}
        by_name = {structure.structure_id: structure for structure in splits[one]}
        seen: set[int] = set()
        for structure in splits[other]:
            geometry = geometries[id(structure)]
            if geometry in seen:
                continue
            twin = by_geometry.get(geometry) or by_name.get(structure.structure_id)
            if twin is not None:
                seen.add(geometry)
                same = geometries[id(twin)] == geometry
                shared.append(Overlap((one, other), (twin.structure_id, structure.structure_id), same))
    return tuple(shared)


def one_geometry(structures: Sequence[Structure], tolerance: float = SAME) -> list[int]:
    """Return for each structure the index of the first one that has its geometry, however it is turned or ordered."""
    marks = [fingerprint(structure) for structure in structures]
    return [int(index) for index in first_of_each(marks, structures.__getitem__, tolerance)]


def check_disjoint(splits: Mapping[str, Sequence[Structure]]) -> None:
    """Raise where one geometry, or one ``structure_id``, stands in two of ``splits``.

    Raises
    ------
    DataError
        Names the first such structure, the two splits and how many there are.
    """
    shared = overlaps(splits)
    if shared:
        first = shared[0]
        what = f"the same geometry, {HOWEVER}" if first.same_geometry else "the same structure_id"
        raise DataError(
            f"{counted(len(shared), 'pair of structures stands', 'pairs of structures stand')} in two splits; the "
            f"first: {first.structures[0]!r} of {first.splits[0]} and {first.structures[1]!r} of {first.splits[1]} "
            f"have {what}; {REMEDY}"
        )


def labelled_with(structures: Sequence[Structure], fidelity: str) -> tuple[int, ...]:
    """Return the indices of the structures that have an energy at ``fidelity``."""
    return tuple(k for k, structure in enumerate(structures) if structure.labelled(fidelity).has_energy)


def draw_labels(
    structures: Sequence[Structure],
    fidelity: str,
    n: int,
    seed: int,
    *,
    noise: float | tuple[float, float] | None = None,
) -> tuple[Structure, ...]:
    """Let ``n`` structures keep their labels at ``fidelity``; the others lose them and stay, for they may anchor.

    For one seed the draws are nested: the ``n`` of a smaller draw are among those of a larger one, with equal noise.

    Parameters
    ----------
    structures
        All of them; only those with an energy at ``fidelity`` can be drawn.
    fidelity
        The fidelity whose labels are scarce.
    n
        How many keep their labels.
    seed
        Of the permutation and of the noise.
    noise
        eV: None keeps the energies as they are; a number adds normal noise of that standard deviation to each kept
        energy and sets ``energy_stderr`` to it; two numbers draw each standard deviation uniformly between them.

    Returns
    -------
    tuple of Structure
        As many as ``structures``, in the same order.

    Raises
    ------
    DataError
        When fewer than ``n`` structures have an energy at ``fidelity``.
    ConfigError
        When ``n`` or ``noise`` is impossible.
    """
    low, high = noise if isinstance(noise, tuple) else (noise or 0.0, noise or 0.0)
    if n < 0 or (noise is not None and not 0.0 < low <= high < np.inf):
        raise ConfigError(f"A draw needs n of 0 or more and positive noise, not n = {n} and noise = {noise}.")
    able = labelled_with(structures, fidelity)
    if not able and n:
        raise DataError(f"No energies to draw from: {no_such_label(fidelity, _labelled_fidelities(structures))}")
    if n > len(able):
        raise DataError(
            f"{counted(n, f'energy of {fidelity!r} was', f'energies of {fidelity!r} were')} asked for; only "
            f"{counted(len(able), 'structure has', 'structures have')} one."
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(able))
    stderr = generator.uniform(low, high, len(able))  # drawn for all, so that a larger draw repeats a smaller one
    error = stderr * generator.standard_normal(len(able))
    kept = {able[place]: place for place in order[:n]}
    drawn = []
    for k, structure in enumerate(structures):
        if k not in kept:
            drawn.append(without_labels(structure, fidelity))
        elif noise is None:
            drawn.append(structure)
        else:
            exact = structure.labelled(fidelity).energy
            drawn.append(_with_energy(structure, fidelity, exact + error[kept[k]], float(stderr[kept[k]])))
    return tuple(drawn)


def without_labels(structure: Structure, fidelity: str) -> Structure:
    """Return ``structure`` without any label of ``fidelity``."""
    labels = {name: label for name, label in structure.labels.items() if name != fidelity}
    return replace(structure, labels=labels)


def energies_only(structures: Sequence[Structure], fidelity: str) -> tuple[Structure, ...]:
    """Return structures whose labels of ``fidelity`` are energies and their errors, without forces or stress."""
    reduced = []
    for structure in structures:
        labels = dict(structure.labels)
        if fidelity in labels:
            full = labels[fidelity]
            labels[fidelity] = replace(
                empty_labels(len(structure)), energy=full.energy, energy_stderr=full.energy_stderr
            )
        reduced.append(replace(structure, labels=labels))
    return tuple(reduced)


def with_energies(
    structures: Sequence[Structure], fidelity: str, energies: Mapping[str, float]
) -> tuple[Structure, ...]:
    """Return structures whose energy at ``fidelity`` is the exact one of ``energies``, by ``structure_id``.

    Parameters
    ----------
    structures
        Each must have an entry in ``energies``.
    fidelity
        The fidelity that ``energies`` belongs to; its forces and stress stay.
    energies
        eV, total per cell.

    Raises
    ------
    DataError
        When a structure has no entry.
    """
    missing = [structure.structure_id for structure in structures if structure.structure_id not in energies]
    if missing:
        raise DataError(
            f"{counted(len(missing), 'structure has', 'structures have')} no exact energy, the first is {missing[0]!r}."
        )
    return tuple(
        _with_energy(structure, fidelity, energies[structure.structure_id], np.nan) for structure in structures
    )


def grouped_folds(
    structures: Sequence[Structure], n_folds: int, seed: int, key: Key = structure_id
) -> tuple[NDArray[np.int64], ...]:
    """Deal groups of structures into folds of about equal size; a group is never torn apart.

    Parameters
    ----------
    structures
        The structures to deal.
    n_folds
        How many folds, 2 or more.
    seed
        Of the shuffle.
    key
        Structures of equal key form a group.

    Returns
    -------
    tuple of arrays
        For each fold the indices that it holds out, ascending; every index stands in exactly one fold, none is empty.

    Raises
    ------
    DataError
        When there are fewer groups than folds.
    """
    groups = _groups(structures, key)
    if n_folds < 2:
        raise ConfigError(f"Folds come in twos or more, not {n_folds}.")
    if len(groups) < n_folds:
        raise DataError(f"{counted(len(groups), 'group')} of structures cannot fill {n_folds} folds.")
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    shuffled = [groups[k] for k in np.random.default_rng(seed).permutation(len(groups))]
    for group in sorted(shuffled, key=len, reverse=True):  # the largest first, each into the emptiest fold
        min(folds, key=len).extend(group)
    return tuple(np.array(sorted(fold), dtype=np.int64) for fold in folds)


def grouped_split(
    structures: Sequence[Structure], fractions: Mapping[str, float], seed: int, key: Key = structure_id
) -> dict[str, tuple[Structure, ...]]:
    """Split structures by whole groups into parts of about the fractions asked for.

    Parameters
    ----------
    structures
        The structures to split.
    fractions
        The share of each part; they sum to 1.
    seed
        Of the shuffle.
    key
        Structures of equal key form a group, such as :func:`formula`.

    Returns
    -------
    dict
        The parts by name, each in the order of ``structures``.

    Raises
    ------
    ConfigError
        When the fractions are negative or do not sum to 1.
    """
    if min(fractions.values(), default=-1.0) < 0 or abs(sum(fractions.values()) - 1.0) > 1e-9:
        raise ConfigError(f"The fractions of a split are 0 or more and sum to 1, not {dict(fractions)}.")
    groups = _groups(structures, key)
    members: dict[str, list[int]] = {name: [] for name in fractions}
    for place in np.random.default_rng(seed).permutation(len(groups)):
        lacking = {name: share * len(structures) - len(members[name]) for name, share in fractions.items()}
        members[max(lacking, key=lambda name: lacking[name])].extend(groups[place])
    return {name: tuple(structures[k] for k in sorted(indices)) for name, indices in members.items()}


def _groups(structures: Sequence[Structure], key: Key) -> list[list[int]]:
    """Return the members of each group, in order of appearance.

    Structures of one key, one geometry or one name are together, so that whatever the key, no geometry stands on two
    sides.
    """
    root = list(range(len(structures)))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = place = root[root[place]]
        return place

    first: dict[tuple[str, Hashable], int] = {}
    for k, (structure, geometry) in enumerate(zip(structures, one_geometry(structures), strict=True)):
        marks = (("key", key(structure)), ("geometry", geometry), ("name", structure.structure_id))
        for mark in marks:
            one, other = sorted((find(first.setdefault(mark, k)), find(k)))
            root[other] = one
    groups: dict[int, list[int]] = {}
    for k in range(len(structures)):
        groups.setdefault(find(k), []).append(k)
    return list(groups.values())


def _with_energy(structure: Structure, fidelity: str, energy: float, stderr: float) -> Structure:
    label = replace(structure.labelled(fidelity), energy=float(energy), energy_stderr=stderr)
    return replace(structure, labels={**structure.labels, fidelity: label})


def _labelled_fidelities(structures: Sequence[Structure]) -> set[str]:
    return {name for structure in structures for name, label in structure.labels.items() if label.has_energy}
