"""SevenNet models to train, from the surfaces of a potential."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from rung.backends.fidelity_vectors import Vectors, width_of
from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.conditioned import ConditionedSevenNetBackbone
from rung.backends.sevenn.modalities import backbone_sites
from rung.backends.sevenn.module import Parts, TrainableSevenNet
from rung.backends.sevenn.readouts import write_weights
from rung.backends.sevenn.rebuild import HIDDEN, OUT, build, state_of
from rung.errors import ModelError
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential, Surface
from rung.model.reference import ReferenceEnergies


def trainable(potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning) -> TrainableSevenNet:
    """Return a model that starts from surfaces of ``potential``; see :func:`rung.backends.training.trainable`."""
    surfaces = {name: potential.surface(source) for name, source in start.items()}
    sources = tuple(dict.fromkeys(start.values()))
    backbone, conditions = _backbone(potential, start, conditioning)
    first, *others = surfaces
    backbone = _with_readout(backbone, surfaces[first])
    readouts: dict[str, torch.nn.ModuleList] = {}
    if conditioning == "readouts":
        for name in others:
            own = _with_readout(backbone, surfaces[name]).module
            readouts[name] = torch.nn.ModuleList([own.get_submodule(HIDDEN), own.get_submodule(OUT)])
    else:
        _refuse_other_readouts(potential, sources)
    return TrainableSevenNet(
        Parts(
            backbone,
            references={name: _reference(surface) for name, surface in surfaces.items()},
            scales={name: (surface.readout.scale, surface.readout.shift) for name, surface in surfaces.items()},
            conditions=conditions,
            readouts=readouts,
        )
    )


def _backbone(
    potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning
) -> tuple[SevenNetBackbone, dict[str, Vectors]]:
    """Return what the fidelities share, and what each of them adds at first: what its surface adds already."""
    backbone = potential.backbone
    if not isinstance(backbone, SevenNetBackbone):
        raise ModelError(f"A {type(backbone).__name__} is not SevenNet.")
    sources = tuple(dict.fromkeys(start.values()))
    sites = backbone_sites(backbone.description, conditioning)
    added: Mapping[str, Vectors] = {}
    if isinstance(backbone, ConditionedSevenNetBackbone):
        if set(next(iter(backbone.conditions.values()))) <= set(sites):
            added, backbone = backbone.conditions, backbone.shared
        else:
            _refuse_other_features(sources)
            backbone = backbone.at(sources[0])
    if not sites:
        return backbone, {}
    like = next(backbone.module.parameters())
    zeros = {site: like.new_zeros(width_of(backbone.module, site)) for site in sites}
    conditions = {name: {**copy.deepcopy(zeros), **added.get(source, {})} for name, source in start.items()}
    return backbone, dict(conditions)


def _with_readout(backbone: SevenNetBackbone, surface: Surface) -> SevenNetBackbone:
    """Return a copy of a backbone whose model has the readout of a surface."""
    module = build(backbone.description, state_of(backbone.module)).to(backbone.device)
    _refuse_other_shape(surface)
    write_weights(module, surface.readout.weights)
    return replace(backbone, module=module)


def _reference(surface: Surface) -> ReferenceEnergies:
    """Return reference energies with the constant of the readout in them."""
    constant = surface.readout.scale * surface.readout.blocks[0].bias
    if constant == 0.0:
        return surface.reference
    return ReferenceEnergies({number: energy + constant for number, energy in surface.reference.energies.items()})


def _refuse_other_shape(surface: Surface) -> None:
    block, *others = surface.readout.blocks
    if others or block.layers or block.columns != tuple(range(len(block.columns))):
        raise ModelError(
            "The readout has other blocks or features than the SevenNet model it came from, so its weights cannot be "
            "trained on; fit its readout again from the base."
        )


def _refuse_other_features(sources: Sequence[str]) -> None:
    if len(sources) > 1:
        raise ModelError(
            f"The fidelities {', '.join(sources)} of this base differ before the readout, so they cannot start from it "
            "and share a backbone: let all start from one of them, or condition the model as the base is (onehot)."
        )


def _refuse_other_readouts(potential: ReadoutPotential, sources: Sequence[str]) -> None:
    first, *others = (potential.surface(source).readout.weights.tolist() for source in sources)
    if any(other != first for other in others):
        raise ModelError(
            f"The fidelities {', '.join(sources)} of this base have readouts of their own, so they cannot share one: "
            "let all start from one of them, or let each have its own (conditioning 'readouts')."
        )
