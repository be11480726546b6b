"""The saddle of H + H2 -> H2 + H, which symmetry gives on any potential."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from scipy.optimize import minimize_scalar

from geometries import FAR, apart
from rung.evaluate.paths.vibrations import VibrationSettings, vibrations


def energy(calculator: Any, positions: np.ndarray) -> float:
    """Return the energy of three hydrogen atoms, eV."""
    atoms = Atoms("H3", positions)
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


@dataclass(frozen=True)
class Saddle:
    """The saddle that symmetry gives: both bonds alike, all atoms on a line.

    Parameters
    ----------
    bond, reactant_bond
        Å, of the saddle and of H2 with the third atom 4 Å away.
    barrier
        eV, of the saddle above that reactant.
    wavenumbers
        cm⁻¹, of the modes that are no motion of the whole; imaginary ones negative.
    """

    bond: float
    reactant_bond: float
    barrier: float
    wavenumbers: tuple[float, ...]

    @classmethod
    def of(cls, calculator: Any, *, modes: bool = True) -> "Saddle":
        """Find it on a potential, by two searches along a line."""
        top = minimize_scalar(lambda r: energy(calculator, apart(r, r)), bracket=(0.9, 0.95), options={"xtol": 1e-4})
        start = minimize_scalar(
            lambda r: energy(calculator, apart(r, FAR)), bracket=(0.72, 0.76), options={"xtol": 1e-4}
        )
        found: tuple[float, ...] = ()
        if modes:
            saddle = Atoms("H3", apart(top.x, top.x))
            found = tuple(float(one) for one in vibrations(saddle, calculator, VibrationSettings()).wavenumbers)
        return cls(float(top.x), float(start.x), float(top.fun - start.fun), found)
