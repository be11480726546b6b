"""The keys under which a frame carries labels, spelt here and nowhere else, and the labels of one geometry."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STRUCTURE_ID = "structure_id"
ENERGY = "_energy"
ENERGY_STDERR = "_energy_stderr"
FORCES = "_forces"
FORCES_STDERR = "_forces_stderr"
STRESS = "_stress"

INFO_SUFFIXES = (ENERGY_STDERR, ENERGY, STRESS)
ARRAY_SUFFIXES = (FORCES_STDERR, FORCES)

BARE_KEYS = ("energy", "free_energy", "forces", "stress", "virial", "virials")
"""Keys without a fidelity: ASE renames or drops them, and their level of theory is unknown."""


VIRIALS = ("virial", "virials")
"""What other programs call the tensor whose place a stress has here."""

ASYMMETRIC = 0.02
"""Of its largest component, by which a stress of nine numbers may differ from a symmetric one."""

ROUNDED = 1.0e-4
"""eV/Å³, 0.16 kbar: as much of an asymmetry may be rounding."""

LOOKS_LIKE_A_LABEL = re.compile(r"energ|forc|stress|virial|gradient", re.IGNORECASE)
"""Found in the name of whatever may be a label, also where rung does not read it."""


@dataclass(frozen=True)
class Labels:
    """The labels that one fidelity gives to one geometry of ``n`` atoms; NaN where a label is absent.

    Parameters
    ----------
    energy
        Total energy of the cell, eV.
    energy_stderr
        One-sigma statistical error of ``energy``, eV.
    forces
        Forces, shape ``(n, 3)``, eV/Å.
    forces_stderr
        One-sigma statistical errors of ``forces``, shape ``(n, 3)``, eV/Å.
    stress
        Stress with ASE's sign, shape ``(6,)``, Voigt order xx yy zz yz xz xy, eV/Å³.
    """

    energy: float
    energy_stderr: float
    forces: Array
    forces_stderr: Array
    stress: Array

    @property
    def has_energy(self) -> bool:
        """Whether there is an energy."""
        return bool(np.isfinite(self.energy))

    @cached_property
    def has_forces(self) -> bool:
        """Whether there are forces of every atom."""
        return bool(self.forces.size and np.isfinite(self.forces).all())

    @property
    def has_stress(self) -> bool:
        """Whether there is a stress."""
        return bool(np.isfinite(self.stress).all())

    @property
    def says_anything(self) -> bool:
        """Whether there is an energy, any component of a force, or a stress."""
        return self.has_energy or bool(np.isfinite(self.forces).any()) or self.has_stress


def empty_labels(n_atoms: int) -> Labels:
    """Return labels of a geometry of ``n_atoms``, all of them absent."""
    missing = np.full((n_atoms, 3), np.nan)
    return Labels(np.nan, np.nan, missing, missing.copy(), np.full(6, np.nan))


@lru_cache(maxsize=4096)  # the keys of a file are the same in every frame
def split_key(key: str) -> tuple[str, str] | None:
    """Return ``(fidelity, suffix)`` of a label key, or None where ``key`` is no label key."""
    for suffix in (*INFO_SUFFIXES, *ARRAY_SUFFIXES):
        if key.endswith(suffix) and len(key) > len(suffix):
            return key[: -len(suffix)], suffix
    return None


def fidelities_in(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the fidelities that ``keys`` of a frame label, sorted."""
    pairs = (split_key(key) for key in keys)
    return tuple(sorted({pair[0] for pair in pairs if pair is not None}))


def read_labels(info: Mapping[str, Any], arrays: Mapping[str, Any], fidelity: str, n_atoms: int) -> Labels:
    """Collect the labels of one fidelity from the ``info`` and ``arrays`` of a frame.

    Raises
    ------
    ValueError
        When a label is not a number or has the wrong shape; the message names the key.
    """
    return Labels(
        energy=float(_shaped(info, fidelity + ENERGY, ())),
        energy_stderr=float(_shaped(info, fidelity + ENERGY_STDERR, ())),
        forces=_shaped(arrays, fidelity + FORCES, (n_atoms, 3)),
        forces_stderr=_shaped(arrays, fidelity + FORCES_STDERR, (n_atoms, 3)),
        stress=_stress(info, fidelity + STRESS),
    )


def write_labels(labels: Labels, info: dict[str, Any], arrays: dict[str, Any], fidelity: str) -> None:
    """Put labels under their keys; absent labels leave no key behind."""
    if labels.has_energy:
        info[fidelity + ENERGY] = float(labels.energy)
    if np.isfinite(labels.energy_stderr):
        info[fidelity + ENERGY_STDERR] = float(labels.energy_stderr)
    if labels.has_stress:
        info[fidelity + STRESS] = labels.stress.copy()
    if np.isfinite(labels.forces).any():
        arrays[fidelity + FORCES] = labels.forces.copy()
    if np.isfinite(labels.forces_stderr).any():
        arrays[fidelity + FORCES_STDERR] = labels.forces_stderr.copy()


def voigt(full: Array, key: str) -> Array:
    """Return xx yy zz yz xz xy of a stress of shape ``(3, 3)``, eV/Å³.

    Raises
    ------
    ValueError
        When it is not symmetric; the message names ``key``.
    """
    if float(np.abs(full - full.T).max()) > max(ASYMMETRIC * float(np.abs(full).max()), ROUNDED):
        raise ValueError(f"{key} is no symmetric tensor; give xx yy zz yz xz xy, or all nine numbers of a stress")
    return np.array([full[0, 0], full[1, 1], full[2, 2], full[1, 2], full[0, 2], full[0, 1]])


@lru_cache(maxsize=1024)  # most labels are absent, and one array says so for all
def _absent(shape: tuple[int, ...]) -> Array:
    values = np.full(shape, np.nan)
    values.flags.writeable = False
    return values


def _shaped(source: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> Array:
    if key not in source or source[key] is None:
        return _absent(shape)
    try:
        value = np.asarray(source[key], dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} is not a number") from error
    if value.shape != shape and value.size == int(np.prod(shape)):
        value = value.reshape(shape)
    if value.shape != shape:
        raise ValueError(f"{key} has shape {value.shape}, not {shape}")
    return value


def _stress(info: Mapping[str, Any], key: str) -> Array:
    if key in info and np.size(info[key]) == 9:
        return voigt(_shaped(info, key, (3, 3)), key)
    return _shaped(info, key, (6,))
