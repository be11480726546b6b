"""A potential that says it knows rotations alone is held to it."""

from dataclasses import replace

import pytest
import torch

from rung.data.batch import Batch
from rung.data.structure import Structure
from rung.model.protocols import Prediction
from tests.contract.checks import CHECKS
from tests.contract.test_sabotage import Sabotaged
from tests.sevennet_models import tiny_sevennet


def symmetric(batch: Batch, prediction: Prediction) -> Prediction:
    """Return what no mirror changes: each row says the number of its atoms."""
    assert prediction.forces is not None
    return replace(prediction, energy=-3.0 * batch.n_atoms.double(), forces=torch.zeros_like(prediction.forces))


def test_one_that_keeps_mirror_images_may_not_say_that_it_does_not(structures: list[Structure]) -> None:
    potential = tiny_sevennet()
    assert not potential.mirrors
    CHECKS["reflection"](potential, structures, 1e-10)
    with pytest.raises(AssertionError):
        CHECKS["reflection"](Sabotaged(potential, symmetric), structures, 1e-10)


def test_parity_is_read_off_the_file() -> None:
    assert tiny_sevennet(is_parity=True).mirrors
