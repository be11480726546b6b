"""What is added to an energy: differences of columns, row by row, and constants, each by its name."""

from dataclasses import dataclass

import numpy as np

from rung.collect.output import Series
from rung.data.labels import Array
from rung.errors import DataError


@dataclass(frozen=True)
class ColumnDifference:
    """Adds one column of a series less another, so that the error counts how they move with the energy.

    Parameters
    ----------
    name
        What it is called.
    plus, minus
        The columns, by the program's names.
    """

    name: str
    plus: str
    minus: str

    def rows(self, series: Series) -> Array:
        """Return what is added to each row, eV.

        Raises
        ------
        DataError
            When the series lacks a column, or one holds what is no number.
        """
        for column in (self.plus, self.minus):
            if column not in series.columns:
                there = ", ".join(sorted(series.columns)) or "none"
                raise DataError(f"{series.source} has no column {column}, which {self.name} needs; there is: {there}.")
        added = series.columns[self.plus] - series.columns[self.minus]
        if not np.isfinite(added).all():
            raise DataError(f"{series.source}: {self.plus} or {self.minus} is no number in some row.")
        return added


MPC = ColumnDifference("mpc", "MPC", "ElecElec")
"""The model periodic Coulomb interaction in place of Ewald's; Fraser et al., Phys. Rev. B 53, 1814 (1996)."""
