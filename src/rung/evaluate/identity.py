"""Whose work a folder holds: the same work goes on there, and any other is refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rung.data.attributes import key_of as attributes_key
from rung.data.held import Held
from rung.errors import DataError
from rung.results.marker import Marker
from rung.storage import content_hash

_TOLERANCE = 1e-3
"""eV: a potential gives the energy of a stored structure again within this, or it is another potential."""

_GRID = 1e-3
"""Å: geometries that agree to this are one: what was read back differs in its last digits."""

_OFFSET = 0.318309886
"""Of the grid: keeps round coordinates away from where rounding would flip."""


PHYSICS = "set of constraints, masses, charges or moments"
"""What :func:`physics_key` identifies, as the folder of a task calls it."""


def geometry_key(*images: Atoms) -> str:
    """Return a hash that identifies structures up to the last digits of their positions."""
    return content_hash(
        *(
            (
                image.numbers,
                np.floor(image.positions / _GRID + _OFFSET).astype(np.int64),
                np.floor(image.cell.array / _GRID + _OFFSET).astype(np.int64),
                image.pbc,
            )
            for image in images
        )
    )


def exact_geometry(atoms: Atoms) -> tuple[Any, ...]:
    """Return what decides the first step of dynamics to the bit, as parts for :func:`~rung.storage.content_hash`."""
    return atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc


def held_atoms(atoms: Atoms) -> tuple[int, ...]:
    """Return the indices of the atoms that constraints hold wholly, sorted."""
    return tuple(int(index) for index in np.flatnonzero(~Held.of(atoms).movable)) if atoms.constraints else ()


def beyond_geometry(*images: Atoms) -> tuple[Any, ...]:
    """Return what decides a result beside geometries and atoms that are wholly held, as parts of a hash.

    These are directions that are held, masses, charges and moments. Without any the parts are none, so that keys of
    rung 0.1 stay what they were.
    """
    parts = tuple(
        (held.key() if len(held.directions_alone) else "", attributes_key(image))
        for image, held in ((image, Held.of(image)) for image in images)
    )
    return parts if any(directions or attributes for directions, attributes in parts) else ()


def physics_key(*images: Atoms) -> str:
    """Return a hash of all that is held, and of masses, charges and moments."""
    return content_hash(*((Held.of(image).key(), attributes_key(image)) for image in images))


def claim(marker: Path, key: str, *, holds: str, other: str, energy: float | None = None) -> None:
    """Write the marker of new work, or refuse a folder whose marker is of other work.

    Parameters
    ----------
    marker
        The file in the folder of the work.
    key
        A hash of all that decides the work.
    holds, other
        Words for the sentence: what the folder holds, and of what else it is where the key differs.
    energy
        Of the start structure, eV: another potential gives another one. None where it is not compared.

    Raises
    ------
    DataError
        When the folder holds other work, or work of another potential.
    StorageError
        When the marker is damaged.
    """
    marker = Path(marker)
    if not marker.exists():
        (Marker(key=key) if energy is None else Marker(key=key, start_energy=energy)).write(marker)
        return
    content = Marker.read(marker)
    if content.key != key:
        raise DataError(f"{marker.parent} holds {holds} of {other}; choose another folder or remove it.")
    if energy is not None and content.start_energy is not None:
        require_energy(marker.parent, content.start_energy, energy, holds=holds, structure="start")


def is_claimed(marker: Path, key: str) -> bool:
    """Return whether the marker is there and has ``key``."""
    return Path(marker).exists() and Marker.read(marker).key == key


def require_energy(folder: Path, before: float, now: float, *, holds: str, structure: str) -> None:
    """Raise a :class:`DataError` unless two energies of a kept structure agree, eV: else the potential is another."""
    if not abs(before - now) <= _TOLERANCE:
        raise DataError(
            f"{folder} holds {holds} of another potential (the {structure} structure has {before:.6f} eV there and "
            f"{now:.6f} eV now); choose another folder or remove it."
        )
