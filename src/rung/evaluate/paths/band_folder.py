"""What a band leaves on disk while it relaxes, so that a killed one goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from rung.data.labels import Array
from rung.evaluate.identity import claim, require_energy
from rung.evaluate.optimisation import Stand
from rung.storage import atomic_path, set_aside


@dataclass(frozen=True)
class BandFolder:
    """A folder with the ends and the band as they last stood; without a path it keeps nothing.

    Each has two files: ``<name>.npz``, from which a killed optimiser goes on, and ``<name>.traj`` for people, of which
    rung 0.1 left no more.
    """

    path: Path | None
    key: str = ""

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
        return cls(path, key)

    def read(self, name: str) -> Stand | None:
        """Return where the optimisation ``name`` stands, or None where nothing is kept of it.

        A file that is damaged is set aside and warned of, and the optimisation begins anew. Of a folder of rung 0.1
        positions and energy alone are known.
        """
        if self.path is None:
            return None
        shown, file = self.shown(name), self.path / f"{name}.npz"
        if file.exists():
            return Stand.read(file, self.key)
        return None if shown is None else Stand.of(shown, 0, 0, {})

    def shown(self, name: str) -> list[Atoms] | None:
        """Return the structures of ``<name>.traj``; None where there is none, or a damaged one, which is set aside."""
        if self.path is None or not (file := self.path / f"{name}.traj").exists():
            return None
        try:
            images: list[Atoms] = list(read(file, index=":", format="traj"))
        except Exception as error:  # ASE's reader has no error of its own: whatever it raises, the file is damaged
            set_aside(file, f"{type(error).__name__}: {error}")
            return None
        return images

    def keep(self, name: str, images: Sequence[Atoms], stage: int = 0) -> Callable[[int, Mapping[str, Array]], None]:
        """Return what keeps ``images`` under ``name``, each file whole or not at all, with steps and memory."""

        def save(steps: int, memory: Mapping[str, Array]) -> None:
            if self.path is None:
                return
            shown = [frozen(image) for image in images]
            # this one first: a trajectory alone is taken for that of rung 0.1
            Stand.of(shown, steps, stage, memory).write(self.path / f"{name}.npz", self.key)
            with atomic_path(self.path / f"{name}.traj") as temporary:
                write(temporary, shown, format="traj")

        return save

    def check_energy(self, stored: Stand, now: Atoms, name: str) -> None:
        """Raise a :class:`DataError` unless the calculator of ``now`` gives the stored energy."""
        if self.path is not None:
            energy = float(now.get_potential_energy())
            require_energy(self.path, stored.energy, energy, holds="the band", structure=name)


def frozen(image: Atoms) -> Atoms:
    """Return a copy of ``image`` with its energy and forces as plain numbers."""
    copy = image.copy()
    copy.calc = SinglePointCalculator(
        copy, energy=image.get_potential_energy(), forces=image.get_forces(apply_constraint=False)
    )
    return copy
