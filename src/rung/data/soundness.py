"""Labels that nothing can be fitted to or measured against: each reader of labels refuses the same ones."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rung.data.labels import (
    ARRAY_SUFFIXES,
    ENERGY,
    ENERGY_STDERR,
    FORCES,
    FORCES_STDERR,
    INFO_SUFFIXES,
    STRESS,
    Array,
    Labels,
)

LARGEST = 1.0e12
"""eV, eV/Å, eV/Å³: no label is larger in any unit."""


def wild_keys(labels: Labels) -> tuple[str, ...]:
    """Return the suffixes of labels that are infinite or beyond :data:`LARGEST`."""
    return tuple(suffix for suffix, values in _values(labels) if bool((np.abs(values) > LARGEST).any()))


def torn_keys(labels: Labels) -> tuple[str, ...]:
    """Return the suffixes of labels that hold NaN beside numbers."""
    return tuple(
        suffix for suffix, values in _values(labels) if bool(np.isnan(values).any() and not np.isnan(values).all())
    )


def negative_keys(labels: Labels) -> tuple[str, ...]:
    """Return the suffixes of statistical errors that are negative."""
    return tuple(
        suffix
        for suffix, values in _values(labels)
        if suffix in (ENERGY_STDERR, FORCES_STDERR) and bool((values < 0).any())
    )


def any_wild(labels: Sequence[Labels]) -> bool:
    """Return whether any of ``labels`` has :func:`wild_keys`; one look at all takes less than a look at each."""
    return any(bool((np.abs(values) > LARGEST).any()) for values in _stacked(labels))


def any_torn(labels: Sequence[Labels]) -> bool:
    """Return whether any of ``labels`` may have :func:`torn_keys`: not, where a field is all there or all absent."""
    absent = (np.isnan(values) for values in _stacked(labels)[2:])
    return any(bool(missing.any() and not missing.all()) for missing in absent)


def any_not_positive(labels: Sequence[Labels]) -> bool:
    """Return whether any of ``labels`` has an error that is negative or zero."""
    _, stderr, _, forces_stderr, _ = _stacked(labels)
    return bool((stderr <= 0).any() or (forces_stderr <= 0).any())


def impossible_label(labels: Labels, fidelity: str) -> str:
    """Return which label is none that can be, and what to do; nothing where all can be."""
    return next((f"{fidelity}{suffix} {what}" for suffix, what in _impossible(labels)), "")


def unusable_label(labels: Labels, fidelity: str) -> str:
    """Return which label nothing can be measured against, and what to do; nothing where all can be used."""
    if not (fault := impossible_label(labels, fidelity)) and labels.energy_stderr == 0.0:
        return f"{fidelity}{ENERGY_STDERR} is 0, which weighs infinitely; leave the key out where the energy is exact"
    return fault


def misspelt_label(keys: Iterable[str], fidelity: str) -> str:
    """Return which key is a label of ``fidelity`` but for capitals or what joins its words, and what to do."""
    due = {_plain(fidelity + suffix): fidelity + suffix for suffix in (*INFO_SUFFIXES, *ARRAY_SUFFIXES)}
    for key in keys:
        meant = due.get(_plain(key), key)
        if meant != key:
            return f"{key} is no label of {fidelity!r}; call it {meant}"
    return ""


def _plain(key: str) -> str:
    return re.sub(r"[-.\s]", "_", key.lower())


def _impossible(labels: Labels) -> Iterator[tuple[str, str]]:
    for suffix in wild_keys(labels):
        yield suffix, f"is infinite or beyond {LARGEST:.0e}; leave the key out where there is no label"
    for suffix in torn_keys(labels):
        yield suffix, "has NaN among its numbers; leave the whole label out where it is not known"
    for suffix in negative_keys(labels):
        yield suffix, "is negative, which no error can be; give one standard deviation"


def _stacked(labels: Sequence[Labels]) -> tuple[Array, ...]:
    """Return each field of all labels as one array, by structure or by atom."""
    return (
        np.array([one.energy for one in labels]),
        np.array([one.energy_stderr for one in labels]),
        np.concatenate([np.zeros((0, 3)), *(one.forces for one in labels)]),
        np.concatenate([np.zeros((0, 3)), *(one.forces_stderr for one in labels)]),
        np.array([one.stress for one in labels]),
    )


def _values(labels: Labels) -> tuple[tuple[str, Array], ...]:
    return (
        (ENERGY, np.asarray(labels.energy)),
        (ENERGY_STDERR, np.asarray(labels.energy_stderr)),
        (FORCES, labels.forces),
        (FORCES_STDERR, labels.forces_stderr),
        (STRESS, labels.stress),
    )
