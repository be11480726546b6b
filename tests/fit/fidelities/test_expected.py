"""What is said of a training before it starts, and of the closed-form fits before and after it."""

import pytest

from rung.errors import ConfigError
from rung.fit.lift import Context
from rung.fit.method import Expected
from rung.fit.methods import METHODS
from rung.fit.methods.readout import ReadoutSettings, expected_fit
from rung.model.potential import ReadoutPotential
from tests.fit.levels import two_levels
from tests.fit.lifts import lift_of

CONTEXT = Context(dtype="float64")
BALANCED = {"name": "balanced", "least_rows": 60}


def expected(name: str, base: ReadoutPotential | None, *, training: dict[str, object], **settings: object) -> Expected:
    method = METHODS[name]
    assert method.expect is not None
    read = method.settings.read({"training": {"valid_fraction": 0.0, **training}, **settings})
    return method.expect(lift_of(two_levels(10, 3), base), read, CONTEXT)


def test_rows_that_few_labels_are_drawn_for_are_told(tiny_potential: ReadoutPotential) -> None:
    told = expected("joint", tiny_potential, training={"epochs": 5, "batch_size": 4, "sampling": BALANCED})
    assert told.sentences[0].startswith("An epoch of 60 rows takes 15 steps of 4 at most, about ")
    assert told.sentences[1] == "The time is that of 5 epochs."
    assert told.memory > 0


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"epochs": 90}, "90 epochs, which is the cap: 50 without a better loss (patience) may end it before."),
        ({"epochs": 9, "schedule": {"name": "until_flat"}}, "9 epochs, which is the cap: the schedule until_flat may"),
        ({"epochs": 9, "patience": 3, "schedule": {"name": "until_flat"}}, "(patience) or the schedule until_flat may"),
    ],
)
def test_epochs_are_told_as_a_cap_where_a_training_may_end_earlier(
    tiny_potential: ReadoutPotential, training: dict[str, object], sentence: str
) -> None:
    assert sentence in expected("transfer", tiny_potential, training=training).sentences[1]


def test_memory_grows_with_the_batch(tiny_potential: ReadoutPotential) -> None:
    few, many = (expected("transfer", tiny_potential, training={"batch_size": size}).memory for size in (1, 3))
    assert few < many


@pytest.mark.parametrize("name", ["transfer", "joint", "onehot"])
def test_a_closing_fit_is_counted_like_a_readout_fit(tiny_potential: ReadoutPotential, name: str) -> None:
    alone = expected_fit(lift_of(two_levels(10, 3), tiny_potential), ReadoutSettings(), CONTEXT)
    told = expected(name, tiny_potential, training={"epochs": 0}, closing_readout={})
    designs = [(one.what.removeprefix("closing_readout: "), one.n_entries) for one in told.designs]
    assert designs == [(one.what, one.n_entries) for one in alone.designs]
    assert all(one.what.startswith("closing_readout: ") for one in told.designs)
    assert told.seconds >= sum(one.cost.seconds for one in told.designs) > 0
    assert told.n_fitted != alone.n_fitted


def test_adapters_are_counted_beside_a_closing_fit(tiny_potential: ReadoutPotential) -> None:
    told = expected("transfer", tiny_potential, training={"epochs": 0}, lora={"rank": 1}, closing_readout={})
    assert told.n_fitted is not None and told.n_frozen is not None
    assert 0 < told.n_fitted < told.n_frozen
    assert len(told.designs) == 2


def test_both_fits_of_joint_are_counted(tiny_potential: ReadoutPotential) -> None:
    told = expected("joint", tiny_potential, training={"epochs": 0}, opening_readout={}, closing_readout={})
    assert [one.what.split(":")[0] for one in told.designs] == ["opening_readout"] * 2 + ["closing_readout"] * 2


def test_an_opening_fit_without_a_base_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match="opening_readout fits the features of a base"):
        expected("joint", None, training={"epochs": 0}, opening_readout={})
