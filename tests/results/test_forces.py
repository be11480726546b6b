"""Forces that energies did not improve are said, with figures; what was not touched is not."""

import math

import pytest

from rung.results.forces import force_verdicts
from rung.results.metrics import Evaluation
from tests.results.made import split_errors


def verdicts(before, **after):
    base = None if before is None else {"test": {"dft": split_errors(energy_rmse=30.0, force_rmse=before)}}
    return force_verdicts(Evaluation(splits={"test": {"dft": split_errors(**after)}}, base=base))


@pytest.mark.parametrize(
    ("force", "words"),
    [
        (864.0, "worse than the base's, 864 against 696 meV/Å, though energies improve from 30.0 to 12.0 meV/atom"),
        (690.0, "no better than the base's, 690 against 696 meV/Å"),
        (700.0, "no better than the base's, 700 against 696 meV/Å"),
        (600.0, ""),
        (math.nan, ""),
    ],
)
def test_worse_and_no_better_forces_are_said_with_figures(force, words):
    found = verdicts(696.0, energy_rmse=12.0, force_rmse=force)
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_energies_that_got_worse_too_are_not_praised():
    (sentence,) = verdicts(696.0, energy_rmse=40.0, force_rmse=864.0)
    assert "energies" not in sentence
    assert "do not use this model for forces" in sentence


def test_the_forces_of_another_fidelity_are_no_verdict_on_those_of_the_target():
    better, worse = split_errors(energy_rmse=12.0, force_rmse=244.0), split_errors(energy_rmse=9.0, force_rmse=70.0)
    before = split_errors(energy_rmse=30.0, force_rmse=260.0), split_errors(energy_rmse=8.0, force_rmse=65.0)
    splits, base = {"test": {"cc": better, "low": worse}}, {"test": dict(zip(("cc", "low"), before, strict=True))}
    assert force_verdicts(Evaluation(splits=splits, base=base, target="cc")) == ()
    (sentence,) = force_verdicts(Evaluation(splits=splits, base=base, target="low"))
    assert "the low forces are worse" in sentence


def test_without_a_base_and_for_an_untouched_surface_nothing_is_said():
    assert verdicts(None, energy_rmse=12.0, force_rmse=700.0) == ()
    assert verdicts(696.0, energy_rmse=30.0, force_rmse=696.0) == ()
