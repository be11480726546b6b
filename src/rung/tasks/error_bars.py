"""The error bars of a potential of rung whose fit left a posterior, as evaluation takes them, and draws from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from rung.data.labels import Array
from rung.evaluate.error_bars import Bar

if TYPE_CHECKING:
    from rung.calculator import RungCalculator
    from rung.model.domain import Place
    from rung.model.errorbars import EnergyVariance


@dataclass(frozen=True)
class PosteriorBars:
    """Error bars from a posterior: an :class:`~rung.evaluate.error_bars.ErrorBars`.

    Parameters
    ----------
    calculator
        Of the fidelity that the posterior is of.
    """

    calculator: "RungCalculator"

    def difference(self, image: Atoms, reference: Atoms) -> Bar:
        """Return the error of the energy of ``image`` less that of ``reference``."""
        return _bar(self.calculator.energy_difference_variance(image, reference))

    def combination(self, structures: Sequence[Atoms], coefficients: Sequence[float]) -> Bar:
        """Return the error of Σ c E over several structures; infinite where no label identifies the sum."""
        return _bar(self.calculator.energy_combination_variance(structures, coefficients))

    def smooth_combinations(self, structures: Sequence[Atoms], coefficients: Array) -> tuple[Bar, ...]:
        """Return the error of each Σ c E of structures that differ little, without the rough part."""
        variances = self.calculator.energy_combination_variances(structures, coefficients)
        return tuple(Bar(float(np.sqrt(one.weights)), float(np.sqrt(one.weights + one.smooth))) for one in variances)

    def of_atoms(self, atoms: Atoms) -> Array:
        """Return √(hᵀΣh) of each atom, eV, shape ``(n,)``: what the fitted weights add to the error of its energy."""
        return self.calculator.get_atom_energies_stderr(atoms)

    def draw(self, index: int, *, seed: int = 0) -> "RungCalculator":
        """Return a calculator whose weights and E0 are the draw number ``index`` from the posterior."""
        return self.calculator.draw(index, seed=seed)

    def energy_changes(self, structures: Sequence[Atoms], count: int) -> Array:
        """Return the energies on ``count`` draws less those of the potential itself, eV, shape ``(count, S)``."""
        return self.calculator.energy_changes(structures, count)

    def places(self, structures: Sequence[Atoms]) -> "list[Place | None]":
        """Return where structures lie, seen from those of the fit; None for each where the fit did not keep it."""
        return self.calculator.places(structures)


def error_bars_of(calculator: "RungCalculator") -> PosteriorBars | None:
    """Return the error bars of ``calculator``; None where its fit left no posterior of this fidelity."""
    return PosteriorBars(calculator) if calculator.has_error_bars else None


def _bar(variance: "EnergyVariance") -> Bar:
    return Bar(float(np.sqrt(variance.weights)), float(np.sqrt(variance.total)))
