"""A MACE model whose weights all move."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rung.backends.mace.backbone import adopt, copy_model
from rung.backends.mace.export import native_model
from rung.data.batch import Batch
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential


class TrainableMace(TrainablePotential):
    """A ``ScaleShiftMACE`` or ``MACE`` in training, at one fidelity.

    The module's own table of reference energies is kept at zero: rung adds them in float64, so a float32 model loses
    no digits of a large total energy, and no copying of tensors between models can bring old ones back.

    Parameters
    ----------
    module
        The model; this object owns it from now on.
    fidelity
        What it is trained on.
    reference
        Reference energies, eV.
    head
        The head whose energies are trained, where the model has several; by default the first.
    """

    def __init__(
        self, module: torch.nn.Module, fidelity: str, reference: ReferenceEnergies, head: str | None = None
    ) -> None:
        model: Any = module  # mace carries no annotations
        numbers = [int(number) for number in model.atomic_numbers]
        super().__init__({fidelity: reference}, frozenset(numbers), float(model.r_max))
        with torch.no_grad():
            model.atomic_energies_fn.atomic_energies.zero_()
        self.module = module.requires_grad_(requires_grad=True)
        self.head = head if head is not None else str(model.heads[0])
        self._head_index = list(model.heads).index(self.head)
        table = torch.full((max(numbers) + 1,), -1)
        table[numbers] = torch.arange(len(numbers))
        self.register_buffer("_element", table, persistent=False)
        self._element: Tensor

    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""
        energies: Tensor = self.module(self._graph(batch), compute_force=False)["node_energy"]
        return energies

    def frozen(self) -> ReadoutPotential:
        """Return the potential as it stands, sharing no tensor with this module."""
        (fidelity,) = self.fidelities
        reference = self.references[fidelity]
        module = copy_model(self.module)
        module.zero_grad(set_to_none=True)
        potential = adopt(module, fidelity, self.head)
        # the table in float64 rather than what the module's type would make of it
        return potential.with_surface(fidelity, replace(potential.surface(fidelity), reference=reference))

    def _graph(self, batch: Batch) -> dict[str, Tensor]:
        element = self._element[batch.numbers]
        ends = torch.cumsum(batch.n_atoms, dim=0)
        return {
            # mace calls requires_grad_ on what it is given: a view keeps the caller's tensor as it was
            "positions": batch.positions.view_as(batch.positions),
            "node_attrs": torch.nn.functional.one_hot(element, len(self.elements)).to(batch.positions.dtype),
            "edge_index": batch.edges,
            "shifts": torch.einsum("mi,mij->mj", batch.edge_cells, batch.cell[batch.atom_row[batch.edges[0]]]),
            "unit_shifts": batch.edge_cells,
            "cell": batch.cell.reshape(-1, 3),
            "batch": batch.atom_row,
            "ptr": torch.cat([ends.new_zeros(1), ends]),
            "head": torch.full_like(ends, self._head_index),
        }


def trainable(potential: ReadoutPotential, fidelity: str, target: str) -> TrainableMace:
    """Return the surface ``fidelity`` of ``potential`` as a module to be trained on ``target``; nothing is shared.

    Raises
    ------
    ModelError
        When the potential's backbone is not MACE.
    """
    return TrainableMace(native_model(potential, fidelity), target, potential.surface(fidelity).reference)
