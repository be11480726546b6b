"""Models to train: new ones, and those that start from the surfaces of a potential."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rung.backends.fidelity_vectors import width_of
from rung.backends.mace.backbone import copy_model
from rung.backends.mace.build import new_model
from rung.backends.mace.conditioned import ConditionedMaceBackbone
from rung.backends.mace.export import native_model
from rung.backends.mace.extract import scale_shift_of
from rung.backends.mace.module import Parts, TrainableMace
from rung.backends.mace.rebuild import relinear
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.mace.sites import backbone_sites, readout_sites
from rung.errors import ModelError
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import Readout
from rung.model.reference import ReferenceEnergies

Vectors = dict[str, Tensor]


def build_trainable(
    architecture: MaceArchitecture,
    *,
    references: Mapping[str, ReferenceEnergies],
    elements: Sequence[int],
    avg_num_neighbors: float,
    scales: Mapping[str, tuple[float, float]],
    seed: int,
    dtype: torch.dtype,
    conditioning: Conditioning,
) -> TrainableMace:
    """Return a new model; see :func:`rung.backends.training.build_trainable`."""
    names = tuple(references)
    scale, shift = scales[names[0]]
    module = new_model(
        architecture,
        elements=elements,
        avg_num_neighbors=avg_num_neighbors,
        scale=scale,
        shift=shift,
        seed=seed,
        dtype=dtype,
    )
    return TrainableMace(
        Parts(
            module,
            references,
            conditions=_zeros(module, names, conditioning),
            readouts={name: _readouts(copy_model(module)) for name in names[1:] if conditioning == "readouts"},
            scales={name: scales[name] for name in names},
        )
    )


def trainable(potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning) -> TrainableMace:
    """Return a model that starts from surfaces of ``potential``; see :func:`rung.backends.training.trainable`."""
    surfaces = {name: potential.surface(source) for name, source in start.items()}
    references = {name: surface.reference for name, surface in surfaces.items()}
    scales = {name: (surface.readout.scale, surface.readout.shift) for name, surface in surfaces.items()}
    sources = tuple(dict.fromkeys(start.values()))
    if conditioning == "readouts":
        _refuse_other_features(potential, sources)
        modules = {name: native_model(potential, source) for name, source in start.items()}
        first, *others = modules
        readouts = {name: _readouts(modules[name]) for name in others}
        return TrainableMace(Parts(modules[first], references, readouts=readouts, scales=_held(modules)))
    _refuse_other_readouts(potential, sources, conditioning)
    if conditioning == "shared":
        _refuse_other_features(potential, sources)
        return TrainableMace(Parts(native_model(potential, sources[0]), references, scales=scales))
    module, conditions = _conditioned(potential, start, conditioning)
    return TrainableMace(Parts(module, references, conditions=conditions, scales=scales))


def _held(modules: Mapping[str, torch.nn.Module]) -> dict[str, tuple[float, float]]:
    return {name: scale_shift_of(module, 0) for name, module in modules.items()}


def _readouts(model: torch.nn.Module) -> torch.nn.ModuleList:
    found = model.get_submodule("readouts")
    assert isinstance(found, torch.nn.ModuleList)  # noqa: S101 - mace has no other
    return found


def _zeros(module: torch.nn.Module, names: Sequence[str], conditioning: Conditioning) -> dict[str, Vectors]:
    sites = (*backbone_sites(module, conditioning), *readout_sites(module, conditioning))
    like = next(module.parameters())
    return {name: {site: like.new_zeros(width_of(module, site)) for site in sites} for name in names if sites}


def _conditioned(
    potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
) -> tuple[torch.nn.Module, dict[str, Vectors]]:
    """Return what the fidelities share, and what each of them adds at first: what its surface adds already."""
    backbone = potential.backbone
    sources = tuple(dict.fromkeys(start.values()))
    added: Mapping[str, Mapping[str, Tensor]] = {}
    if isinstance(backbone, ConditionedMaceBackbone):
        sites = set(next(iter(backbone.conditions.values())))
        if sites <= set(backbone_sites(backbone.module, conditioning)):
            added, backbone = backbone.conditions, backbone.shared
        else:
            _refuse_other_features(potential, sources)
            backbone = backbone.at(sources[0])
    surface = potential.surface(sources[0])
    if conditioning == "all":
        surface = replace(surface, readout=_without_hidden_bias(surface.readout))
    module = native_model(ReadoutPotential(backbone, {"shared": surface}), "shared")
    conditions = _zeros(module, tuple(start), conditioning)
    for name, source in start.items():
        vectors = conditions[name]
        for site, vector in added.get(source, {}).items():
            vectors[site] = vector.detach().clone().to(vectors[site])
        readout = potential.surface(source).readout
        for site in readout_sites(module, conditioning):
            block = next(block for block in readout.blocks if site == f"{block.name}.linear_1")
            vectors[site] = torch.tensor(block.layers[0].bias).to(vectors[site])
    for site in readout_sites(module, conditioning):  # each fidelity has its own now: no second one beside them
        module.set_submodule(site, relinear(module.get_submodule(site), biases=False))
    return module, conditions


def _without_hidden_bias(readout: Readout) -> Readout:
    """Return the readout with the bias of each first hidden layer at zero."""
    return replace(
        readout,
        blocks=tuple(
            replace(
                block,
                layers=tuple(replace(la, bias=np.zeros_like(la.bias)) for la in block.layers[:1]) + block.layers[1:],
            )
            for block in readout.blocks
        ),
    )


def _refuse_other_features(potential: ReadoutPotential, sources: tuple[str, ...]) -> None:
    if len(sources) > 1 and potential.backbone.conditioned:
        raise ModelError(
            f"The fidelities {', '.join(sources)} of this base differ before the readout, so they cannot start from it "
            "and share a backbone: let all start from one of them, or condition the model as the base is."
        )


def _refuse_other_readouts(potential: ReadoutPotential, sources: tuple[str, ...], conditioning: Conditioning) -> None:
    first, *others = (_shared_part(potential.surface(source), conditioning) for source in sources)
    if any(other != first for other in others):
        raise ModelError(
            f"The fidelities {', '.join(sources)} of this base have readouts of their own, so they cannot share one: "
            "let all start from one of them, or let each have its own (conditioning 'readouts')."
        )


def _shared_part(surface: Surface, conditioning: Conditioning) -> tuple[object, ...]:
    """Return what fidelities that share a readout must agree in."""
    readout = _without_hidden_bias(surface.readout) if conditioning == "all" else surface.readout
    return tuple(
        (
            block.columns,
            tuple((la.weight.tolist(), la.bias.tolist(), la.activation, la.gain) for la in block.layers),
            block.weights.tolist(),
            block.bias,
        )
        for block in readout.blocks
    )
