"""What a band leaves on disk while it relaxes, so that a killed one goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.io import read, write

from rung.errors import StorageError
from rung.evaluate.identity import claim, require_energy
from rung.storage import atomic_path


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
        claim(path / "band.json", key, holds="the band", other="other ends or settings")
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
        if self.path is not None:
            before, after = float(stored.get_potential_energy()), float(now.get_potential_energy())
            require_energy(self.path, before, after, holds="the band", structure=name)

    def _file(self, name: str) -> Path | None:
        return None if self.path is None else self.path / f"{name}.traj"
