"""Designs: derivatives of energies and forces with respect to fitted weights, constants of a structure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.data.labels import Array


@dataclass(frozen=True)
class AtomFeatures:
    """What the backbone says of the ``n`` atoms of a structure.

    Parameters
    ----------
    features
        Shape ``(n, D)``, in single precision: they tell which environments are alike, not energies.
    numbers
        Atomic numbers, shape ``(n,)``.
    """

    features: NDArray[np.float32]
    numbers: NDArray[np.integer]


@dataclass(frozen=True)
class Design:
    """Energy and forces of one structure of ``n`` atoms as linear functions of ``P`` readout weights w.

    ``E = energy @ w + composition @ E0 + n · constant + fixed_energy`` and ``F = forces @ w + fixed_forces``,
    where ``constant`` is the readout's constant per atom.

    Where forces were probed, ``forces`` and ``fixed_forces`` are S B and S F_fixed of a random ``sketch`` S with
    E[SᵀS] = 1: sums of products over all components keep their expectation, and single components are not known.

    Where forces were probed, ``forces`` and ``fixed_forces`` are the rows of S B and S F of a random ``sketch`` S with
    E[SᵀS] = 1. So sums of squares and of products over all components keep their expectation, and single components
    are not known.

    Parameters
    ----------
    energy
        ∂E/∂w, eV per unit weight, shape ``(P,)``.
    forces
        ∂F/∂w, eV/Å per unit weight, shape ``(3n, P)``, atom by atom, or ``(K, P)`` where probed; shape ``(0, P)`` where
        only energies were asked.
    composition
        Number of atoms of each of the backbone's elements in ascending order.
    fixed_energy
        eV that no readout changes.
    fixed_forces
        eV/Å that no readout changes, shape ``(3n,)``, ``(K,)`` or ``(0,)``.
    atoms
        The features of the atoms, where they were asked for: error bars read which environments are alike.
    sketch
        S, shape ``(K, 3n)``, where forces were probed along K directions; None where ``forces`` holds every component.
    """

    energy: Array
    forces: Array
    composition: Array
    fixed_energy: float
    fixed_forces: Array
    atoms: AtomFeatures | None = None
    sketch: Array | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return round(float(self.composition.sum()))

    @property
    def has_forces(self) -> bool:
        """Whether the design holds forces."""
        return bool(len(self.forces))

    @property
    def components_a_row(self) -> float:
        """How many components of the forces each row stands for: one, or more where they were probed."""
        return 3 * self.n_atoms / len(self.forces)

    def seen(self, forces: Array) -> Array:
        """Return ``forces`` of all atoms, shape ``(n, 3)``, as the rows of this design see them, shape ``(m,)``."""
        return forces.ravel() if self.sketch is None else self.sketch @ forces.ravel()

    @property
    def is_probed(self) -> bool:
        """Whether the forces stand along random directions alone."""
        return self.sketch is not None
