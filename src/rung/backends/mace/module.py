"""A MACE model whose weights move, at one fidelity or several."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from rung.backends.fidelity_vectors import Hook, Vectors, adding, hooked, moved_to
from rung.backends.mace.backbone import MaceBackbone, adopt, copy_model, graph_of
from rung.backends.mace.blocks import blocks_of
from rung.backends.mace.conditioned import ConditionedMaceBackbone
from rung.backends.mace.engine import lora
from rung.backends.mace.extract import readout_from, scale_shift_of
from rung.backends.mace.rebuild import building
from rung.data.batch import Batch
from rung.errors import ModelError
from rung.fidelity import require_fidelity
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential


@dataclass(frozen=True)
class Parts:
    """What a model in training is made of; the object that is given it owns it from then on.

    Parameters
    ----------
    module
        A MACE model of one head: that of the first fidelity.
    references
        Reference energies by fidelity, eV; the order is that of the fidelities.
    conditions
        What each fidelity adds at the layers of ``module``, by fidelity and site; empty where they add nothing.
    readouts
        The readouts of fidelities other than the first, where they have readouts of their own, else empty.
    scales
        Scale and shift (eV per atom) of each fidelity; empty where all have those of ``module``.
    """

    module: torch.nn.Module
    references: Mapping[str, ReferenceEnergies]
    conditions: Mapping[str, Vectors] = field(default_factory=dict)
    readouts: Mapping[str, torch.nn.Module] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class TrainableMace(TrainablePotential):
    """A ``ScaleShiftMACE`` or ``MACE`` in training.

    The module stays a plain MACE model of one head, that of the first fidelity; what other fidelities have of their
    own takes effect through hooks while it runs. So nothing of a fidelity's normalisation depends on how many others
    there are, and a model of one fidelity runs nothing but MACE.

    The module's own table of reference energies is kept at zero: rung adds them in float64, so a float32 model loses
    no digits of a large total energy, and no copying of tensors between models can bring old ones back.

    Raises
    ------
    ModelError
        When fidelities would have scales or shifts of their own where the module has none; or scales of their own where
        it has pair repulsion, which MACE would scale too.
    """

    def __init__(self, parts: Parts) -> None:
        model: Any = parts.module  # mace carries no annotations
        numbers = [int(number) for number in model.atomic_numbers]
        super().__init__(parts.references, frozenset(numbers), float(model.r_max))
        with torch.no_grad():
            model.atomic_energies_fn.atomic_energies.zero_()
        self.module = parts.module
        self._sites = tuple(next(iter(parts.conditions.values()), {}))
        self.conditions = torch.nn.ModuleList(
            torch.nn.ParameterDict(
                {_key(site): torch.nn.Parameter(vectors[site].detach().clone()) for site in self._sites}
            )
            for vectors in (parts.conditions[name] for name in self.fidelities if parts.conditions)
        )
        self.readouts = torch.nn.ModuleList(parts.readouts[name] for name in self.fidelities[1:] if parts.readouts)
        self._own_scales = len(set(parts.scales.values())) > 1
        if self._own_scales:
            _refuse_own_scales(model, {scale for scale, _ in parts.scales.values()})
        common = scale_shift_of(model, 0)
        scales = torch.tensor(
            [parts.scales.get(name, common) for name in self.fidelities],
            dtype=model.r_max.dtype,
            device=model.r_max.device,
        )
        self.register_buffer("_scales", scales, persistent=False)
        table = torch.full((max(numbers) + 1,), -1, device=model.r_max.device)
        table[numbers] = torch.arange(len(numbers), device=model.r_max.device)
        self.register_buffer("_element", table, persistent=False)
        self._scales: Tensor
        self._element: Tensor
        self.requires_grad_(requires_grad=True)

    def parameters_of(self, fidelity: str) -> tuple[str, ...]:
        """Return the names of the parameters that only the rows of one fidelity use; none where it shares all."""
        index = self.fidelities.index(require_fidelity(fidelity, self.fidelities))
        own = [f"conditions.{index}."] if self._sites else []
        if len(self.readouts):
            own.append("module.readouts." if index == 0 else f"readouts.{index - 1}.")
        return tuple(name for name, _ in self.named_parameters() if name.startswith(tuple(own)))

    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Return the parts of a MACE model that may be chosen to move, from the output inwards."""
        return blocks_of(tuple(name for name, _ in self.named_parameters()))

    def layer_of(self, parameter: str) -> str:
        """Return the layer of a parameter, as mace-torch calls it."""
        return super().layer_of(parameter.removeprefix("module."))

    def adapted(self, *, rank: int, alpha: float, seed: int) -> TrainablePotential:
        """Return the model with mace-torch's own low-rank adapters at every linear layer."""
        return AdaptedMace(self, rank=rank, alpha=alpha, seed=seed)

    def vectors_of(self, index: int) -> dict[str, Tensor]:
        """Return what the fidelity of an index adds, by site."""
        if not self._sites:
            return {}
        held: Any = self.conditions[index]
        return {site: held[_key(site)] for site in self._sites}

    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""
        elements = torch.nn.functional.one_hot(self._element[batch.numbers], len(self.elements))
        graph = graph_of(batch, elements.to(batch.positions.dtype), head=0)
        with hooked(self._hooks(batch)):
            energies: Tensor = self.module(graph, compute_force=False)["node_energy"]
        return energies

    def _hooks(self, batch: Batch) -> list[tuple[Any, Hook]]:
        """Return what makes the module that of each atom's own fidelity."""
        if not (self._sites or self._own_scales or len(self.readouts)):
            return []
        model: Any = self.module
        fidelity = self.fidelity_of_atoms(batch)
        hooks: list[tuple[Any, Hook]] = []
        if self._sites:
            hooks += adding(model, [self.vectors_of(index) for index in range(len(self.fidelities))], fidelity)
        if len(self.readouts):
            others: list[Any] = list(self.readouts)
            hooks += [
                (block, _choosing([blocks[index] for blocks in others], fidelity))
                for index, block in enumerate(model.readouts)
            ]
        if self._own_scales:
            scale, shift = self._scales[fidelity].T
            hooks.append((model.scale_shift, lambda _module, inputs, _out: scale * inputs[0] + shift))
        return hooks

    def frozen(self) -> ReadoutPotential:
        """Return the potential as it stands, sharing no tensor with this module."""
        module: Any = self.settled(self.module)
        shared = adopt(module, self.fidelities[0]).backbone
        assert isinstance(shared, MaceBackbone)  # noqa: S101 - adopt makes no other
        readouts = [module.readouts, *(self.settled(own) for own in self.readouts)]
        surfaces = {}
        for index, name in enumerate(self.fidelities):
            readout = self._readout(readouts[index % len(readouts)], index, shared)
            surfaces[name] = Surface(readout, self.references[name])  # in float64, not in the module's type
        if not self._sites:
            return ReadoutPotential(shared, surfaces)
        before = {
            name: {site: vector for site, vector in self.vectors_of(index).items() if not site.startswith("readouts.")}
            for index, name in enumerate(self.fidelities)
        }
        return ReadoutPotential(ConditionedMaceBackbone(module, shared.head, conditions=moved_to(before)), surfaces)

    def settled(self, part: torch.nn.Module) -> torch.nn.Module:
        """Return a copy of a part of this model, of mace's and e3nn's classes only."""
        copied = copy_model(part)
        copied.zero_grad(set_to_none=True)
        return copied

    def parts(self) -> Parts:
        """Return copies of what this model is made of."""
        copies = [self.settled(own) for own in self.readouts]
        return Parts(
            self.settled(self.module),
            self.references,
            conditions={name: self.vectors_of(index) for index, name in enumerate(self.fidelities) if self._sites},
            readouts=dict(zip(self.fidelities[1:], copies, strict=False)),
            scales={
                name: (scale, shift)
                for name, (scale, shift) in zip(self.fidelities, self._scales.tolist(), strict=True)
            },
        )

    def _readout(self, modules: Any, index: int, backbone: MaceBackbone) -> Readout:
        scale, shift = self._scales[index].tolist()
        readout = readout_from(modules, 0, backbone.layout, (scale, shift))
        added = self.vectors_of(index)
        blocks = tuple(_biased(block, added.get(f"{block.name}.linear_1")) for block in readout.blocks)
        return replace(readout, blocks=blocks)


class AdaptedMace(TrainableMace):
    """A model of which only mace-torch's own low-rank adapters move, one at every linear layer.

    An adapter adds the product of two thin factors to a weight (LoRA: Hu et al., arXiv:2106.09685); that of an
    equivariant layer has thin factors for each irreducible representation. One factor starts at zero, so nothing is
    added at first, and in the end the product is added to the weight for good.
    """

    def __init__(self, model: TrainableMace, *, rank: int, alpha: float, seed: int) -> None:
        super().__init__(model.parts())
        with building(self.dtype):
            torch.manual_seed(seed)
            lora.inject_LoRAs(self, rank=rank, alpha=alpha)
        self.train(model.training)

    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""
        # without gradients mace-torch would keep merged weights, which a later step makes stale
        with torch.enable_grad():
            energies = super().interaction(batch)
        return energies if torch.is_grad_enabled() else energies.detach()

    def settled(self, part: torch.nn.Module) -> torch.nn.Module:
        """Return a copy of a part of this model, its adapters merged into its weights."""
        copied = super().settled(part)
        bases: list[Any] = [layer.base for layer in copied.modules() if isinstance(layer, lora.LoRAO3Linear)]
        paths = [base.instructions for base in bases]
        for base in bases:  # mace-torch takes the path of a bias for one of weights
            base.instructions = [path for path in base.instructions if path.i_in >= 0]
        lora.merge_lora_weights(copied)
        for base, instructions in zip(bases, paths, strict=True):
            base.instructions = instructions
        return copied


def _biased(block: ReadoutBlock, vector: Tensor | None) -> ReadoutBlock:
    """Return the block with ``vector`` added to what enters its first hidden layer."""
    if vector is None:
        return block
    first, *others = block.layers
    bias = first.bias + vector.detach().double().cpu().numpy()
    return replace(block, layers=(replace(first, bias=bias), *others))


def _key(site: str) -> str:
    return site.replace(".", "-")  # torch allows no dots in the name of a parameter


def _choosing(others: list[Any], fidelity: Tensor) -> Hook:
    """Return a hook by which a readout gives each atom the energy that the readout of its own fidelity says."""

    def choose(_module: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        said = torch.cat([out, *(block(inputs[0], None) for block in others)], dim=1)
        return said.gather(1, fidelity[:, None])

    return choose


def _refuse_own_scales(model: Any, scales: set[float]) -> None:
    if not hasattr(model, "scale_shift"):
        raise ModelError("The fidelities have scales or shifts of their own, which a model of the class MACE has not.")
    if hasattr(model, "pair_repulsion") and len(scales) > 1:
        raise ModelError(
            "The fidelities have scales of their own, but MACE multiplies pair repulsion by the scale: give "
            "all of them the same."
        )
