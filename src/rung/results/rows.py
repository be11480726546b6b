"""``rows.json``: type and shape of the arrays that lie beside it, one file of bare numbers each."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rung.results.base import Result

ROWS_FILE = "rows.json"


class PackedLayout(Result):
    """What a folder of packed rows holds."""

    version: int
    """Of the layout."""
    fidelities: tuple[str, ...]
    """The names that ``fidelity`` indexes."""
    cutoff: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Å, within which atoms are neighbours."""
    arrays: Mapping[str, tuple[str, tuple[Annotated[int, Field(ge=0, lt=1 << 48)], ...]]]
    """Type and shape of each array, by the name of its file."""
    fingerprint: str
    """A hash of the rows and their labels."""
