"""What a method is asked for is whole: no fidelity is defaulted, and a base folds in one place."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.batch import collate
from rung.errors import ConfigError, FitError, ModelError
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Lift
from tests.fit.levels import two_levels
from tests.fit.lifts import lift_of
from tests.pair_backbone import PairBackbone, pair_potential
from tests.several_fidelities import several

SMALL = (("hidden", "6x0e"), ("max_ell", 1))


def test_a_base_is_at_one_of_its_fidelities() -> None:
    potential = several("all", SMALL)
    with pytest.raises(ConfigError, match=r"Unknown fidelity 'best'; there is: high, low"):
        Base(potential, "best")
    assert Base(potential, "high").surface is potential.surface("high")


def test_a_plain_base_is_itself_and_a_conditioned_one_says_the_same_without_its_other_fidelities() -> None:
    shared = several("readouts", SMALL)
    assert Base(shared, "low").plain is shared
    frames = two_levels(4, 4)
    base = Base(several("all", SMALL), "high")
    assert base.plain is base.plain
    assert not base.plain.backbone.conditioned
    assert base.plain.fidelities == ("high",)
    batch = collate(frames, ["high"] * 4, base.plain.cutoff)
    one, other = base.potential.predict(batch), base.plain.predict(batch)
    np.testing.assert_allclose(one.energy, other.energy, rtol=1e-12)
    np.testing.assert_allclose(one.forces, other.forces, atol=1e-10)


def test_a_backbone_that_cannot_fold_is_refused_where_plain_features_are_asked_for() -> None:
    base = Base(pair_potential(PairBackbone(conditioning={"low": 1.0, "high": 2.0}), ("low", "high")), "low")
    with pytest.raises(ModelError, match="cannot be reduced to one of its fidelities"):
        _ = base.plain


def test_a_lift_knows_its_fidelities() -> None:
    base = several("readouts", SMALL)
    with pytest.raises(ConfigError, match="Unknown fidelity 'hgih'"):
        lift_of([], target="hgih")
    with pytest.raises(ConfigError, match="Unknown fidelity 'low'"):
        lift_of([], base, fidelities=["high", "best"])
    goal = Fidelity("high", energy_shared_stderr=0.2)
    assert Lift([], [], Base(base, "low"), {"low": Fidelity("low"), "high": goal}, "high").goal is goal


def test_what_a_method_needs_of_a_lift_is_there_or_said_to_be_missing() -> None:
    frames = two_levels(5, 2)
    lift = lift_of(frames)
    assert lift.labelled == lift.require_labelled() == frames[:2]
    with pytest.raises(FitError, match="No training frame carries high_energy"):
        replace(lift, train=frames[2:]).require_labelled()
    with pytest.raises(ConfigError, match="The method 'mean' needs a base"):
        lift.require_base("mean")
