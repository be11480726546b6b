"""A potential whose weights move: what the trainer sees, whichever backend it came from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.data.elements import symbols
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.potential import ReadoutPotential, gradients_of, voigt_stress
from rung.model.protocols import Prediction
from rung.model.reference import ReferenceEnergies

_N_NUMBERS = 120


class TrainablePotential(torch.nn.Module, ABC):
    """Energies, forces and stress that keep their graph while the module is in training mode.

    A backend gives :meth:`interaction` and :meth:`frozen`, and says of its own models what :meth:`blocks`,
    :meth:`layer_of` and :meth:`adapted` ask. The parameters that require a gradient are those that may move.

    Reference energies are held here, in float64 and outside the weights: neither a change of type nor loading of
    weights touches them.

    Parameters
    ----------
    references
        Reference energies by fidelity; its keys are the fidelities that rows may name.
    elements
        Atomic numbers that the model knows.
    cutoff
        Å; the range of one edge.
    """

    def __init__(self, references: Mapping[str, ReferenceEnergies], elements: frozenset[int], cutoff: float) -> None:
        super().__init__()
        self.elements = elements
        self.cutoff = cutoff
        self._fidelities = tuple(references)
        self.set_references(references)

    @abstractmethod
    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""

    @abstractmethod
    def frozen(self) -> ReadoutPotential:
        """Return the potential as it stands, sharing no tensor with this module."""

    def parameters_of(self, fidelity: str) -> tuple[str, ...]:
        """Return the names of the parameters that only the rows of one fidelity use; none where it shares all.

        Raises
        ------
        ConfigError
            When the model has no such fidelity.
        """
        require_fidelity(fidelity, self.fidelities)
        return ()

    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Return the parts of the model that may be chosen to move, by name, and the names of their parameters.

        A backend names its parts; ``all`` there always is.
        """
        return {"all": tuple(name for name, _ in self.named_parameters())}

    def layer_of(self, parameter: str) -> str:
        """Return the name of the layer that a parameter belongs to: its own name up to the first number in it."""
        parts = parameter.split(".")
        stop = next((k for k, part in enumerate(parts) if part.isdigit()), 0)
        return ".".join(parts[: stop + 1])

    def adapted(self, *, rank: int, alpha: float, seed: int) -> "TrainablePotential":
        """Return a copy whose only moving weights are low-rank adapters; see :func:`rung.backends.training.with_lora`.

        Raises
        ------
        ModelError
            When models of this class have none.
        """
        del rank, alpha, seed
        raise ModelError(f"A {type(self).__name__} belongs to no backend that has low-rank adapters (lora).")

    def fidelity_of_atoms(self, batch: Batch) -> Tensor:
        """Return the index of each atom's fidelity in ``fidelities``, shape ``(N,)``.

        Raises
        ------
        ConfigError
            When a row names a fidelity that the model does not have.
        """
        names = self.fidelities
        rows = [names.index(require_fidelity(name, names)) for name in batch.fidelities]
        return torch.as_tensor(rows, device=batch.numbers.device)[batch.fidelity][batch.atom_row]

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelities that rows may name."""
        return self._fidelities

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def set_references(self, references: Mapping[str, ReferenceEnergies]) -> None:
        """Replace the reference energies of all fidelities.

        Raises
        ------
        ModelError
            When a fidelity is missing or unknown, or an element of the model has no reference energy.
        """
        if set(references) != set(self._fidelities):
            raise ModelError(
                f"There are reference energies for {', '.join(references)}; the model has the fidelities "
                f"{', '.join(self._fidelities)}."
            )
        table = torch.full((len(references), _N_NUMBERS), torch.nan, dtype=torch.float64)
        for row, name in enumerate(self._fidelities):
            reference = references[name]
            missing = sorted(self.elements - set(reference.energies))
            if missing:
                raise ModelError(f"Fidelity {name!r} has no reference energy for {symbols(missing)}.")
            for number, energy in reference.energies.items():
                table[row, number] = energy
        self.references: Mapping[str, ReferenceEnergies] = {name: references[name] for name in self._fidelities}
        self._table = table

    def forward(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return energies (float64), and forces and stress where asked for, each row at its fidelity.

        In training mode everything returned can be differentiated with respect to the weights.
        """
        wanted = forces or stress
        with torch.set_grad_enabled(self.training or wanted):
            batch = replace(batch, positions=batch.positions.detach().requires_grad_(wanted))
            strain = torch.zeros_like(batch.cell, requires_grad=stress)
            interaction = self.interaction(batch.strained(strain) if stress else batch).double()
            atom_energies = interaction + self._reference(batch)
            rows = torch.zeros(batch.n_rows, dtype=torch.float64, device=interaction.device)
            leaves = [batch.positions] * wanted + [strain] * stress
            gradients = gradients_of(interaction.sum(), leaves, create_graph=self.training)
        return Prediction(
            energy=rows.index_add(0, batch.atom_row, atom_energies),
            atom_energies=atom_energies,
            forces=-gradients[0] if forces else None,
            stress=voigt_stress(gradients[-1], batch) if stress else None,
        )

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Return what :meth:`forward` does outside training mode, without a graph; the mode stays as it is."""
        training = self.training
        self.eval()
        try:
            prediction = self(batch, forces=forces, stress=stress)
        finally:
            self.train(training)
        return Prediction(
            energy=prediction.energy.detach(),
            atom_energies=prediction.atom_energies.detach(),
            forces=None if prediction.forces is None else prediction.forces.detach(),
            stress=None if prediction.stress is None else prediction.stress.detach(),
        )

    def _reference(self, batch: Batch) -> Tensor:
        if self._table.device != batch.numbers.device:
            self._table = self._table.to(batch.numbers.device)
        return self._table[self.fidelity_of_atoms(batch), batch.numbers]
