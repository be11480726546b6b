"""Forces as single numbers: along a direction of all atoms."""

from dataclasses import dataclass

from rung.data.labels import Array
from rung.data.structure import Structure


@dataclass(frozen=True)
class Pull:
    """A force along a direction of all atoms of a structure.

    Parameters
    ----------
    structure
        Where.
    direction
        u of u·F, shape ``(n, 3)``.
    """

    structure: Structure
    direction: Array
