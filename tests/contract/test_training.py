"""What the contract says of models in training: step zero is the base, and a fidelity of its own disturbs no other."""

from collections.abc import Callable, Sequence

import pytest
import torch

from rung.backends.training import trainable, with_lora
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Prediction
from rung.model.trainable import TrainablePotential
from tests.contract.checks import predict, same_predictions
from tests.contract.registry import _small
from tests.several_fidelities import CONDITIONINGS, own, several, stirred

Change = Callable[[TrainablePotential], None]
every_conditioning = pytest.mark.parametrize("conditioning", CONDITIONINGS)
# after which the module itself may round otherwise than the frozen potential, which sums in another order
ROUNDING = 1e-12


def said_by(model: TrainablePotential, structures: Sequence[Structure], fidelity: str) -> Prediction:
    """Evaluate rows of one fidelity with a model in training."""
    batch = collate(structures, [fidelity] * len(structures), model.cutoff, dtype=model.dtype)
    return model.eval()(batch)


def check_step_zero(base: ReadoutPotential, model: TrainablePotential, start: dict[str, str]) -> None:
    """Each fidelity says what it starts from: bit for bit when frozen, to rounding in the module."""
    frozen = model.frozen()
    for fidelity, source in start.items():
        wanted = predict(base, _small(), source)
        assert same_predictions(predict(frozen, _small(), fidelity), wanted)
        found = said_by(model, _small(), fidelity)
        torch.testing.assert_close(found.energy, wanted.energy, rtol=ROUNDING, atol=ROUNDING)
        torch.testing.assert_close(found.forces, wanted.forces, rtol=ROUNDING, atol=ROUNDING)


def check_others_stay(model: TrainablePotential, change: Change) -> None:
    """Parameters of ``high`` alone change nothing of ``low`` in any bit, and something of ``high``."""
    before = {
        name: (said_by(model, _small(), name), predict(model.frozen(), _small(), name)) for name in model.fidelities
    }
    change(model)
    for name, (module, frozen) in before.items():
        same = [
            same_predictions(said_by(model, _small(), name), module),
            same_predictions(predict(model.frozen(), _small(), name), frozen),
        ]
        assert same == [name != "high"] * 2


START = {"low": "low", "high": "high", "third": "low"}


@every_conditioning
def test_step_zero_of_a_base_of_two_fidelities(conditioning: Conditioning) -> None:
    """Shared weights, and what each fidelity has of its own, come back exactly; a third joins them."""
    base = several(conditioning)
    check_step_zero(base, trainable(base, START, conditioning), START)


@pytest.mark.parametrize("conditioning", ["readouts", "embedding", "all"])
def test_a_fidelity_of_its_own_disturbs_no_other(conditioning: Conditioning) -> None:
    model = trainable(several(conditioning), START, conditioning)
    check_others_stay(model, lambda model: stirred(model, own(model, "high")))


def test_step_zero_of_adapters() -> None:
    base = several("all")
    check_step_zero(base, with_lora(trainable(base, START, "all"), rank=2, alpha=1.0), START)


def test_step_zero_fails_on_a_model_that_has_moved() -> None:
    base = several("embedding")
    for name in ("conditions.1.node_embedding-linear", "module.products.0.linear.weight"):
        model = trainable(base, START, "embedding")
        stirred(model, {name}, size=1e-10)
        with pytest.raises(AssertionError):
            check_step_zero(base, model, START)


def test_others_stay_fails_where_a_parameter_is_shared() -> None:
    model = trainable(several("all"), START, "all")
    with pytest.raises(AssertionError):
        check_others_stay(model, lambda model: stirred(model, {"module.products.1.linear.weight"}, size=1e-13))
    model = trainable(several("all"), START, "all")
    with pytest.raises(AssertionError):
        check_others_stay(model, lambda model: stirred(model, own(model, "third")))
