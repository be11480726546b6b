"""What a training takes, before it starts: the numbers of steps are the trainer's, and no weight moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import torch

from rung.data.stream import PackedRows, pack
from rung.errors import FitError
from rung.fit.training.processes import Processes
from rung.fit.training.rehearsal import Rehearsal, keeping, rehearse
from rung.fit.training.sampling import Balanced, Proportional, Sampling
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.model.reference import ReferenceEnergies
from tests.fit.toy_model import CUTOFF, ToyJoint
from tests.fit.toy_surface import REFERENCE, toy_structures

LEVELS = ("low", "high")
ITEM = 8
"""Bytes of a number of the toy model."""


def model_of() -> ToyJoint:
    return ToyJoint({name: ReferenceEnergies(REFERENCE) for name in LEVELS})


def rows_of(low: int, high: int, *, forces: bool = True) -> PackedRows:
    frames = [
        *toy_structures(low, forces=forces),
        *toy_structures(high, seed=1, fidelity="high", forces=forces),
    ]
    return pack(frames, ["low"] * low + ["high"] * high, CUTOFF, names=LEVELS)


def rehearsed(rows: PackedRows, valid: PackedRows | None = None, **settings: object) -> Rehearsal:
    read = TrainingSettings.model_validate(settings)
    return rehearse(model_of(), rows, valid, read, seed=0, device="cpu", dtype=torch.float64)


class Counting:
    """Progress that counts the steps of a training."""

    def __init__(self) -> None:
        self.steps = self.total = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator["Counting"]:
        self.total = total
        yield self

    def advance(self, steps: int = 1) -> None:
        self.steps += steps

    def describe(self, text: str) -> None:
        pass


@pytest.mark.parametrize(
    ("sampling", "n_rows"),
    [
        (Proportional(), 14),
        (Proportional(least_rows=40), 42),
        (Balanced(), 22),
        (Balanced(least_rows=70), 88),
    ],
)
def test_steps_are_those_that_the_trainer_takes(sampling: Sampling, n_rows: int) -> None:
    rows, counting = rows_of(11, 3), Counting()
    settings = TrainingSettings(epochs=1, batch_size=4, sampling=sampling)
    train(model_of(), rows, None, settings, seed=0, dtype=torch.float64, progress=counting)
    seen = rehearsed(rows, epochs=1, batch_size=4, sampling=sampling)
    assert seen.n_steps == counting.steps == counting.total
    assert seen.n_rows == n_rows
    assert seen.n_valid == 0


def test_validation_is_counted_in_its_own_batches() -> None:
    assert rehearsed(rows_of(4, 2), rows_of(5, 2), valid_batch_size=3).n_valid == 3


def test_the_model_stays_as_it_is() -> None:
    model = model_of().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rehearse(model, rows_of(6, 2), rows_of(2, 1), TrainingSettings(), seed=0, device="cpu", dtype=torch.float64)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.references["low"].energies == ReferenceEnergies(REFERENCE).energies


def test_memory_grows_with_the_batch_and_with_forces() -> None:
    rows = rows_of(24, 24)
    saved = [rehearsed(rows, batch_size=size, sampling=Balanced()).saved for size in (4, 8, 16, 32)]
    for smaller, larger in pairwise(saved):
        assert 1.3 * smaller < larger < 2.5 * smaller
    energies = rehearsed(rows_of(24, 24, forces=False), batch_size=32, sampling=Balanced()).saved
    assert 1.5 * energies < saved[-1]


def test_what_a_reverse_pass_reads_is_counted_once() -> None:
    """An intermediate result that three operations need lies in memory once."""
    weight, kept = torch.ones(10, dtype=torch.float64, requires_grad=True), dict[int, int]()
    with keeping(kept):
        middle = weight * 2.0
        out = (middle * middle).sum() + (middle * middle * middle).sum()
    assert sum(kept.values()) == 2 * 10 * ITEM  # middle, and its square
    assert out.requires_grad


def test_a_large_batch_of_the_validation_counts() -> None:
    rows = rows_of(4, 4)
    few, many = (rehearsed(rows, rows_of(60, 4), batch_size=1, valid_batch_size=size).saved for size in (1, 64))
    assert many > 4 * few


def test_what_a_training_holds_is_gradients_moments_and_copies() -> None:
    n_weights = sum(parameter.numel() for parameter in model_of().parameters())
    with_largest, without = (rehearsed(rows_of(4, 4), amsgrad=amsgrad).held for amsgrad in (True, False))
    assert with_largest - without == ITEM * n_weights
    # gradient, two moments, start, average, best
    assert 6 * ITEM * n_weights <= without < 6.2 * ITEM * n_weights


def test_each_of_two_processes_takes_half_of_a_step() -> None:
    rows = rows_of(24, 24)
    alone = rehearsed(rows, batch_size=16)
    shared = rehearsed(rows, batch_size=16, processes=Processes(devices=2))
    assert shared.n_steps == alone.n_steps
    assert shared.saved < 0.8 * alone.saved


def test_a_loss_that_is_no_number_is_refused() -> None:
    model = model_of()
    with torch.no_grad():
        model.outer.fill_(np.inf)
    with pytest.raises(FitError, match="before the first step"):
        rehearse(model, rows_of(4, 4), None, TrainingSettings(), seed=0, device="cpu", dtype=torch.float64)


def test_nothing_to_learn_is_refused() -> None:
    model = model_of().requires_grad_(requires_grad=False)
    with pytest.raises(FitError, match="all weights are frozen"):
        rehearse(model, rows_of(4, 4), None, TrainingSettings(), seed=0, device="cpu", dtype=torch.float64)
