"""Energies far from a robust fit of reference energies."""

import pytest

from tests.doctor.analytic import relabelled
from tests.doctor.sabotage import at, check_found, names_found

SABOTAGE = {
    "outlier": (at({7}, lambda s: relabelled(s, "r2scan", energy=lambda e: e + 10.0)), "warning", "outliers", None),
    "cheap outlier": (
        at({127}, lambda s: relabelled(s, "pbe", energy=lambda e: e + 40.0)),
        "warning",
        "outliers",
        None,
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_what_is_sabotaged_is_named(mos2):
    assert names_found(mos2, SABOTAGE["outlier"][0], "outliers") == ("train-007",)
    assert names_found(mos2, SABOTAGE["cheap outlier"][0], "outliers") == ("train-127",)
