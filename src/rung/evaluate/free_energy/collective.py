"""Collective variables: one number of a structure that says how far a process has come, with its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.geometry import find_mic
from numpy.typing import NDArray
from pydantic import Field

from rung.data.held import Held
from rung.data.labels import Array
from rung.data.readers.structures import complete_atoms, read_structures, require_matter
from rung.errors import ConfigError, DataError, counted
from rung.evaluate.paths.endpoints import HELD_STILL, check_same_atoms, unwrapped
from rung.settings import Settings
from rung.storage import content_hash
from rung.yaml_files import read_yaml

_COINCIDENT = 1e-3
"""Å: two places closer than this give no direction."""

_DIGITS = 6
"""Of places and directions, Å, by which two variables are told apart."""

Pair = tuple[int, int]
Indices = NDArray[np.intp]
Vector = tuple[float, float, float]


class CollectiveVariable(Protocol):
    """A smooth function of positions."""

    @property
    def unit(self) -> str:
        """What one unit of the variable is: ``Å``, or ``1`` for a fraction."""

    def evaluate(self, positions: Array) -> tuple[float, Array]:
        """Return the value and its gradient, unit/Å, shape ``(n, 3)``, at ``positions``, Å, that are not wrapped."""


class DistanceDifferenceSettings(Settings):
    """How much farther apart one pair of atoms is than another: d(first) − d(second), Å."""

    kind: Literal["distance_difference"] = "distance_difference"
    first: Pair
    """The two atoms whose distance counts."""
    second: Pair | None = None
    """The two atoms whose distance is subtracted; without it the variable is a distance."""


class ProjectedDisplacementSettings(Settings):
    """How far one atom has moved along a direction, beside what a framework did: (Δr − ⟨Δr⟩ of the framework)·u, Å."""

    kind: Literal["projected_displacement"] = "projected_displacement"
    atom: int
    """The atom that moves."""
    direction: Vector | None = None
    """Any vector along the direction; its length does not matter."""
    end: Path | None = None
    """In place of a direction: a structure in which the atom has arrived."""
    origin: Vector | None = None
    """From where the displacement counts, Å; by default the atom's place in the start structure."""
    relative_to: tuple[int, ...] = ()
    """Atoms whose mean displacement from the start structure is subtracted, so that a drift of all does not count."""


class PathSettings(Settings):
    """How far a structure has come along a band, from 0 at its first image to 1 at its last.

    The path variable of Branduardi, Gervasio and Parrinello, J. Chem. Phys. 126, 054103 (2007), in mean squared
    distances of atoms after their common displacement is taken out.
    """

    kind: Literal["path"] = "path"
    band: Path
    """A file of at least three images, about equally far from each other."""
    atoms: tuple[int, ...] | None = None
    """The atoms that count; by default all."""
    sharpness: float | None = Field(default=None, gt=0)
    """λ, 1/Å², how sharply the nearest image is told from the next; by default 2.3 over the mean squared step."""
    extend: int = Field(default=2, ge=0, le=100)
    """Images that are added beyond each end on a straight line, so that a minimum is not the end of the variable."""


CollectiveSettings = Annotated[
    DistanceDifferenceSettings | ProjectedDisplacementSettings | PathSettings, Field(discriminator="kind")
]


class _File(Settings):
    cv: CollectiveSettings


@dataclass(frozen=True)
class DistanceDifference:
    """d(first) − d(second), Å, each distance the shortest over periodic images."""

    first: Pair
    second: Pair | None
    cell: Any
    pbc: Array
    unit: str = "Å"

    def evaluate(self, positions: Array) -> tuple[float, Array]:
        """Return the value, Å, and its gradient, shape ``(n, 3)``."""
        gradient = np.zeros_like(positions)
        value = 0.0
        for sign, pair in ((1.0, self.first), (-1.0, self.second)):
            if pair is None:
                continue
            vector = positions[pair[1]] - positions[pair[0]]
            if self.pbc.any():
                vector = find_mic(vector, self.cell, self.pbc)[0]
            length = float(np.linalg.norm(vector))
            value += sign * length
            gradient[pair[1]] += sign * vector / length
            gradient[pair[0]] -= sign * vector / length
        return value, gradient


@dataclass(frozen=True)
class ProjectedDisplacement:
    """(r − origin)·u of one atom, less the mean displacement of a framework along u, Å."""

    atom: int
    direction: Array
    origin: Array
    framework: Indices
    framework_origin: Array
    unit: str = "Å"

    def evaluate(self, positions: Array) -> tuple[float, Array]:
        """Return the value, Å, and its gradient, shape ``(n, 3)``."""
        gradient = np.zeros_like(positions)
        gradient[self.atom] = self.direction
        value = float((positions[self.atom] - self.origin) @ self.direction)
        if len(self.framework):
            moved = (positions[self.framework] - self.framework_origin).mean(axis=0)
            value -= float(moved @ self.direction)
            np.add.at(gradient, self.framework, -self.direction / len(self.framework))
        return value, gradient


@dataclass(frozen=True)
class PathVariable:
    """Σ t_k w_k / Σ w_k with w_k = exp(−λ D_k), D_k the mean squared distance from image k."""

    atoms: Indices
    images: Array
    places: Array
    sharpness: float
    unit: str = "1"

    def evaluate(self, positions: Array) -> tuple[float, Array]:
        """Return the value and its gradient, 1/Å, shape ``(n, 3)``."""
        chosen = positions[self.atoms]
        centred = chosen - chosen.mean(axis=0)
        distances = ((centred[None] - self.images) ** 2).sum(axis=(1, 2)) / len(self.atoms)
        weights = np.exp(-self.sharpness * (distances - distances.min()))
        weights /= weights.sum()
        value = float(self.places @ weights)
        slope = np.einsum("k,kic->ic", weights * (self.places - value), self.images)
        gradient = np.zeros_like(positions)
        gradient[self.atoms] = 2.0 * self.sharpness / len(self.atoms) * slope
        return value, gradient


def read_collective(path: Path) -> CollectiveSettings:
    """Read the settings of a collective variable from YAML; paths in it are relative to the file.

    Raises
    ------
    ConfigError
        When a key is unknown or missing, or the file cannot be read.
    """
    path = Path(path)
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no collective variable; give its kind and what that needs.")
    settings = _File.read({"cv": content}, str(path)).cv
    for name in ("band", "end"):
        given = getattr(settings, name, None)
        if given is not None and not given.is_absolute():
            settings = settings.model_copy(update={name: path.parent / given})
    return settings


def collective_variable(settings: CollectiveSettings, start: Atoms) -> CollectiveVariable:
    """Return the collective variable that ``settings`` describes, for the atoms, cell and origin of ``start``.

    Raises
    ------
    DataError
        When an atom does not exist, a direction has no length, or a band does not fit.
    """
    if isinstance(settings, DistanceDifferenceSettings):
        _require_atoms([*settings.first, *(settings.second or ())], start)
        for pair in (settings.first, settings.second):
            if pair is not None and pair[0] == pair[1]:
                raise DataError(f"The distance of atom {pair[0]} from itself is no collective variable.")
        return DistanceDifference(settings.first, settings.second, start.cell, start.pbc.copy())
    if isinstance(settings, ProjectedDisplacementSettings):
        return _projected(settings, start)
    return _path(settings, start)


def key_of(variable: CollectiveVariable) -> str:
    """Return a hash of what a variable is, whatever files it was read from and wherever these lie."""
    return content_hash(type(variable).__name__, *(_part(value) for value in vars(variable).values()))


def _part(value: Any) -> Any:
    """Return a part of a hash: what was written with fewer digits than it has is the same."""
    if isinstance(value, (Cell, np.ndarray)):
        array = np.asarray(value)
        return np.round(array, _DIGITS) + 0.0 if array.dtype.kind == "f" else array
    return round(value, _DIGITS) if isinstance(value, float) else value


def read_band(path: Path, start: Atoms) -> list[Atoms]:
    """Return the images of a band, each moved by lattice vectors to follow the one before, the first ``start``.

    Raises
    ------
    DataError
        When the file cannot be read, its images are not of the atoms of ``start``, or what is held moves in it.
    """
    images = _structures(path)
    if len(images) < 3:
        raise DataError(f"{path} has {counted(len(images), 'image')}; a band has at least three.")
    band: list[Atoms] = []
    held = Held.of(start)
    for index, image in enumerate(images):
        check_same_atoms(start, image, ("start", f"number {index} of {path}"))
        band.append(unwrapped(band[-1] if band else start, image))
        ways = band[-1].positions - start.positions
        off = np.linalg.norm(ways - held.project(ways), axis=1)
        if off.max() > HELD_STILL:
            raise DataError(
                f"Atom {int(np.argmax(off))} is held, and what is held of it stands {off.max():.3g} Å from the start "
                f"in image {index} of {path}; give both the same place, or release the atom."
            )
        band[-1].set_positions(start.positions + held.project(ways), apply_constraint=False)
    return band


def _structures(path: Path) -> list[Atoms]:
    return [complete_atoms(require_matter(structure)) for structure in read_structures(path)]


def _projected(settings: ProjectedDisplacementSettings, start: Atoms) -> ProjectedDisplacement:
    _require_atoms([settings.atom, *settings.relative_to], start)
    if settings.atom in settings.relative_to:
        raise DataError(f"Atom {settings.atom} cannot be its own framework; take it out of relative_to.")
    if (settings.direction is None) == (settings.end is None):
        raise DataError("A projected displacement needs either a direction or an end structure.")
    origin = np.array(start.positions[settings.atom] if settings.origin is None else settings.origin, dtype=float)
    if settings.end is not None:
        end = _structures(settings.end)[-1]
        check_same_atoms(start, end, ("start", f"last of {settings.end}"))
        vector = unwrapped(start, end).positions[settings.atom] - start.positions[settings.atom]
    else:
        vector = np.array(settings.direction, dtype=float)
    length = float(np.linalg.norm(vector))
    if length < _COINCIDENT:
        raise DataError(f"The direction in which atom {settings.atom} moves has no length.")
    framework = np.array(settings.relative_to, dtype=np.intp)
    return ProjectedDisplacement(
        settings.atom, vector / length, origin, framework, np.array(start.positions[framework], dtype=float)
    )


def _path(settings: PathSettings, start: Atoms) -> PathVariable:
    atoms = np.arange(len(start)) if settings.atoms is None else np.array(settings.atoms, dtype=np.intp)
    _require_atoms(atoms.tolist(), start)
    chosen = np.array([image.positions[atoms] for image in read_band(settings.band, start)])
    centred = chosen - chosen.mean(axis=1, keepdims=True)
    steps = (np.diff(centred, axis=0) ** 2).sum(axis=(1, 2)) / len(atoms)
    if steps.min() < _COINCIDENT**2:
        raise DataError(f"Two neighbouring images of {settings.band} are the same; leave one out.")
    if steps.max() > 9 * steps.min():
        raise DataError(
            f"The images of {settings.band} are up to {np.sqrt(steps.max() / steps.min()):.1f} times as far from each "
            "other as the nearest two; space them evenly."
        )
    before = [centred[0] - k * (centred[1] - centred[0]) for k in range(settings.extend, 0, -1)]
    after = [centred[-1] + k * (centred[-1] - centred[-2]) for k in range(1, settings.extend + 1)]
    images = np.array([*before, *centred, *after])
    last = len(centred) - 1
    places = np.arange(-settings.extend, last + settings.extend + 1) / last
    return PathVariable(atoms, images, places, settings.sharpness or 2.3 / float(steps.mean()))


def _require_atoms(indices: Sequence[int], start: Atoms) -> None:
    wrong = [index for index in indices if not 0 <= index < len(start)]
    if wrong:
        raise DataError(f"There is no atom {wrong[0]} in the start structure; it has atoms 0 to {len(start) - 1}.")
