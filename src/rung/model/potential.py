"""A potential made of a frozen backbone, and a readout and reference energies per fidelity."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.data.elements import symbols
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.protocols import Backbone, FoldableBackbone, Handed, Prediction
from rung.model.readout import Readout
from rung.model.reference import ReferenceEnergies
from rung.storage import content_hash


@dataclass(frozen=True)
class Surface:
    """What one fidelity adds to a backbone: its readout and its reference energies."""

    readout: Readout
    reference: ReferenceEnergies


@dataclass(frozen=True)
class ReadoutPotential:
    """E = Σ_i [E0_z + scale·R_w(h_i) + shift] + what no readout changes, for each of its fidelities.

    Parameters
    ----------
    backbone
        The features; shared by all fidelities.
    surfaces
        Readout and reference energies by fidelity.
    """

    backbone: Backbone
    surfaces: Mapping[str, Surface]

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelities that can be asked for."""
        return tuple(self.surfaces)

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the backbone knows."""
        return self.backbone.elements

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""
        return self.backbone.cutoff

    @property
    def dtype(self) -> torch.dtype:
        """The type in which features are computed."""
        return self.backbone.dtype

    @property
    def device(self) -> torch.device:
        """Where the backbone lives."""
        return self.backbone.device

    @property
    def mirrors(self) -> bool:
        """Whether a mirror image has the same energy."""
        return not isinstance(self.backbone, Handed) or self.backbone.mirrors

    @cached_property
    def fingerprint(self) -> str:
        """A hash of backbone, readouts and reference energies."""
        parts = [
            (
                name,
                surface.readout.fingerprint,
                surface.readout.weights,
                float(surface.readout.constant),
                tuple((number, float(energy)) for number, energy in sorted(surface.reference.energies.items())),
            )
            for name, surface in sorted(self.surfaces.items())
        ]
        return content_hash("readout-potential-1", self.backbone.fingerprint, tuple(parts))

    def surface(self, fidelity: str) -> Surface:
        """Return the readout and reference energies of ``fidelity``; an unknown name raises."""
        return self.surfaces[require_fidelity(fidelity, self.surfaces)]

    def with_surface(self, fidelity: str, surface: Surface) -> "ReadoutPotential":
        """Return the potential with one fidelity added or replaced; the others stay as they are."""
        return replace(self, surfaces={**self.surfaces, fidelity: surface})

    def at(self, fidelity: str) -> "ReadoutPotential":
        """Return a potential that predicts the same at ``fidelity`` and whose features do not depend on the fidelity.

        Where features depend on it, other fidelities are not offered any more; else this is the potential itself.

        Raises
        ------
        ConfigError
            When there is no such fidelity.
        ModelError
            When the backbone cannot leave its other fidelities out.
        """
        surface = self.surface(fidelity)
        if not self.backbone.conditioned:
            return self
        if not isinstance(self.backbone, FoldableBackbone):
            raise ModelError(f"A {type(self.backbone).__name__} cannot be reduced to one of its fidelities.")
        return ReadoutPotential(self.backbone.at(fidelity), {fidelity: surface})

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return energies, and forces and stress where asked for, each row at its fidelity."""
        unknown = sorted({int(number) for number in batch.numbers.unique()} - self.elements)
        if unknown:
            raise ModelError(f"The potential does not know {symbols(unknown)}; it knows {symbols(self.elements)}.")
        with torch.enable_grad():
            return self._predict(batch, forces=forces, stress=stress)

    def _predict(self, batch: Batch, *, forces: bool, stress: bool) -> Prediction:
        batch = replace(batch, positions=batch.positions.detach().requires_grad_(forces or stress))
        strain = torch.zeros_like(batch.cell, requires_grad=stress)
        moved = batch.strained(strain) if stress else batch
        features = self.backbone.features(moved)
        interaction = torch.zeros(len(batch.numbers), dtype=torch.float64, device=features.device)
        reference = torch.zeros_like(interaction)
        for index, name in enumerate(batch.fidelities):
            atoms = (batch.fidelity == index)[batch.atom_row].nonzero().squeeze(1)
            if len(atoms):
                surface = self.surface(name)
                interaction = interaction.index_copy(0, atoms, surface.readout.atom_energies(features[atoms]))
                reference[atoms] = surface.reference.of(batch.numbers[atoms])
        fixed = self.backbone.fixed_energy(moved).double()
        rows = torch.zeros(batch.n_rows, dtype=torch.float64, device=features.device)
        energy = rows.index_add(0, batch.atom_row, interaction) + fixed
        leaves = [batch.positions] * (forces or stress) + [strain] * stress
        gradients = gradients_of(energy.sum(), leaves)
        share = (fixed / batch.n_atoms)[batch.atom_row]  # what no readout changes has no owner among the atoms
        return Prediction(
            energy=(energy + rows.index_add(0, batch.atom_row, reference)).detach(),
            atom_energies=(interaction + reference + share).detach(),
            forces=-gradients[0] if forces else None,
            stress=voigt_stress(gradients[-1], batch) if stress else None,
        )


def gradients_of(total: Tensor, leaves: list[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Return ∂total/∂leaf of each leaf, zero where nothing depends on it; none where there is no leaf."""
    if not leaves:
        return []
    if not total.requires_grad:  # single atoms: nothing depends on where they are
        return [torch.zeros_like(leaf) for leaf in leaves]
    gradients = torch.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True)
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]


def voigt_stress(virial: Tensor, batch: Batch) -> Tensor:
    """Return dE/dε over the volume in Voigt order; NaN for rows that are not periodic in three directions."""
    volume = torch.linalg.det(batch.cell).abs()
    periodic = (batch.pbc.any(dim=1) & (volume > 0))[:, None, None]
    # NaN is set after the division: dividing by it would put NaN into gradients of rows that have a volume
    stress = virial / torch.where(periodic, volume[:, None, None], 1.0)
    stress = torch.where(periodic, stress, torch.nan)
    stress = 0.5 * (stress + stress.transpose(1, 2))
    return torch.stack(
        [stress[:, 0, 0], stress[:, 1, 1], stress[:, 2, 2], stress[:, 1, 2], stress[:, 0, 2], stress[:, 0, 1]], dim=1
    )
