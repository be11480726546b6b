"""What a band leaves on disk while it relaxes, so that a killed one goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from rung.errors import DataError, StorageError
from rung.storage import atomic_path, content_hash, read_json, write_json

_TOLERANCE = 1e-3
"""eV: a potential gives the energy of a stored structure again within this, or it is another potential."""


_GRID = 1e-3
"""Å: geometries that agree to this are one band: what was read back differs in its last digits."""

_OFFSET = 0.318309886
"""Of the grid: keeps round coordinates away from where rounding would flip."""


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


@dataclass(frozen=True)
class BandFolder:
    """A folder with the relaxed ends and the band as they last stood; without a path it keeps nothing."""

    path: Path | None

    @classmethod
    def open(cls, path: Path | None, key: str) -> "BandFolder":
        """Return the folder for the band that ``key`` identifies.

        Raises
        ------
        DataError
            When the folder holds another band.
        """
        if path is None:
            return cls(None)
        path = Path(path)
        marker = path / "band.json"
        if not marker.exists():
            write_json(marker, {"key": key})
        elif read_json(marker).get("key") != key:
            raise DataError(f"{path} holds the band of other ends or settings; choose another folder or remove it.")
        return cls(path)

    def read(self, name: str) -> list[Atoms] | None:
        """Return the structures kept under ``name``, or None where there are none.

        Raises
        ------
        StorageError
            When the file is damaged.
        """
        file = self._file(name)
        if file is None or not file.exists():
            return None
        try:
            return list(read(file, index=":", format="traj"))
        except Exception as error:  # ASE's reader has no error of its own: whatever it raises, the file is damaged
            raise StorageError(f"{file} is not a readable trajectory; remove it and run again.") from error

    def write(self, name: str, images: Sequence[Atoms]) -> None:
        """Keep ``images`` under ``name``, whole or not at all."""
        file = self._file(name)
        if file is not None:
            with atomic_path(file) as temporary:
                write(temporary, list(images), format="traj")

    def check_energy(self, stored: Atoms, now: Atoms, name: str) -> None:
        """Raise a :class:`DataError` unless the calculator of ``now`` gives the stored energy."""
        before, after = float(stored.get_potential_energy()), float(now.get_potential_energy())
        if abs(before - after) > _TOLERANCE:
            raise DataError(
                f"{self.path} holds a band of another potential (the {name} structure has {before:.6f} eV there and "
                f"{after:.6f} eV now); choose another folder or remove it."
            )

    def _file(self, name: str) -> Path | None:
        return None if self.path is None else self.path / f"{name}.traj"
