"""The pair backbone as a backend: the smallest that fulfils the whole protocol, with no engine but torch.

``tests/plugin`` brings it the way in which an installed package brings one. Its file is a dictionary of plain data, as
that of many libraries is, and may hold several heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rung.backends.archive import pickle_start
from rung.backends.plain import array_from_plain, array_to_plain, surface_from_plain, surface_to_plain
from rung.backends.protocol import Backend, Heads
from rung.data.batch import Batch
from rung.errors import ModelError, one_of
from rung.fidelity import require_fidelity
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential, Surface
from rung.model.protocols import Backbone
from rung.model.readout import Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from rung.storage import atomic_path
from tests.pair_backbone import PairBackbone

MOVING = ("embedding", "left", "right", "message")


class PairArchitecture(Architecture):
    """The shape of a new pair model."""

    kind: Literal["pair"] = "pair"
    cutoff: float = 3.0
    n_radial: int = 4
    """Radial functions."""


class TrainablePair(TrainablePotential):
    """The tables of a pair backbone and the last weights of its readouts, of each fidelity's own or shared."""

    def __init__(self, backbone: PairBackbone, surfaces: Mapping[str, Surface], *, own: bool) -> None:
        super().__init__({name: surface.reference for name, surface in surfaces.items()}, backbone.elements, 0.0)
        self.cutoff = backbone.cutoff
        self.backbone, self.surfaces = backbone, dict(surfaces)
        self.tables = torch.nn.ParameterDict({name: _parameter(backbone.tables[name], backbone) for name in MOVING})
        self.readouts = torch.nn.ModuleList(
            torch.nn.ParameterList([_parameter(block.weights, backbone) for block in surface.readout.blocks])
            for surface in (list(surfaces.values()) if own else list(surfaces.values())[:1])
        )

    def interaction(self, batch: Batch) -> Tensor:
        moving = replace(self.backbone, own=dict(self.tables.items()), dtype=self.dtype, device=batch.positions.device)
        features = moving.features(batch)
        energies = torch.stack([self._energies(features, index) for index in range(len(self.fidelities))], dim=1)
        chosen = energies.gather(1, self.fidelity_of_atoms(batch)[:, None])[:, 0]
        return chosen + moving.fixed_energy_of_atoms(batch)

    def _energies(self, features: Tensor, index: int) -> Tensor:
        readout = self.surfaces[self.fidelities[index]].readout
        weights = torch.cat(list(self._weights(index)))
        return readout.basis(features) @ weights + readout.constant

    def _weights(self, index: int) -> torch.nn.ParameterList:
        found = self.readouts[index % len(self.readouts)]
        assert isinstance(found, torch.nn.ParameterList)
        return found

    def frozen(self) -> ReadoutPotential:
        own = {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.tables.items()}
        backbone = replace(self.backbone, own=own, dtype=self.dtype, device=next(self.parameters()).device)
        surfaces = {}
        for index, name in enumerate(self.fidelities):
            readout = self.surfaces[name].readout
            blocks = tuple(
                replace(block, weights=weights.detach().double().cpu().numpy().copy())
                for block, weights in zip(readout.blocks, self._weights(index), strict=True)
            )
            surfaces[name] = Surface(replace(readout, blocks=blocks), self.references[name])
        return ReadoutPotential(backbone, surfaces)

    def parameters_of(self, fidelity: str) -> tuple[str, ...]:
        index = self.fidelities.index(require_fidelity(fidelity, self.fidelities))
        if len(self.readouts) == 1:
            return ()
        return tuple(name for name, _ in self.named_parameters() if name.startswith(f"readouts.{index}."))

    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        every = super().blocks()["all"]
        return {"readouts": tuple(name for name in every if name.startswith("readouts.")), "all": every}


class PairBackend(Backend):
    """Models of the pair backbone."""

    name = "pair"
    reads = "dictionaries of the tests' pair models"
    suffix = ".pair"
    packages = ("numpy",)
    architecture = PairArchitecture
    blocks: Mapping[str, str] = {"readouts": "the last weights", "all": "everything"}

    def detects(self, path: Path) -> bool:
        begins = pickle_start(path)
        return begins is not None and begins.kind == "dict" and begins.strings[:1] == ("pair_model",)

    def load(
        self,
        path: Path,
        *,
        fidelity: str,
        head: Heads,
        trusted: bool,
        dtype: torch.dtype | None,
        device: str,
    ) -> ReadoutPotential:
        content = torch.load(path, map_location="cpu", weights_only=True)
        heads = content["heads"]
        named = head if isinstance(head, Mapping) else {fidelity: head}
        backbone = self.restore(content["pair_model"], dtype=dtype, device=device)
        return ReadoutPotential(
            backbone, {name: surface_from_plain(heads[_head(heads, chosen)]) for name, chosen in named.items()}
        )

    def export(self, potential: ReadoutPotential, fidelity: str, path: Path) -> None:
        if potential.backbone.conditioned:
            raise ModelError("A pair file holds no factors of fidelities.")
        content = {
            "pair_model": self.dump(potential.backbone),
            "heads": {fidelity: surface_to_plain(potential.surface(fidelity))},
        }
        with atomic_path(path) as temporary:
            torch.save(content, temporary)

    def owns(self, backbone: Backbone) -> bool:
        return type(backbone) is PairBackbone  # what a test derives from it is no model of this backend

    def dump(self, backbone: Backbone) -> dict[str, Any]:
        assert isinstance(backbone, PairBackbone)
        plain = {"species": list(backbone.species), "cutoff": backbone.cutoff, "n_radial": backbone.n_radial}
        return {
            **plain,
            "seed": backbone.seed,
            "repulsion": backbone.repulsion,
            "dtype": str(backbone.dtype).removeprefix("torch."),
            "conditioning": dict(backbone.conditioning),
            "own": {name: array_to_plain(np.asarray(table)) for name, table in backbone.own.items()},
        }

    def restore(self, data: Mapping[str, Any], *, dtype: torch.dtype | None, device: str) -> PairBackbone:
        return PairBackbone(
            species=tuple(data["species"]),
            cutoff=data["cutoff"],
            n_radial=data["n_radial"],
            seed=data["seed"],
            repulsion=data["repulsion"],
            dtype=dtype or {"float32": torch.float32, "float64": torch.float64}[data["dtype"]],
            device=torch.device(device),
            conditioning=data["conditioning"],
            own={name: array_from_plain(table) for name, table in data["own"].items()},
        )

    def build(
        self,
        architecture: Architecture,
        *,
        references: Mapping[str, ReferenceEnergies],
        elements: Sequence[int],
        avg_num_neighbors: float,
        scales: Mapping[str, tuple[float, float]],
        seed: int,
        dtype: torch.dtype,
        conditioning: Conditioning,
    ) -> TrainablePair:
        assert isinstance(architecture, PairArchitecture)
        shape = architecture.cutoff, architecture.n_radial
        backbone = PairBackbone(tuple(elements), *shape, seed, dtype, repulsion=0.0)
        size = backbone.n_features
        weights = np.random.default_rng(seed).normal(size=size) / (size * avg_num_neighbors)
        block = ReadoutBlock("readouts.0", tuple(range(size)), (), weights)
        surfaces = {
            name: Surface(Readout((block,), *scales[name]), reference) for name, reference in references.items()
        }
        return TrainablePair(backbone, surfaces, own=_own_readouts(conditioning))

    def trainable(
        self, potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
    ) -> TrainablePair:
        backbone = potential.backbone
        assert isinstance(backbone, PairBackbone)
        if backbone.conditioned:
            raise ModelError("A conditioned pair model cannot be trained.")
        surfaces = {name: potential.surface(source) for name, source in start.items()}
        return TrainablePair(backbone, surfaces, own=_own_readouts(conditioning))


def _parameter(values: Any, backbone: PairBackbone) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.as_tensor(values).clone().to(dtype=backbone.dtype, device=backbone.device))


def _own_readouts(conditioning: Conditioning) -> bool:
    if conditioning in ("embedding", "all"):
        raise ModelError(f"A pair model knows no place for a vector of a fidelity (conditioning {conditioning!r}).")
    return conditioning == "readouts"


def _head(heads: Mapping[str, Any], chosen: str | None) -> str:
    if chosen is None and len(heads) == 1:
        return next(iter(heads))
    if chosen not in heads:
        raise ModelError(one_of(str(chosen), heads, "head"))
    return chosen


BACKEND = PairBackend()
