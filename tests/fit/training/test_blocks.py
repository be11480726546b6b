"""Which tensors move."""

import itertools

import pytest

from rung.backends.training import trainable
from rung.errors import ConfigError
from rung.fit.methods.transfer import TransferSettings
from rung.fit.training.blocks import freeze_others, moving_names
from rung.model.potential import ReadoutPotential
from rung.model.trainable import TrainablePotential
from tests.fit.toy_model import ToyTrainable

SWEEP = ("readouts", "products", "layers", "all")


@pytest.fixture(scope="module")
def model(tiny_potential: ReadoutPotential) -> TrainablePotential:
    return trainable(tiny_potential, {"high": "low"})


@pytest.fixture(scope="module")
def names(model: TrainablePotential) -> tuple[str, ...]:
    return tuple(name for name, _ in model.named_parameters())


def test_each_step_of_the_sweep_holds_the_one_before(model: TrainablePotential, names: tuple[str, ...]) -> None:
    sets = [set(moving_names(model, blocks)) for blocks in SWEEP]
    assert all(one < two for one, two in itertools.pairwise(sets))
    assert sets[-1] == set(names)


def test_what_each_block_is_in_a_mace(model: TrainablePotential, names: tuple[str, ...]) -> None:
    """A base of two layers: the names are mace-torch's own."""
    readouts = {name for name in names if name.startswith("module.readouts.")}
    assert set(moving_names(model, "readouts")) == readouts
    last = {name for name in names if name.startswith(("module.interactions.1.", "module.products.1."))}
    assert last
    assert set(moving_names(model, "last_layer")) == readouts | last
    embedding = set(names) - set(moving_names(model, "layers"))
    assert embedding == {"module.node_embedding.linear.weight"}


def test_regular_expressions_choose_by_name(model: TrainablePotential, names: tuple[str, ...]) -> None:
    found = moving_names(model, (r"interactions\.0\.linear_up", r"readouts\.1"))
    assert set(found) == {name for name in names if "interactions.0.linear_up" in name or "readouts.1" in name}
    with pytest.raises(ConfigError, match=r"no tensor is chosen .* module\.node_embedding"):
        moving_names(model, ("head",))
    with pytest.raises(ConfigError, match="no regular expression"):
        moving_names(model, ("(",))


def test_what_was_frozen_before_stays_frozen(tiny_potential: ReadoutPotential) -> None:
    model = trainable(tiny_potential, {"high": "low"})
    frozen = next(name for name, _ in model.named_parameters() if "readouts" in name)
    model.get_parameter(frozen).requires_grad_(False)
    freeze_others(model, "products")
    moves = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    free = trainable(tiny_potential, {"high": "low"})
    assert moves == set(moving_names(free, "products")) - {frozen}


def test_a_model_says_which_parts_it_has() -> None:
    model = ToyTrainable()
    assert set(moving_names(model, "all")) == {"inner", "outer"}
    with pytest.raises(ConfigError, match="'products'; there is: all"):
        moving_names(model, "products")


def test_a_part_of_no_backend_is_refused_when_settings_are_read() -> None:
    with pytest.raises(ConfigError, match=r"at 'blocks': .*'readuts'; there is: .*Did you mean 'readouts'"):
        TransferSettings.read({"blocks": "readuts"})
    assert TransferSettings.read({"blocks": ["anything"]}).blocks == ("anything",)
