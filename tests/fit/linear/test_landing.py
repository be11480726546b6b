"""Where a network ended after its step: numbers by another path, and warnings at what no linear fit does."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.energy_table import EnergyRow, EnergyTable
from rung.fit.lift import Base
from rung.fit.linear.landing import DEPARTURE, RESIDUAL, Landing, landing_of
from rung.model.potential import Surface
from rung.run.evaluation import predict
from tests.fit.pair_world import geometries, labelled, pair_base, truth


@pytest.fixture(scope="module")
def base():
    return pair_base()


def test_the_numbers_are_those_of_the_potential_itself(base):
    frames = labelled(geometries(6), base, truth(base), 4, 0.01)
    fitted = base.with_surface("high", truth(base))
    found = landing_of(fitted, "high", Base(base, "low"), frames[:4], frames, 0.5)
    said = predict(fitted, frames, "high")
    labels = np.array([one.labelled("high").energy for one in frames[:4]])
    assert found.residual == pytest.approx(np.sqrt(np.mean((labels - said.energy[:4]) ** 2)))
    assert 0 < found.residual < 0.05
    before = np.concatenate(predict(base, frames, "low").forces)
    after = np.concatenate(said.forces)
    assert found.departure == pytest.approx(np.sqrt(np.mean((after - before) ** 2)))
    assert found.size == pytest.approx(np.sqrt(np.mean(before**2)))
    assert found.numbers["network_force_departure_rmse"] == found.departure


def test_a_label_that_is_a_difference_counts_as_one(base):
    frames = labelled(geometries(6), base, truth(base), 4, 0.01)
    fitted = base.with_surface("high", truth(base))
    said = predict(fitted, frames, "high").energy
    table = EnergyTable((EnergyRow("cell-4", "high", float(said[4] - said[5] + 7.0), 0.01, minus="cell-5"),))
    found = landing_of(fitted, "high", Base(base, "low"), frames, frames, 0.5, table)
    assert found.residual == pytest.approx(7.0 / np.sqrt(5), rel=0.01)


def test_a_base_that_did_not_move_has_not_departed(base):
    frames = labelled(geometries(4), base, truth(base), 2, 0.01)
    still = Surface(base.surface("low").readout, base.surface("low").reference)
    found = landing_of(base.with_surface("high", still), "high", Base(base, "low"), frames[:2], frames, 1e9)
    assert found.departure == 0.0
    assert found.warnings == ()
    assert len(found.notes) == 2


SOUND = Landing(residual=0.07, leave_one_out=0.08, departure=0.2, size=0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ()),
        ({"residual": 0.235}, ("235 meV", "80 meV")),
        ({"departure": 2.0}, ("4.0 times",)),
        ({"leave_one_out": np.nan, "departure": np.nan}, ()),
        ({"residual": 0.99 * RESIDUAL * 0.08, "departure": 0.99 * DEPARTURE * 0.5}, ()),
    ],
)
def test_it_warns_of_what_no_linear_fit_does(change, words):
    landing = replace(SOUND, **change)
    assert len(landing.warnings) == (1 if words else 0)
    assert all(word in " ".join(landing.warnings) for word in words)
    assert "meV off the labels" in landing.notes[0]
