"""The loss of the trainer: averages over what is labelled, and nothing else.

Three terms, each a mean over its labels: energies per atom (eV/atom), components of forces (eV/Å), components of
stress (eV/Å³). With residual r of an energy per atom, σ its label's error per atom and σ0 the ``energy_floor``, the
energy term is the mean of ``shape(r · √w)`` with ``w = σ0² / (σ² + σ0²)``: a label without error has weight 1 and
one with σ ≫ σ0 has σ0²/σ². The mean divides by the number of labels, not by the sum of weights, so that noisy energies
also weigh less against forces: up to the constant σ0² this is the Gaussian log-likelihood of labels with variance
σ² + σ0². Forces take their errors in the same way with ``forces_floor``.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from rung.data.batch import Batch
from rung.model.protocols import Prediction
from rung.settings import Settings

TERMS = ("energy", "forces", "stress")


class Squared(Settings):
    """The square of a residual."""

    name: Literal["squared"] = "squared"

    def __call__(self, residual: Tensor) -> Tensor:
        """Return ``r²``."""
        return residual.square()


class Huber(Settings):
    """The square of a residual up to a length, then linear (Huber, Ann. Math. Stat. 35, 73 (1964)).

    It is twice Huber's own function, so that small residuals count as in ``squared``.
    """

    name: Literal["huber"] = "huber"
    delta: float = Field(default=0.05, gt=0)
    """Where the square ends: eV/atom, eV/Å or eV/Å³, after weighting by errors."""

    def __call__(self, residual: Tensor) -> Tensor:
        """Return ``r²`` below ``delta`` and ``2 δ|r| − δ²`` beyond."""
        return 2.0 * torch.nn.functional.huber_loss(
            residual, torch.zeros_like(residual), reduction="none", delta=self.delta
        )


Shape = Annotated[Squared | Huber, Field(discriminator="name")]


class LossSettings(Settings):
    """Weights and shapes of the terms."""

    energy_weight: float = Field(default=10.0, ge=0)
    """Weight of the mean over energies per atom."""
    forces_weight: float = Field(default=100.0, ge=0)
    """Weight of the mean over force components."""
    stress_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean over stress components."""
    energy_floor: float = Field(default=0.005, gt=0)
    """σ0, eV/atom: the error of an energy below which a label's own error no longer matters."""
    forces_floor: float = Field(default=0.05, gt=0)
    """The same for a force component, eV/Å."""
    energy_shape: Shape = Squared()
    """How an energy's residual counts."""
    forces_shape: Shape = Squared()
    """How a force component's residual counts."""
    stress_shape: Shape = Squared()
    """How a stress component's residual counts."""


@dataclass(frozen=True)
class LossSums:
    """Sums and counts of the three terms, each of shape ``(3,)``, float64; both add over batches and processes."""

    sums: Tensor
    counts: Tensor

    def __add__(self, other: "LossSums") -> "LossSums":
        """Return the sums over both."""
        return LossSums(self.sums + other.sums, self.counts + other.counts)


def loss_sums(prediction: Prediction, batch: Batch, settings: LossSettings) -> LossSums:
    """Return the sum of each term over its labels, and how many labels there are.

    A term whose prediction was not asked for counts nothing.
    """
    zero = torch.zeros((), dtype=torch.float64, device=batch.energy.device)
    energy, n_energy = _energy(prediction, batch, settings)
    forces, n_forces = _forces(prediction, batch, settings) if prediction.forces is not None else (zero, zero)
    stress, n_stress = _stress(prediction, batch, settings) if prediction.stress is not None else (zero, zero)
    return LossSums(torch.stack([energy, forces, stress]), torch.stack([n_energy, n_forces, n_stress]))


def total(sums: LossSums, settings: LossSettings) -> Tensor:
    """Return the weighted sum of the averages; a term without labels adds nothing."""
    weights = torch.tensor(
        [settings.energy_weight, settings.forces_weight, settings.stress_weight],
        dtype=torch.float64,
        device=sums.sums.device,
    )
    return (weights * sums.sums / sums.counts.clamp(min=1.0)).sum()


def _energy(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    n_atoms = batch.n_atoms.double()
    labelled = torch.isfinite(batch.energy)
    residual = _residual(prediction.energy.double(), batch.energy.double(), labelled) / n_atoms
    weight = _weight(batch.energy_stderr.double() / n_atoms, settings.energy_floor)
    return _sum(settings.energy_shape(residual * weight.sqrt()), labelled)


def _forces(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    assert prediction.forces is not None  # noqa: S101 - the caller asks first
    labelled = torch.isfinite(batch.forces)
    residual = _residual(prediction.forces, batch.forces, labelled)
    if batch.forces_stderr is not None:
        residual = residual * _weight(batch.forces_stderr, settings.forces_floor).sqrt()
    return _sum(settings.forces_shape(residual), labelled)


def _stress(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    assert prediction.stress is not None  # noqa: S101 - the caller asks first
    # a row without volume has no stress to predict, whatever its label says
    labelled = torch.isfinite(batch.stress) & ~torch.isnan(prediction.stress.detach())
    residual = _residual(prediction.stress, batch.stress, labelled)
    return _sum(settings.stress_shape(residual), labelled)


def _residual(predicted: Tensor, label: Tensor, labelled: Tensor) -> Tensor:
    """Return prediction less label, and zero where there is no label.

    What is absent is replaced before the subtraction: a NaN masked afterwards would still poison gradients.
    """
    return torch.where(labelled, predicted, 0.0) - torch.where(labelled, label, 0.0)


def _weight(stderr: Tensor, floor: float) -> Tensor:
    return floor**2 / (torch.nan_to_num(stderr, nan=0.0).square() + floor**2)


def _sum(values: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    return values.double().sum(), labelled.sum().double()
