"""A small trainable model in plain torch: what the trainer does to weights shows in it as in any other, and faster."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.fit.toy_surface import REFERENCE

CUTOFF = 3.5


class ToyTrainable(TrainablePotential):
    """Sums of Gaussians of distances, one set per neighbour's element, through one hidden layer."""

    def __init__(self, seed: int = 0, references: Mapping[str, ReferenceEnergies] | None = None) -> None:
        numbers = sorted(REFERENCE)
        super().__init__(references or {"low": ReferenceEnergies(REFERENCE)}, frozenset(numbers), CUTOFF)
        self.numbers = torch.tensor(numbers)
        self.centres = torch.linspace(0.7, 3.0, 8)
        generator = torch.Generator().manual_seed(seed)
        self.inner = torch.nn.Parameter(0.4 * torch.randn(27, 12, generator=generator, dtype=torch.float64))
        self.outer = torch.nn.Parameter(0.4 * torch.randn(12, generator=generator, dtype=torch.float64))

    def interaction(self, batch: Batch) -> Tensor:
        return self.hidden(batch) @ self.outer

    def hidden(self, batch: Batch) -> Tensor:
        sender, receiver = batch.edges
        distance = torch.linalg.norm(batch.edge_vectors(), dim=1)
        smooth = torch.exp(-8.0 * (distance[:, None] - self.centres.to(distance)) ** 2)
        smooth = smooth * (1.0 - (distance / CUTOFF) ** 2).square()[:, None]
        kind = (batch.numbers[:, None] == self.numbers.to(batch.numbers.device)).to(distance.dtype)
        found = distance.new_zeros(len(batch.numbers), 3, 8)
        found = found.index_add(0, receiver, kind[sender][:, :, None] * smooth[:, None, :])
        features = torch.cat([found.flatten(1), kind], dim=1)
        return torch.tanh(features @ self.inner)

    def frozen(self) -> ReadoutPotential:
        raise NotImplementedError("no test freezes this model")


class ToyJoint(ToyTrainable):
    """The same with a last layer for each fidelity."""

    def __init__(self, references: Mapping[str, ReferenceEnergies], seed: int = 0) -> None:
        super().__init__(seed, references)
        factors = 1.0 + 0.1 * torch.arange(len(references), dtype=torch.float64)
        self.outer = torch.nn.Parameter(factors[:, None] * self.outer.detach())

    def interaction(self, batch: Batch) -> Tensor:
        fidelity = self.fidelity_of_atoms(batch)
        return (self.hidden(batch) * self.outer[fidelity]).sum(dim=1)
