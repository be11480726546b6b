"""What rung asks of a backbone and of a potential; nothing else in rung knows which backend runs."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rung.data.batch import Batch


@dataclass(frozen=True)
class Prediction:
    """What a potential predicts for a batch of ``S`` rows and ``N`` atoms.

    Parameters
    ----------
    energy
        Total energies, eV, shape ``(S,)``, float64.
    atom_energies
        The same by atom, eV, shape ``(N,)``, float64.
    forces
        eV/Å, shape ``(N, 3)``, or None where not asked for.
    stress
        eV/Å³, ASE's sign, Voigt order, shape ``(S, 6)``, or None where not asked for; NaN for a row without volume.
    """

    energy: Tensor
    atom_energies: Tensor
    forces: Tensor | None
    stress: Tensor | None


class Backbone(Protocol):
    """Features of each atom: frozen, differentiable in positions and cell."""

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""

    @property
    def receptive_field(self) -> float:
        """Å; an atom's features do not change when an atom farther away moves (infinite where unknown)."""

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the backbone knows."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the features depend on."""

    @property
    def conditioned(self) -> bool:
        """Whether the features depend on the row's fidelity."""

    @property
    def pass_ratio(self) -> float:
        """Cost of one pass of the Jacobian of the features in units of one reverse pass, as measured on such models.

        It decides which way to a design with forces is taken, and nothing else.
        """

    @property
    def dtype(self) -> torch.dtype:
        """The type of the features; batches come in this type."""

    @property
    def device(self) -> torch.device:
        """Where the backbone lives; batches come there."""

    def features(self, batch: Batch) -> Tensor:
        """Return the invariant features of each atom, shape ``(N, D)``."""

    def fixed_energy(self, batch: Batch) -> Tensor:
        """Return what no readout changes (pair repulsion), eV, shape ``(S,)``."""


@runtime_checkable
class LayeredFeatures(Protocol):
    """What a backbone may offer besides: features layer by layer, for an early layer is cheaper to differentiate."""

    def feature_layers(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the columns of ``features`` in consecutive groups, shapes ``(N, D_layer)``."""


@runtime_checkable
class FoldableBackbone(Protocol):
    """What a conditioned backbone may offer besides: one fidelity's features from a plain backbone."""

    def at(self, fidelity: str) -> Backbone:
        """Return a backbone that is not conditioned and has the features of ``fidelity``."""


@runtime_checkable
class Handed(Protocol):
    """What a backbone, or a potential, may say besides: whether it tells a structure from its mirror image.

    One that does not say so does not: its features are those of all rotations and reflections, O(3). A model that is
    built for rotations alone, SO(3), gives mirror images energies of their own, though physics does not.
    """

    @property
    def mirrors(self) -> bool:
        """Whether features of a mirror image are those of the structure."""


class Potential(Protocol):
    """Energies, forces and stress of a batch, at the fidelity that each row names."""

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelities that can be asked for."""

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the potential knows."""

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the predictions depend on."""

    @property
    def dtype(self) -> torch.dtype:
        """The type in which features are computed."""

    @property
    def device(self) -> torch.device:
        """Where the potential lives."""

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return energies, and forces and stress where asked for."""
