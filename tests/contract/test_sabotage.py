"""Each check fails on a potential that breaks what it is there for, by little."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from rung.data.batch import Batch
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Prediction
from tests.contract.checks import CHECKS
from tests.contract.registry import ENTRIES, named

Sabotage = Callable[[Batch, Prediction], Prediction]


@dataclass(frozen=True)
class Sabotaged:
    """A potential whose predictions are altered."""

    honest: ReadoutPotential
    alter: Sabotage

    def __getattr__(self, name: str) -> object:
        return getattr(self.honest, name)

    def predict(self, batch: Batch, *, forces: bool = True, stress: bool = False) -> Prediction:
        return self.alter(batch, self.honest.predict(batch, forces=forces, stress=stress))


def _flipped(batch: Batch, found: Prediction) -> Prediction:
    return replace(found, forces=-found.forces)


def _slightly_long(batch: Batch, found: Prediction) -> Prediction:
    return replace(found, forces=found.forces * (1 + 1e-4))


def _not_turned(batch: Batch, found: Prediction) -> Prediction:
    stretch = torch.tensor([1.0 + 1e-6, 1.0, 1.0], dtype=found.forces.dtype)
    return replace(found, forces=found.forces * stretch)


def _handed(batch: Batch, found: Prediction) -> Prediction:
    """Add the sign of a triple product: what turns but has no mirror image."""
    extra = torch.zeros_like(found.energy)
    for row in range(batch.n_rows):
        vectors = batch.positions[batch.atom_row == row]
        if len(vectors) > 3:
            edges = (vectors[1:4] - vectors[0]).double()
            extra[row] = 1e-6 * torch.linalg.det(edges)
    return replace(found, energy=found.energy + extra)


def _placed(batch: Batch, found: Prediction) -> Prediction:
    where = torch.zeros_like(found.energy).index_add(0, batch.atom_row, batch.positions[:, 0].double())
    return replace(found, energy=found.energy + 1e-8 * where)


def _ordered(batch: Batch, found: Prediction) -> Prediction:
    order = torch.arange(len(batch.numbers), dtype=torch.float64)
    return replace(found, atom_energies=found.atom_energies + 1e-6 * order)


def _crowded(batch: Batch, found: Prediction) -> Prediction:
    return replace(found, energy=found.energy + 1e-6 * batch.n_rows)


def _pressed(batch: Batch, found: Prediction) -> Prediction:
    return replace(found, stress=None if found.stress is None else -found.stress)


def _misordered(batch: Batch, found: Prediction) -> Prediction:
    order = [0, 1, 2, 5, 4, 3]
    return replace(found, stress=None if found.stress is None else found.stress[:, order])


def _lonely(batch: Batch, found: Prediction) -> Prediction:
    return replace(found, energy=found.energy + 1e-6 * batch.n_atoms.double().square())


def _jumping(batch: Batch, found: Prediction) -> Prediction:
    edges = torch.bincount(batch.atom_row[batch.edges[0]], minlength=batch.n_rows)
    return replace(found, energy=found.energy + 1e-6 * edges)


CASES = [
    ("rotation", _not_turned),
    ("reflection", _handed),
    ("translation", _placed),
    ("images", _placed),
    ("permutation", _ordered),
    ("batch_independence", _crowded),
    ("forces", _flipped),
    ("forces", _slightly_long),
    ("stress", _pressed),
    ("stress", _misordered),
    ("isolated_atoms", _lonely),
    ("cutoff", _jumping),
]


@pytest.mark.parametrize("name", named("two-layers", "pair-backbone", "fidelities-all", "sevennet-parity"))
@pytest.mark.parametrize(("check", "alter"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_check_fails(name: str, check: str, alter: Sabotage) -> None:
    (entry,) = (entry for entry in ENTRIES if entry.name == name)
    with pytest.raises(AssertionError):
        CHECKS[check](Sabotaged(entry.build(), alter), entry.structures(), entry.tolerance)
