"""Surfaces as plain data and tensors, which ``torch.load`` reads with ``weights_only=True``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rung.backends.parts import BlockPart, DomainPart, SurfacePart, part_of
from rung.backends.versions import versions
from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.domain import Domain, ElementDomain
from rung.model.potential import Surface
from rung.model.readout import HiddenLayer, Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies


def surface_to_plain(surface: Surface) -> dict[str, Any]:
    """Return a surface as dictionaries, lists, numbers and float64 tensors."""
    readout = surface.readout
    return {
        "scale": float(readout.scale),
        "shift": float(readout.shift),
        "blocks": [_block_to_plain(block) for block in readout.blocks],
        "reference": {int(number): float(energy) for number, energy in surface.reference.energies.items()},
    }


def surface_from_plain(data: Mapping[str, Any]) -> Surface:
    """Return the surface that :func:`surface_to_plain` wrote, bit for bit.

    Raises
    ------
    ModelError
        When the data do not hold what they should: one sentence with the place.
    """
    return surface_of(part_of(SurfacePart, data, "surface"))


def surface_of(part: SurfacePart) -> Surface:
    """Return the surface that a part of a file describes."""
    blocks = tuple(_block_of(block) for block in part.blocks)
    return Surface(Readout(blocks, scale=part.scale, shift=part.shift), ReferenceEnergies(dict(part.reference)))


def domain_to_plain(domain: Domain) -> dict[str, Any]:
    """Return a domain as dictionaries, numbers and tensors; environments stay in single precision."""
    return {
        "elements": {
            int(number): {
                "centre": array_to_plain(element.centre),
                "axes": array_to_plain(element.axes),
                "environments": torch.tensor(element.environments),
            }
            for number, element in domain.elements.items()
        },
        "absorbed": array_to_plain(domain.absorbed),
        "row_axes": array_to_plain(domain.row_axes),
        "leverage_limit": float(domain.leverage_limit),
        "distance_limit": float(domain.distance_limit),
    }


def domain_of(part: DomainPart) -> Domain:
    """Return the domain that a part of a file describes, bit for bit."""
    return Domain(
        {
            number: ElementDomain(one.centre, one.axes, one.environments.astype(np.float32))
            for number, one in part.elements.items()
        },
        part.absorbed,
        part.row_axes,
        leverage_limit=part.leverage_limit,
        distance_limit=part.distance_limit,
    )


def cannot_be_built(kind: str, made: Mapping[str, str], error: Exception) -> ModelError:
    """Return the error of a model that its data do not give back.

    Parameters
    ----------
    kind
        Of the model, for people.
    made
        The versions with which the data were written, by package.
    error
        What went wrong.
    """
    of, here = (", ".join(f"{name} {number}" for name, number in one.items()) for one in (made, versions()))
    reason = " ".join(str(error).split())[:300]
    return ModelError(f"The {kind} model cannot be built again ({reason}); it is of {of}; here are {here}.")


def array_to_plain(array: Array) -> torch.Tensor:
    """Return a float64 tensor that shares nothing with ``array``."""
    return torch.tensor(np.asarray(array, dtype=np.float64))


def array_from_plain(tensor: torch.Tensor) -> Array:
    """Return a float64 array."""
    return np.array(tensor.cpu().numpy(), dtype=np.float64)


def _block_to_plain(block: ReadoutBlock) -> dict[str, Any]:
    return {
        "name": block.name,
        "columns": [int(column) for column in block.columns],
        "layers": [
            {
                "weight": array_to_plain(layer.weight),
                "bias": array_to_plain(layer.bias),
                "activation": layer.activation,
                "gain": float(layer.gain),
            }
            for layer in block.layers
        ],
        "weights": array_to_plain(block.weights),
        "bias": float(block.bias),
        "n_random": int(block.n_random),
    }


def _block_of(part: BlockPart) -> ReadoutBlock:
    layers = tuple(HiddenLayer(one.weight, one.bias, one.activation, one.gain) for one in part.layers)
    return ReadoutBlock(part.name, tuple(part.columns), layers, part.weights, part.bias, part.n_random)
