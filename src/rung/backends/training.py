"""Models to train: new ones, and bases whose weights may move; the engine is imported when one is asked for."""

from collections.abc import Mapping, Sequence

import torch

from rung.backends.registry import named, owner
from rung.errors import ConfigError, ModelError
from rung.model.architecture import Architecture
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential


def build_trainable(
    architecture: Architecture,
    *,
    references: Mapping[str, ReferenceEnergies],
    elements: Sequence[int],
    avg_num_neighbors: float,
    scales: Mapping[str, tuple[float, float]],
    seed: int,
    dtype: torch.dtype,
    conditioning: Conditioning = "shared",
) -> TrainablePotential:
    """Return a new model with random weights, in which all fidelities start equal but for E0, scale and shift.

    Parameters
    ----------
    architecture
        Its shape; ``kind`` names the backend.
    references
        Reference energies of all elements, eV, for each fidelity that it will be trained on.
    elements
        Atomic numbers that it should know.
    avg_num_neighbors
        Mean number of neighbours, by which messages are divided.
    scales
        For each fidelity the factor of the interaction energy, and eV per atom added to it.
    seed
        Of the weights.
    dtype
        Type of the weights.
    conditioning
        What each fidelity has of its own.

    Raises
    ------
    MissingExtraError
        When the backend's package is not installed.
    ModelError
        When scales differ in a model with pair repulsion.
    """
    _require_some(references)
    return named(architecture.kind).build(
        architecture,
        references=references,
        elements=sorted(elements),
        avg_num_neighbors=avg_num_neighbors,
        scales=scales,
        seed=seed,
        dtype=dtype,
        conditioning=conditioning,
    )


def trainable(
    potential: ReadoutPotential, start: Mapping[str, str], conditioning: Conditioning = "shared"
) -> TrainablePotential:
    """Return surfaces of a potential as a module whose weights all move; nothing is shared with the potential.

    Before any step each fidelity says what the surface that it starts from says.

    Parameters
    ----------
    potential
        The base.
    start
        For each fidelity to be trained, in order, the surface of ``potential`` from which it takes weights, scale and
        reference energies: its own where the base offers it.
    conditioning
        What each fidelity has of its own. What a base that is conditioned so already holds of a surface, a fidelity
        that starts from it takes over; over a plain base every fidelity adds zero at first.

    Raises
    ------
    ConfigError
        When the potential does not offer a surface, or no fidelity is named.
    ModelError
        When its backend cannot train, or the surfaces differ in what the fidelities are to share.
    """
    _require_some(start)
    backend = owner(potential.backbone)
    if backend is None:
        raise ModelError(f"A {type(potential.backbone).__name__} cannot be trained: it belongs to no backend.")
    return backend.trainable(potential, start, conditioning)


def with_lora(model: TrainablePotential, *, rank: int, alpha: float, seed: int = 0) -> TrainablePotential:
    """Return a copy of ``model`` whose only moving weights are low-rank adapters (LoRA, Hu et al., arXiv:2106.09685).

    Before any step it says what ``model`` says. :meth:`~rung.model.trainable.TrainablePotential.frozen` merges the
    adapters into the weights, so what comes out is of the same classes and shapes.

    Parameters
    ----------
    model
        Of a backend whose engine has adapters.
    rank
        Of each adapter.
    alpha
        The adapters' product is multiplied by ``alpha / rank``.
    seed
        Of the factors that do not start at zero.

    Raises
    ------
    ModelError
        When the model has no adapters.
    """
    return model.adapted(rank=rank, alpha=alpha, seed=seed)


def _require_some(fidelities: Mapping[str, object]) -> None:
    if not fidelities:
        raise ConfigError("A model to be trained needs the name of at least one fidelity.")
