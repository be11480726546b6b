"""The loss of the trainer: averages over what is labelled, and nothing else.

Three terms, each a mean over its labels: energies per atom (eV/atom), components of forces (eV/Å), components of
stress (eV/Å³). With residual r of an energy per atom, σ its label's error per atom and σ0 the ``energy_floor``, the
energy term is the mean of ``shape(r · √w)`` with ``w = σ0² / (σ² + σ0²)``: a label without error has weight 1 and
one with σ ≫ σ0 has σ0²/σ². The mean divides by the number of labels, not by the sum of weights, so that noisy energies
also weigh less against forces: up to the constant σ0² this is the Gaussian log-likelihood of labels with variance
σ² + σ0². Forces take their errors in the same way with ``forces_floor``.

With several fidelities all of this is done for each of them by itself, ``L = Σ_f w_f L_f``: an average never mixes
fidelities, so their weights mean the same however many labels each has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from rung.data.batch import Batch
from rung.fidelity import require_fidelity
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
    fidelity_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weight of the loss of each fidelity; 1 where a fidelity is not named."""

    def weights_of_terms(self, device: torch.device) -> Tensor:
        """Return the weights of energies, forces and stress, shape ``(3,)``."""
        weights = [self.energy_weight, self.forces_weight, self.stress_weight]
        return torch.tensor(weights, dtype=torch.float64, device=device)

    def weights_of(self, fidelities: Sequence[str]) -> tuple[float, ...]:
        """Return the weight of each of ``fidelities``.

        Raises
        ------
        ConfigError
            When a weight is given for a fidelity that is not among them.
        """
        for name in self.fidelity_weights:
            require_fidelity(name, fidelities)
        return tuple(self.fidelity_weights.get(name, 1.0) for name in fidelities)


@dataclass(frozen=True)
class LossSums:
    """What the averages are made of; adds over batches and processes.

    Parameters
    ----------
    fidelities
        The ``F`` fidelities.
    sums, counts
        Sum of each of the three terms over its labels, and their number, shape ``(F, 3)``, float64.
    """

    fidelities: tuple[str, ...]
    sums: Tensor
    counts: Tensor

    def __add__(self, other: "LossSums") -> "LossSums":
        """Return the sums over both."""
        return LossSums(self.fidelities, self.sums + other.sums, self.counts + other.counts)


def nothing(fidelities: tuple[str, ...], device: torch.device | str = "cpu") -> LossSums:
    """Return the sums over no label."""
    return LossSums(fidelities, *torch.zeros(2, len(fidelities), len(TERMS), dtype=torch.float64, device=device))


def loss_sums(prediction: Prediction, batch: Batch, settings: LossSettings) -> LossSums:
    """Return for each fidelity the sum of each term over its labels, and how many labels there are.

    A term whose prediction was not asked for counts nothing.
    """
    zero = torch.zeros(len(batch.fidelities), dtype=torch.float64, device=batch.energy.device)
    energy = _energy(prediction, batch, settings)
    forces = _forces(prediction, batch, settings) if prediction.forces is not None else (zero, zero)
    stress = _stress(prediction, batch, settings) if prediction.stress is not None else (zero, zero)
    sums, counts = (torch.stack(columns, dim=1) for columns in zip(energy, forces, stress, strict=True))
    return LossSums(batch.fidelities, sums, counts)


def by_fidelity(sums: LossSums, settings: LossSettings, expected: Tensor | None = None) -> Tensor:
    """Return the loss of each fidelity by itself, shape ``(F,)``: the weighted averages of its three terms.

    Parameters
    ----------
    sums
        Of a batch, or of all rows.
    settings
        The weights.
    expected
        What the sums are divided by, shape ``(F, 3)``; by default the number of their labels. See :func:`total`.
    """
    weights = settings.weights_of_terms(sums.sums.device)
    if expected is None:
        return (weights * sums.sums / sums.counts.clamp(min=1.0)).sum(dim=1)
    known = expected > 0
    return (weights * torch.where(known, sums.sums, 0.0) / torch.where(known, expected, 1.0)).sum(dim=1)


def counting(sums: LossSums, settings: LossSettings) -> Tensor:
    """Return whether some label of each fidelity counts by its term's weight, shape ``(F,)``."""
    return ((sums.counts > 0) & (settings.weights_of_terms(sums.counts.device) > 0)).any(dim=1)


def total(sums: LossSums, settings: LossSettings, expected: Tensor | None = None) -> Tensor:
    """Return the weighted sum over fidelities; a term without labels adds nothing.

    Parameters
    ----------
    sums
        Of a batch, or of all rows.
    settings
        The weights.
    expected
        For a batch, how many labels of each fidelity and term one of its length holds on average, shape ``(F, 3)``.
        The sums are divided by it and not by the labels that the batch happens to hold. Otherwise a term that is absent
        from most batches would count as much in the few that it is in as one that is always there, and its weight
        would depend on the size of the batch. So the mean of the loss over the batches of an epoch, each as often as
        it has rows, is the loss of all rows.
    """
    weights = settings.weights_of(sums.fidelities)
    found = by_fidelity(sums, settings, expected)
    return (torch.tensor(weights, dtype=torch.float64, device=found.device) * found).sum()


def _energy(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    n_atoms = batch.n_atoms.double()
    labelled = torch.isfinite(batch.energy)
    residual = _residual(prediction.energy.double(), batch.energy.double(), labelled) / n_atoms
    weight = _weight(batch.energy_stderr.double() / n_atoms, settings.energy_floor)
    return _sum(settings.energy_shape(residual * weight.sqrt()), labelled, batch.fidelity, batch)


def _forces(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    assert prediction.forces is not None  # noqa: S101 - the caller asks first
    labelled = torch.isfinite(batch.forces)
    residual = _residual(prediction.forces, batch.forces, labelled)
    if batch.forces_stderr is not None:
        residual = residual * _weight(batch.forces_stderr, settings.forces_floor).sqrt()
    return _sum(settings.forces_shape(residual), labelled, batch.fidelity[batch.atom_row], batch)


def _stress(prediction: Prediction, batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    assert prediction.stress is not None  # noqa: S101 - the caller asks first
    # a row without volume has no stress to predict, whatever its label says
    labelled = torch.isfinite(batch.stress) & ~torch.isnan(prediction.stress.detach())
    residual = _residual(prediction.stress, batch.stress, labelled)
    return _sum(settings.stress_shape(residual), labelled, batch.fidelity, batch)


def _residual(predicted: Tensor, label: Tensor, labelled: Tensor) -> Tensor:
    """Return prediction less label, and zero where there is no label.

    What is absent is replaced before the subtraction: a NaN masked afterwards would still poison gradients.
    """
    return torch.where(labelled, predicted, 0.0) - torch.where(labelled, label, 0.0)


def _weight(stderr: Tensor, floor: float) -> Tensor:
    return floor**2 / (torch.nan_to_num(stderr, nan=0.0).square() + floor**2)


def _sum(values: Tensor, labelled: Tensor, fidelity: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the sum of ``values`` and the number of labels of each fidelity; ``fidelity`` is that of each row."""
    # a product instead of an indexed addition: graphics cards repeat it to the bit
    member = torch.nn.functional.one_hot(fidelity, len(batch.fidelities)).double().T
    return member @ _per_row(values), member @ _per_row(labelled)


def _per_row(values: Tensor) -> Tensor:
    return values.double().reshape(len(values), -1).sum(dim=1)
