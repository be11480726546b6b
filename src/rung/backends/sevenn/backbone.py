"""The features of a SevenNet model: the scalars that its readout reads, after the last layer."""

from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rung.backends.sevenn.description import Description
from rung.data.batch import Batch
from rung.data.elements import symbols
from rung.errors import ModelError
from rung.storage import content_hash

PASS_RATIO = 1.1
"""Cost of one pass of the Jacobian in units of one reverse pass: 0.080 s and 0.073 s for 7net-0 on 27 atoms."""

READ_FROM = "reduce_input_to_hidden"
"""The first module of the readout; what stands before it makes features."""

_READOUT = ("reduce_", "rescale_")
_ONE_HOT = "onehot_idx_to_onehot"  # in passing it would cast to float32
_FEATURES, _TYPES = "x", "atom_type"
"""SevenNet's keys for what its modules pass along: features, and the place of an element in the model."""


@dataclass(frozen=True, eq=False)
class SevenNetBackbone:
    """A frozen SevenNet model seen as features of atoms.

    Parameters
    ----------
    module
        The model, without modalities, in evaluation mode with frozen parameters.
    description
        Its architecture.
    element_scales
        Factor of each element's features beside that of the first, in the model's order: SevenNet may scale the energy
        of each element on its own. Empty where all are one.
    stored
        The type of the file's numbers where it is a smaller one than that of the model; else None.
    """

    module: Any
    description: Description
    element_scales: tuple[float, ...] = ()
    stored: torch.dtype | None = None

    @property
    def cutoff(self) -> float:
        """Å; the range of one edge."""
        return self.description.cutoff

    @property
    def receptive_field(self) -> float:
        """Å; each layer of messages adds one cutoff."""
        return self.description.num_convolution_layer * self.cutoff

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the model knows."""
        return frozenset(self.description.elements)

    @property
    def conditioned(self) -> bool:
        """Features do not depend on a row's fidelity."""
        return False

    @property
    def mirrors(self) -> bool:
        """Whether a mirror image has the same energy: only where the model tells even from odd."""
        return self.description.is_parity

    @property
    def pass_ratio(self) -> float:
        """As measured; see :data:`PASS_RATIO`."""
        return PASS_RATIO

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What makes features of the data of a batch, in turn: SevenNet's modules before the readout, by name."""
        children = self.module.named_children()
        before = takewhile(lambda child: child[0] != READ_FROM, children)
        return {name: part for name, part in before if name != _ONE_HOT}

    @cached_property
    def dtype(self) -> torch.dtype:
        """The type of the features."""
        return next(self.module.parameters()).dtype

    @cached_property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.module.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of architecture and tensors, without readout and reference energies: features know nothing of them."""
        state = [
            (name, tensor.detach().cpu().numpy())
            for name, tensor in sorted(self.module.state_dict().items())
            if not name.startswith(_READOUT)
        ]
        facts = self.description.model_dump_json()
        return content_hash("sevenn-features-1", facts, np.array(self.element_scales), state)

    @cached_property
    def _types(self) -> Tensor:
        table = torch.full((119,), -1, dtype=torch.int64, device=self.device)
        table[list(self.description.elements)] = torch.arange(len(self.elements), device=self.device)
        return table

    @cached_property
    def _factors(self) -> Tensor:
        return torch.tensor(self.element_scales, dtype=self.dtype, device=self.device)

    def features(self, batch: Batch) -> Tensor:
        """Return the features of each atom, shape ``(N, D)``, differentiable in positions and cell."""
        wanted = batch.positions.requires_grad or batch.cell.requires_grad
        with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
            return self.run(batch)

    def run(self, batch: Batch) -> Tensor:
        """Return the features with the graph that the weights ask for."""
        data = start_of(batch, self._known(batch.numbers), len(self.elements))
        for part in self.parts.values():
            data = part(data)
        features: Tensor = data[_FEATURES]
        if self.element_scales:
            features = features * self._factors[data[_TYPES]][:, None]
        return features

    def _known(self, numbers: Tensor) -> Tensor:
        """Return the place of each atom's element in the model."""
        types = self._types[numbers.clamp(max=len(self._types) - 1)]
        if bool((types < 0).any()):
            unknown = sorted({int(number) for number in numbers[types < 0]})
            raise ModelError(f"The model does not know {symbols(unknown)}; it knows {symbols(self.elements)}.")
        return types

    def fixed_energy(self, batch: Batch) -> Tensor:
        """Return zeros, shape ``(S,)``: the readout changes all of the energy."""
        return batch.positions.new_zeros(batch.n_rows)


def start_of(batch: Batch, types: Tensor, n_elements: int) -> dict[str, Tensor]:
    """Return a batch in the form in which SevenNet's modules pass data along, up to the first that has weights.

    Parameters
    ----------
    batch
        The rows.
    types
        The place of each atom's element in the model, shape ``(N,)``.
    n_elements
        How many elements the model knows.
    """
    vectors = batch.edge_vectors()
    one_hot = torch.nn.functional.one_hot(types, n_elements).to(vectors.dtype)
    return {
        "edge_vec": vectors,
        "edge_index": batch.edges,
        "batch": batch.atom_row,
        _TYPES: types,
        _FEATURES: one_hot,
        "node_attr": one_hot,
    }
