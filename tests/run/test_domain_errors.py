"""What is said of error bars inside and outside the domain: only what is there."""

import numpy as np
import pytest

from rung.evaluate.errors import ErrorSums
from rung.model.domain import Place
from rung.report.run.calibration import _of_all
from rung.run.evaluation import domain_errors
from tests.results.made import split_errors

INSIDE, OUTSIDE = Place(1.0, 0, 0.5, 3.0, 2.0), Place(9.0, 0, 0.5, 3.0, 2.0)


def verdict(places, bars, *, labels=0.0):
    size = len(places)
    sums = ErrorSums()
    away = [float(place.outside) for place in places]
    sums.add(np.full(size, 0.1), np.full(size, labels), np.ones(size), ["H"] * size, energy_stderr=bars, outside=away)
    return domain_errors(sums, [(str(k), place) for k, place in enumerate(places)], "test", "cc").verdict


@pytest.mark.parametrize(
    ("places", "bars", "words"),
    [
        (
            [INSIDE, OUTSIDE],
            [0.1, 0.05],
            "for the others only, whose z² is 1.00; there z² is 4.00.",
        ),
        ([OUTSIDE, OUTSIDE], [0.1, 0.1], "Quote no error bar of cc here; there z² is 1.00."),
        ([INSIDE, OUTSIDE], [0.1, np.inf], "whose z² is 1.00; no energy there has an error bar."),
        ([INSIDE, OUTSIDE], [np.inf, 0.1], "Quote the error bars of cc for the others only; there z² is 1.00."),
        ([INSIDE, INSIDE], [0.1, 0.1], "The error bars of cc apply, with a z² of 1.00 here."),
    ],
)
def test_what_holds_outside_is_told_of_what_is_there(places, bars, words):
    found = verdict(places, bars)
    assert words in found and "nan" not in found


def test_structures_without_labels_are_told_from_those_without_bars():
    assert "no energy there is labelled" in verdict([OUTSIDE], [0.1], labels=np.nan)


def test_error_bars_that_no_energy_has_do_not_apply() -> None:
    """A hinge band leaves a domain and no bars, and the sentence said that they apply."""
    assert "no energy of cc has an error bar here" in verdict([INSIDE, INSIDE], [np.nan, np.nan]).lower()


def test_the_calibration_counts_the_energies_that_have_a_bar() -> None:
    """Its shares and z² are of these, and the row said how many are labelled."""
    errors = split_errors(n_energies=10, n_energy_bars=4)
    assert _of_all(errors).n == 4
    assert _of_all(split_errors(n_energies=10, n_energy_bars=0)).n == 10
