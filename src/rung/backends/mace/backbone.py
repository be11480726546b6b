"""The features of a MACE model: the invariant channels of each layer that a readout reads."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rung.backends.mace.describe import describe, heads_of, refuse_unknown
from rung.backends.mace.extract import Layout, layout_of, readout_of, reference_of, scale_shift_of
from rung.backends.precision import say_precision, smaller_type
from rung.backends.protocol import Heads
from rung.data.batch import Batch
from rung.data.elements import symbols
from rung.errors import ModelError, one_of
from rung.fidelity import require_fidelity
from rung.model.potential import ReadoutPotential, Surface
from rung.storage import content_hash

_optimized_execution: Any = torch.jit.optimized_execution  # type: ignore[attr-defined] # torch gives it no type
PASS_RATIO = 1.4
"""Cost of one pass of the Jacobian in units of one reverse pass, for a MACE of two layers whose first has a linear
readout (``benchmarks/design_passes.py``: 482 ms for 78 passes, 202 ms for 48)."""

_READOUT_PARTS = ("readouts.", "atomic_energies_fn.", "scale_shift.")
_READOUT_FACTS = ("class", "heads", "gate", "readout_class", "mlp_units", "energies_shape", "scale_shape")


@dataclass(frozen=True, eq=False)
class MaceBackbone:
    """A frozen MACE model seen as features of atoms.

    Parameters
    ----------
    module
        The model, ``mace.modules.models.MACE`` or ``ScaleShiftMACE``, in evaluation mode with frozen parameters.
    head
        The name of the head whose energies the model was wrapped for; features do not depend on it, the factor of
        the pair repulsion does.
    rebuilt
        Whether the model was built by rung from a description, so that it is known to have one.
    stored
        The type of the file's numbers where it is a smaller one than that of the model; else None.
    """

    module: Any
    head: str
    rebuilt: bool = False
    stored: torch.dtype | None = None

    @cached_property
    def layout(self) -> Layout:
        """Which columns of the model's ``node_feats`` are features, layer by layer."""
        return layout_of(self.module)

    @cached_property
    def head_index(self) -> int:
        """The position of the head in the model."""
        return heads_of(self.module).index(self.head)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers in the model's own order."""
        return tuple(int(number) for number in self.module.atomic_numbers)

    @cached_property
    def cutoff(self) -> float:
        """Å; the range of one edge."""
        return float(self.module.r_max)

    @property
    def receptive_field(self) -> float:
        """Å; each layer of messages adds one cutoff."""
        return len(self.module.interactions) * self.cutoff

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers that the model knows."""
        return frozenset(self.numbers)

    @property
    def conditioned(self) -> bool:
        """Features do not depend on a row's fidelity."""
        return False

    @property
    def pass_ratio(self) -> float:
        """As measured; see :data:`PASS_RATIO`."""
        return PASS_RATIO

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
        """A hash of architecture and tensors, without readouts and reference energies: features know nothing of them.

        A base and what was lifted from it so share cached designs.
        """
        facts = {key: value for key, value in describe(self.module).items() if key not in _READOUT_FACTS}
        state = [
            (name, tensor.detach().cpu().numpy())
            for name, tensor in sorted(self.module.state_dict().items())
            if not name.startswith(_READOUT_PARTS)
        ]
        return content_hash(
            "mace-features-1", repr(sorted(facts.items())), self.layout.columns, self._pair_scale, state
        )

    @cached_property
    def _pair_scale(self) -> float:
        if not hasattr(self.module, "pair_repulsion"):
            return 0.0
        return scale_shift_of(self.module, self.head_index)[0]

    def features(self, batch: Batch) -> Tensor:
        """Return the invariant features of each atom, shape ``(N, D)``, differentiable in positions and cell."""
        wanted = batch.positions.requires_grad or batch.cell.requires_grad
        # TorchScript would compile during the first calls and then round otherwise: not the same bits in every process
        with _optimized_execution(False), torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
            return self.run(batch)["node_feats"][:, list(self.layout.columns)]

    def feature_layers(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the features layer by layer, shapes ``(N, D_layer)``, each as it leaves its own product block.

        In ``node_feats`` the layers are joined, and a reverse pass from the first would run through all of them.
        """
        layers: list[Tensor] = []
        products = tuple(self.module.products)
        hooks = [block.register_forward_hook(lambda _block, _inputs, out: layers.append(out)) for block in products]
        try:
            self.run(batch)
        finally:
            for hook in hooks:
                hook.remove()
        starts = [sum(layer.shape[1] for layer in layers[:index]) for index in range(len(layers) + 1)]
        return tuple(
            layer[:, [column - start for column in self.layout.columns if start <= column < stop]]
            for layer, start, stop in zip(layers, starts[:-1], starts[1:], strict=True)
        )

    def fixed_energy(self, batch: Batch) -> Tensor:
        """Return the pair repulsion of each row, eV, shape ``(S,)``; zeros where the model has none."""
        rows = batch.positions.new_zeros(batch.n_rows)
        if not hasattr(self.module, "pair_repulsion"):
            return rows
        lengths = torch.linalg.norm(batch.edge_vectors(), dim=-1, keepdim=True)
        pairs = self.module.pair_repulsion_fn(lengths, self._one_hot(batch), batch.edges, self.module.atomic_numbers)
        return rows.index_add(0, batch.atom_row, self._pair_scale * pairs)

    def _one_hot(self, batch: Batch) -> Tensor:
        table = torch.full((max(*self.numbers, 0) + 1,), -1, device=batch.numbers.device)
        table[list(self.numbers)] = torch.arange(len(self.numbers), device=batch.numbers.device)
        index = torch.where(batch.numbers < len(table), table[batch.numbers.clamp(max=len(table) - 1)], -1)
        if bool((index < 0).any()):
            unknown = sorted({int(number) for number in batch.numbers[index < 0]})
            raise ModelError(f"The model does not know {symbols(unknown)}; it knows {symbols(self.elements)}.")
        return torch.nn.functional.one_hot(index, len(self.numbers)).to(self.dtype)

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """Return what MACE's ``forward`` says of the batch."""
        graph = graph_of(batch, self._one_hot(batch), self.head_index)
        output: dict[str, Tensor] = self.module(graph, compute_force=False)
        return output


def graph_of(batch: Batch, elements: Tensor, head: int) -> dict[str, Tensor]:
    """Return a batch in the form that MACE's ``forward`` takes.

    Parameters
    ----------
    batch
        The rows.
    elements
        The one-hot vector of each atom's element in the model's order, shape ``(N, Z)``.
    head
        The position of the head, the same for all rows.
    """
    sender = batch.edges[0]
    ends = torch.cumsum(batch.n_atoms, dim=0)
    return {
        # mace calls requires_grad_ on what it is given: a view keeps the caller's tensor as it was
        "positions": batch.positions.view_as(batch.positions),
        "node_attrs": elements,
        "edge_index": batch.edges,
        "shifts": torch.einsum("mi,mij->mj", batch.edge_cells, batch.cell[batch.atom_row[sender]]),
        "unit_shifts": batch.edge_cells,
        "cell": batch.cell.reshape(-1, 3),
        "batch": batch.atom_row,
        "ptr": torch.cat([ends.new_zeros(1), ends]),
        "head": torch.full_like(ends, head),
    }


def wrap(model: torch.nn.Module, fidelity: str, head: Heads = None) -> ReadoutPotential:
    """Return the potential of a MACE model; the model itself is copied, so it may be trained on.

    Parameters
    ----------
    model
        A ``MACE`` or ``ScaleShiftMACE``.
    fidelity
        The fidelity that the model (or its head) was trained on.
    head
        Which head, where the model has several; or the head of each fidelity that the potential should offer.

    Raises
    ------
    ModelError
        When the model has a part that rung would drop in silence, or several heads and none is named; or when the
        heads named scale the pair repulsion, of which a potential has one, differently.
    """
    refuse_unknown(model)
    return say_precision(adopt(copy_model(model), fidelity, head), "The model")


def copy_model(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a live model; ``copy.deepcopy`` fails on the empty parameters that MACE gives odd scalars."""
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    copied: torch.nn.Module = torch.load(buffer, weights_only=False)  # of our own bytes, made a line above
    return copied


def freeze(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model in evaluation mode, with no parameter that asks for a gradient."""
    return model.eval().requires_grad_(requires_grad=False)


def adopt(
    model: torch.nn.Module,
    fidelity: str,
    head: Heads = None,
    *,
    rebuilt: bool = False,
    stored: torch.dtype | None = None,
) -> ReadoutPotential:
    """Return the potential of ``model``, which from now on belongs to it: frozen and in evaluation mode."""
    refuse_unknown(model)
    small = smaller_type(model.state_dict().values())
    model = freeze(model if small is None else model.to(torch.float32))
    stored = stored or small
    named = head if isinstance(head, Mapping) else {fidelity: head}
    require_fidelity(fidelity, named)
    heads = {name: _choose_head(model, found) for name, found in named.items()}
    backbone = MaceBackbone(model, heads[fidelity], rebuilt, stored)
    surfaces = {}
    for name, found in heads.items():
        index = heads_of(model).index(found)
        surfaces[name] = Surface(readout_of(model, index, backbone.layout), reference_of(model, index))
    if hasattr(model, "pair_repulsion") and len({surface.readout.scale for surface in surfaces.values()}) > 1:
        raise ModelError(
            f"The heads {', '.join(heads.values())} scale the pair repulsion differently, but fidelities of one "
            "potential share it: open the file once for each head."
        )
    return ReadoutPotential(backbone, surfaces)


def _choose_head(model: torch.nn.Module, head: str | None) -> str:
    heads = heads_of(model)
    if head is None and len(heads) > 1:
        raise ModelError(f"The model has several heads; name the one to use: {', '.join(heads)}.")
    if head is None:
        return heads[0]
    if head not in heads:  # mace itself would take the last head in silence
        raise ModelError(one_of(head, heads, "head"))
    return head
