"""Error bars of energies, as evaluation asks a potential for them: one protocol, whichever fit made the bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf, nan
from typing import Protocol

from ase import Atoms

from rung.data.labels import Array


@dataclass(frozen=True)
class Bar:
    """The one-sigma error of an energy, or of a sum of energies.

    Parameters
    ----------
    weights
        From the fitted weights and reference energies alone, eV.
    total
        With the model's own error, eV: the one to quote.
    """

    weights: float
    total: float

    @property
    def infinite(self) -> bool:
        """Whether no label identifies the energy."""
        return isinf(self.weights) or isinf(self.total)


UNKNOWN = Bar(nan, nan)
"""The bar where a potential has no posterior."""


class ErrorBars(Protocol):
    """What the fit of a potential left of the errors of its energies."""

    def difference(self, image: Atoms, reference: Atoms) -> Bar:
        """Return the error of the energy of ``image`` less that of ``reference``."""

    def combination(self, structures: Sequence[Atoms], coefficients: Sequence[float]) -> Bar:
        """Return the error of Σ c E over several structures; infinite where no label identifies the sum."""

    def of_atoms(self, atoms: Atoms) -> Array:
        """Return √(hᵀΣh) of each atom, eV, shape ``(n,)``: what the fitted weights add to the error of its energy."""
