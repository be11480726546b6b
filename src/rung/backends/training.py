"""Models to train: new ones, and bases whose weights may all move; the backend is imported when one is asked for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch

from rung.errors import ModelError
from rung.model.architecture import MaceArchitecture
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential


def build_trainable(
    architecture: MaceArchitecture,
    *,
    fidelity: str,
    elements: Sequence[int],
    reference: ReferenceEnergies,
    avg_num_neighbors: float,
    scale: float,
    shift: float,
    seed: int,
    dtype: torch.dtype,
) -> TrainablePotential:
    """Return a new model with random weights.

    Parameters
    ----------
    architecture
        Its shape; ``kind`` names the backend.
    fidelity
        What it will be trained on.
    elements
        Atomic numbers that it should know.
    reference
        Reference energies of those elements, eV.
    avg_num_neighbors
        Mean number of neighbours, by which messages are divided.
    scale, shift
        Factor of the interaction energy, and eV per atom added to it.
    seed
        Of the weights.
    dtype
        Type of the weights.

    Raises
    ------
    MissingExtraError
        When the backend's package is not installed.
    """
    backend: Any = import_module(f"rung.backends.{architecture.kind}")
    build, module = (import_module(f"{backend.__name__}.{name}") for name in ("build", "module"))
    model = build.new_model(
        architecture,
        elements=sorted(elements),
        avg_num_neighbors=avg_num_neighbors,
        scale=scale,
        shift=shift,
        seed=seed,
        dtype=dtype,
    )
    found: TrainablePotential = module.TrainableMace(model, fidelity, reference)
    return found


def trainable(potential: ReadoutPotential, fidelity: str, target: str) -> TrainablePotential:
    """Return one surface of a potential as a module whose weights all move; nothing is shared with the potential.

    Parameters
    ----------
    potential
        The base.
    fidelity
        Which of its surfaces to start from.
    target
        The name under which it is trained; reference energies start as those of ``fidelity``.

    Raises
    ------
    ConfigError
        When the potential does not offer ``fidelity``.
    ModelError
        When its backend cannot train.
    """
    home = type(potential.backbone).__module__
    if not home.startswith("rung.backends."):
        raise ModelError(f"A potential on a backbone of {home} cannot be trained: it belongs to no backend.")
    module: Any = import_module(".".join([*home.split(".")[:3], "module"]))
    found: TrainablePotential = module.trainable(potential, fidelity, target)
    return found
