"""``geometries/<split>.json``: where the atoms of a split are, for whoever looks at its predictions."""

from typing import Self

from pydantic import ConfigDict, model_validator

from rung.errors import counted
from rung.results.base import Result
from rung.results.predictions import Blocks

GEOMETRIES = "geometries"
"""The folder of these files."""


class Geometries(Result):
    """Structures of a split, in the order of its predictions."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    rows: tuple[int, ...]
    """The place of each structure in ``predictions/<split>.json``: of a large split not all are here."""
    symbols: tuple[str, ...]
    """The elements of its atoms with blanks between them, such as ``O H H``."""
    positions: Blocks
    """Of its atoms, Å."""
    cells: Blocks
    """Its lattice vectors, Å; null without a cell."""

    @model_validator(mode="after")
    def _one_entry_a_structure(self) -> Self:
        for name in ("symbols", "positions", "cells"):
            if len(getattr(self, name)) != len(self.rows):
                entries = counted(len(getattr(self, name)), "entry", "entries")
                raise ValueError(f"{name} has {entries} for {counted(len(self.rows), 'structure')}")
        for symbols, block in zip(self.symbols, self.positions, strict=True):
            if block is None or len(block) != len(symbols.split()):
                raise ValueError(f"positions has no row for each of the atoms {symbols[:40]}")
        return self
