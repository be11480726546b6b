"""A SevenNet model whose weights move, at one fidelity or several."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from rung.backends.fidelity_vectors import Vectors, adding, hooked, moved_to
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.blocks import blocks_of, layer_of
from rung.backends.sevenn.conditioned import ConditionedSevenNetBackbone
from rung.backends.sevenn.readouts import readout_of, weights_of
from rung.backends.sevenn.rebuild import HIDDEN, OUT, build, state_of
from rung.data.batch import Batch
from rung.fidelity import require_fidelity
from rung.model.potential import ReadoutPotential, Surface
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential

_STILL = ("denominator",)
_NO_PART = ("rescale_atomic_energy.",)
"""Parameters that SevenNet itself does not train unless it is told to; and those of a surface, held beside the model.
"""


@dataclass(frozen=True)
class Parts:
    """What a model in training is made of; the object that is given it owns it from then on.

    Parameters
    ----------
    backbone
        A SevenNet model that is not conditioned, with the readout of the first fidelity in it.
    references
        Reference energies by fidelity, eV; the order is that of the fidelities.
    scales
        Scale and shift (eV per atom) of each fidelity.
    conditions
        What each fidelity adds at layers of the model, by fidelity and site; empty where they add nothing.
    readouts
        The two linear layers of fidelities other than the first, where they have readouts of their own, else empty.
    """

    backbone: SevenNetBackbone
    references: Mapping[str, ReferenceEnergies]
    scales: Mapping[str, tuple[float, float]]
    conditions: Mapping[str, Vectors] = field(default_factory=dict)
    readouts: Mapping[str, torch.nn.ModuleList] = field(default_factory=dict)


class TrainableSevenNet(TrainablePotential):
    """A SevenNet model in training.

    Constants of the readout are no weights here: reference energies hold them. So both layers of the readout keep
    biases of zero, where they have any.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.references, parts.backbone.elements, parts.backbone.cutoff)
        self._like = parts.backbone
        self.module: torch.nn.Module = parts.backbone.module
        self._sites = tuple(next(iter(parts.conditions.values()), {}))
        self.conditions = torch.nn.ModuleList(
            torch.nn.ParameterDict(
                {_key(site): torch.nn.Parameter(vectors[site].detach().clone()) for site in self._sites}
            )
            for vectors in (parts.conditions[name] for name in self.fidelities if parts.conditions)
        )
        self.readouts = torch.nn.ModuleList(parts.readouts[name] for name in self.fidelities[1:] if parts.readouts)
        scales = torch.tensor([parts.scales[name] for name in self.fidelities], dtype=torch.float64)
        self._scales = scales
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(_moves(name, parameter))

    def parameters_of(self, fidelity: str) -> tuple[str, ...]:
        """Return the names of the parameters that only the rows of one fidelity use; none where it shares all."""
        index = self.fidelities.index(require_fidelity(fidelity, self.fidelities))
        own = [f"conditions.{index}."] if self._sites else []
        if len(self.readouts):
            own += ["module.reduce_"] if index == 0 else [f"readouts.{index - 1}."]
        return tuple(name for name, _ in self._moving() if name.startswith(tuple(own)))

    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Return the parts of a SevenNet model that may be chosen to move, from the output inwards."""
        return blocks_of(tuple(name for name, _ in self._moving()))

    def layer_of(self, parameter: str) -> str:
        """Return the layer of a parameter."""
        return layer_of(parameter)

    def _moving(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, parameter) for name, parameter in self.named_parameters() if _moves(name, parameter)]

    def vectors_of(self, index: int) -> dict[str, Tensor]:
        """Return what the fidelity of an index adds, by site."""
        if not self._sites:
            return {}
        held: Any = self.conditions[index]
        return {site: held[_key(site)] for site in self._sites}

    def interaction(self, batch: Batch) -> Tensor:
        """Return each atom's energy without its reference energy, eV, shape ``(N,)``."""
        fidelity = self.fidelity_of_atoms(batch)
        backbone = replace(self._like, module=self.module)
        added = [self.vectors_of(index) for index in range(len(self.fidelities))] if self._sites else []
        with hooked(adding(self.module, added, fidelity) if added else []):
            features = backbone.run(batch)
        said = torch.cat([out(hidden(features)) for hidden, out in self._layers()], dim=1)
        chosen = said.gather(1, fidelity[:, None])[:, 0] if len(self.readouts) else said[:, 0]
        scale, shift = self._scales.to(chosen)[fidelity].T
        return scale * chosen + shift

    def _layers(self) -> list[tuple[Any, Any]]:
        """Return the two layers of each readout: one that all share, or one for each fidelity."""
        others: list[Any] = list(self.readouts)
        first = (self.module.get_submodule(HIDDEN), self.module.get_submodule(OUT))
        return [first, *((own[0], own[1]) for own in others)]

    def frozen(self) -> ReadoutPotential:
        """Return the potential as it stands, sharing no tensor with this module."""
        like = self._like
        module = build(like.description, state_of(self.module)).to(self.device)
        shared = SevenNetBackbone(module, like.description, like.element_scales, like.stored)
        readouts = [weights_of(hidden, out)[0] for hidden, out in self._layers()]
        surfaces = {}
        for index, name in enumerate(self.fidelities):
            scale, shift = self._scales[index].tolist()
            surfaces[name] = Surface(readout_of(readouts[index % len(readouts)], scale, shift), self.references[name])
        if not self._sites:
            return ReadoutPotential(shared, surfaces)
        conditions = moved_to({name: self.vectors_of(index) for index, name in enumerate(self.fidelities)})
        backbone = ConditionedSevenNetBackbone(
            module, like.description, like.element_scales, like.stored, conditions=conditions
        )
        return ReadoutPotential(backbone, surfaces)


def _moves(name: str, parameter: Tensor) -> bool:
    """Whether a parameter may move: e3nn keeps empty ones, and the readout's constants belong to E0."""
    of_module = name.removeprefix("module.")
    constant = of_module.startswith(("reduce_", "readouts.")) and name.endswith(".bias")
    return bool(parameter.numel()) and not constant and not name.endswith(_STILL) and not of_module.startswith(_NO_PART)


def _key(site: str) -> str:
    return site.replace(".", "-")  # torch allows no dots in the name of a parameter
