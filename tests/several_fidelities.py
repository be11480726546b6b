"""Potentials of the fidelities ``low`` and ``high`` in which everything that a fidelity may have of its own differs."""

from functools import cache

import numpy as np
import torch

from rung.backends.training import trainable, with_lora
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.trainable import TrainablePotential

CONDITIONINGS: tuple[Conditioning, ...] = ("shared", "readouts", "embedding", "all")


def stirred(model: TrainablePotential, names: set[str], size: float = 0.2, seed: int = 0) -> None:
    """Add normal numbers to some parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in names:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(size * noise.to(parameter))


def own(model: TrainablePotential, *fidelities: str) -> set[str]:
    """Return the names of the parameters that belong to one of the fidelities alone."""
    return {name for fidelity in fidelities for name in model.parameters_of(fidelity)}


def different_references(model: TrainablePotential) -> None:
    """Move the reference energies of ``high`` by another amount for each element."""
    high = model.references["high"]
    step = 0.5 + 0.25 * np.arange(len(high.elements))
    model.set_references({**model.references, "high": high.moved(high.elements, step)})


def trained(conditioning: Conditioning, **options: object) -> TrainablePotential:
    """Return a model of ``low`` and ``high`` in which what each has of its own is no longer zero or a copy."""
    from rung.backends.mace import wrap
    from tests.mace_models import tiny_mace

    model = trainable(wrap(tiny_mace(**options), "low"), {"low": "low", "high": "low"}, conditioning)
    stirred(model, own(model, "low", "high"))
    different_references(model)
    return model


@cache
def several(conditioning: Conditioning, options: tuple[tuple[str, object], ...] = ()) -> ReadoutPotential:
    """Return :func:`trained` as a frozen potential."""
    return trained(conditioning, **dict(options)).frozen()


@cache
def merged() -> ReadoutPotential:
    """Return a potential whose adapters have moved and are merged, with a readout for each fidelity."""
    model = with_lora(trained("readouts"), rank=2, alpha=4.0)
    stirred(model, {name for name, parameter in model.named_parameters() if parameter.requires_grad})
    return model.frozen()
