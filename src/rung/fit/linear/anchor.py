"""The anchor: forces that a fit should stay near, and the named processing that they go through first.

Every transform is one small class that takes anchor forces and returns anchor forces; a list of them composes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rung.data.labels import Array
from rung.errors import ConfigError
from rung.settings import Settings


@dataclass(frozen=True)
class Direction:
    """One way in which the anchor itself is uncertain: ``forces + c · direction`` with ``c ~ N(0, stderr²)``.

    Parameters
    ----------
    name
        For reports, such as ``scale``.
    forces
        eV/Å for c = 1, shape ``(n, 3)``.
    stderr
        One-sigma size of c.
    """

    name: str
    forces: Array
    stderr: float


@dataclass(frozen=True)
class AnchorForces:
    """The anchor's forces on all anchored atoms, frame after frame.

    Parameters
    ----------
    forces
        eV/Å, shape ``(n, 3)``.
    base
        The base's forces on the same atoms, eV/Å, shape ``(n, 3)``.
    numbers
        Atomic numbers, shape ``(n,)``.
    positions
        Å, shape ``(n, 3)``.
    frame
        Index of each atom's frame, shape ``(n,)``.
    kept
        Whether the atom is anchored, shape ``(n,)``.
    directions
        How the anchor is uncertain.
    """

    forces: Array
    base: Array
    numbers: Array
    positions: Array
    frame: Array
    kept: NDArray[np.bool_]
    directions: tuple[Direction, ...] = ()

    def mapped(self, forces: Array) -> "AnchorForces":
        """Return the anchor with other forces."""
        return replace(self, forces=forces)


class Scale(Settings):
    """The anchor is a multiple c of itself, c ~ N(value, stderr²); an expensive level is often softer or stiffer."""

    kind: Literal["scale"] = "scale"
    value: float = 1.0
    """The factor expected before the energies are seen."""
    stderr: float = Field(default=0.3, ge=0)
    """Its one-sigma uncertainty, which the fit integrates over; 0 fixes the factor at ``value``."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor times ``value``, uncertain along itself."""
        found = anchor.mapped(self.value * anchor.forces)
        if self.stderr == 0:
            return found
        return replace(found, directions=(*found.directions, Direction("scale", anchor.forces, self.stderr)))


class ScalePerElement(Settings):
    """Each element's forces have a factor of their own, c_z ~ N(1, stderr²)."""

    kind: Literal["scale_per_element"] = "scale_per_element"
    stderr: float = Field(default=0.1, gt=0)
    """One-sigma uncertainty of each factor."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor, uncertain along the forces of each element."""
        own = tuple(
            Direction(f"scale[{number}]", anchor.forces * (anchor.numbers == number)[:, None], self.stderr)
            for number in np.unique(anchor.numbers)
        )
        return replace(anchor, directions=(*anchor.directions, *own))


class Clip(Settings):
    """Forces longer than ``norm`` are shortened to it: frames far from equilibrium should not lead."""

    kind: Literal["clip"] = "clip"
    norm: float = Field(gt=0)
    """eV/Å."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor with no force longer than ``norm``."""
        length = np.linalg.norm(anchor.forces, axis=1, keepdims=True)
        return anchor.mapped(anchor.forces * np.minimum(1.0, self.norm / np.maximum(length, 1e-300)))


class MaskElements(Settings):
    """Atoms of some elements are not anchored."""

    kind: Literal["mask_elements"] = "mask_elements"
    numbers: tuple[Annotated[int, Field(ge=1, le=118)], ...]
    """Atomic numbers."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor without those atoms."""
        return replace(anchor, kept=anchor.kept & ~np.isin(anchor.numbers, self.numbers))


class MaskRegion(Settings):
    """Atoms within a slab of space are not anchored, such as those around a defect or a surface."""

    kind: Literal["mask_region"] = "mask_region"
    axis: Literal["x", "y", "z"]
    """The Cartesian axis across the slab."""
    low: float = -np.inf
    """Å."""
    high: float = np.inf
    """Å."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor without the atoms between ``low`` and ``high``."""
        place = anchor.positions[:, "xyz".index(self.axis)]
        return replace(anchor, kept=anchor.kept & ~((place >= self.low) & (place <= self.high)))


class DropOutliers(Settings):
    """Atoms whose anchor differs from the base by far more than is usual are not anchored."""

    kind: Literal["drop_outliers"] = "drop_outliers"
    threshold: float = Field(default=6.0, gt=0)
    """In robust standard deviations of the length of the anchor's departure (or of the anchor where it is the base)."""

    def __call__(self, anchor: AnchorForces) -> AnchorForces:
        """Return the anchor without the outliers."""
        departure = anchor.forces - anchor.base
        length = np.linalg.norm(departure if departure.any() else anchor.forces, axis=1)
        middle = np.median(length)
        spread = 1.4826 * np.median(np.abs(length - middle))
        return replace(anchor, kept=anchor.kept & (length <= middle + self.threshold * max(spread, 1e-12)))


Transform = Annotated[
    Scale | ScalePerElement | Clip | MaskElements | MaskRegion | DropOutliers, Field(discriminator="kind")
]


def processed(anchor: AnchorForces, transforms: Sequence[Transform]) -> AnchorForces:
    """Apply ``transforms`` in order, then take each frame's net force out of the anchor and of its directions.

    An anchor that no transform has touched comes back bit for bit, so that a fit to nothing is the base.

    Raises
    ------
    ConfigError
        When the transforms leave no atom anchored.
    """
    found = anchor
    for transform in transforms:
        found = transform(found)
    if not found.kept.any():
        raise ConfigError(
            "The transforms of the anchor mask every atom; remove a mask or set the band's anchor to none."
        )
    if found.forces is not anchor.forces and not np.array_equal(found.forces, anchor.base):
        found = found.mapped(_without_net(found.forces, found.frame))
    directions = tuple(
        replace(direction, forces=_without_net(direction.forces, found.frame)) for direction in found.directions
    )
    return replace(found, directions=directions)


def _without_net(forces: Array, frame: Array) -> Array:
    counts = np.bincount(frame)
    net = np.stack([np.bincount(frame, weights=forces[:, axis]) for axis in range(3)], axis=1)
    return np.asarray(forces - (net / np.maximum(counts, 1)[:, None])[frame])
