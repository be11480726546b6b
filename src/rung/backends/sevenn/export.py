"""Writing one fidelity of a potential as a checkpoint of SevenNet, without modalities."""

import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from rung.backends.sevenn.backbone import SevenNetBackbone
from rung.backends.sevenn.description import Description
from rung.backends.sevenn.readouts import NAME, weights_of, write_weights
from rung.backends.sevenn.rebuild import HIDDEN, OUT, SURFACE, build, state_of
from rung.data.elements import symbols
from rung.errors import ModelError
from rung.model.potential import ReadoutPotential, Surface
from rung.storage import atomic_path


def export(potential: ReadoutPotential, fidelity: str, path: Path) -> None:
    """Write one fidelity to ``path`` as a checkpoint that SevenNet's own tools load.

    A model that differs by fidelity is folded to this one first: a modality added to a file could hold no readout of
    its own, for what a modality adds to SevenNet's readout is a constant for each atom.
    """
    content = native_checkpoint(potential, fidelity)
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def native_checkpoint(potential: ReadoutPotential, fidelity: str) -> dict[str, Any]:
    """Return one fidelity as the content of a checkpoint; what a fit left alone keeps every bit.

    Raises
    ------
    ModelError
        When the surface has something that no SevenNet model can hold.
    """
    potential = potential.at(fidelity)
    backbone, surface = potential.backbone, potential.surface(fidelity)
    if not isinstance(backbone, SevenNetBackbone):
        raise ModelError(f"A {type(backbone).__name__} is not SevenNet, so it cannot be written as a checkpoint of it.")
    _refuse_other_shape(backbone, surface)
    description = backbone.description
    model = build(description, state_of(backbone.module))
    write_weights(model, surface.readout.weights)
    scale, shift = _scale_and_shift(backbone, surface)
    state = state_of(model)
    type_of = next(iter(state.values())).dtype
    state[f"{SURFACE}shift"], state[f"{SURFACE}scale"] = (
        torch.tensor(values, dtype=type_of) for values in (shift, scale)
    )
    return {
        "model_state_dict": state,
        "optimizer_state_dict": {},
        "scheduler_state_dict": {},
        "config": _config(description, state, scale, shift),
        "epoch": 0,
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "hash": uuid.uuid4().hex,
    }


def _refuse_other_shape(backbone: SevenNetBackbone, surface: Surface) -> None:
    """Raise where the readout is not one linear map of all features."""
    weights, _ = weights_of(backbone.module.get_submodule(HIDDEN), backbone.module.get_submodule(OUT))
    (first, *others) = surface.readout.blocks
    same = first.name == NAME and first.columns == tuple(range(len(weights))) and not first.layers
    if others or not same:
        raise ModelError(
            "The readout has other blocks or features than the SevenNet model it came from, so no checkpoint of "
            "SevenNet can hold it; RungCalculator runs it."
        )


def _scale_and_shift(backbone: SevenNetBackbone, surface: Surface) -> tuple[list[float], list[float]]:
    """Return scale and shift by element, in the model's order."""
    energies, readout, elements = surface.reference.energies, surface.readout, backbone.description.elements
    missing = sorted(set(elements) - set(energies))
    if missing:
        raise ModelError(
            f"There is no reference energy for {symbols(missing)}, which the SevenNet model knows, so a "
            "checkpoint would be wrong for them."
        )
    factors = np.array(backbone.element_scales or [1.0] * len(elements))
    constant = readout.scale * readout.blocks[0].bias * np.ones(len(elements)) + readout.shift
    shift = np.array([energies[number] for number in elements]) + constant
    return (readout.scale * factors).tolist(), shift.tolist()


def _config(
    description: Description, state: dict[str, torch.Tensor], scale: list[float], shift: list[float]
) -> dict[str, Any]:
    """Return a config that SevenNet's calculator, ``sevenn get_model`` and its continued training read."""
    layers = range(description.num_convolution_layer)
    denominators = [float(state[f"{layer}_convolution.denominator"][0]) for layer in layers]
    return {
        "version": version("sevenn"),
        **description.config(),
        "chemical_species": [chemical_symbols[number] for number in description.elements],
        "_chemical_species_by_atomic_number": list(description.elements),
        "conv_denominator": denominators,
        "scale": scale,
        "shift": shift,
        "dtype": "single",
    }
