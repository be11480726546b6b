"""Statistical errors: missing, zero, negative, tiny, larger than what they belong to."""

import numpy as np
import pytest

from tests.doctor.analytic import relabelled
from tests.doctor.sabotage import at, check_found, everywhere, names_found, with_dmc

SABOTAGE = {
    "σ missing": (
        at({5, 6}, lambda s: relabelled(s, "r2scan", energy_stderr=np.nan)),
        "warning",
        "stderr-missing",
        None,
    ),
    "σ zero": (at({5, 6}, lambda s: relabelled(s, "r2scan", energy_stderr=0.0)), "error", "stderr-zero", None),
    "σ zero for all": (everywhere("r2scan", energy_stderr=0.0), "warning", "stderr-zero", None),
    "σ negative": (at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=-0.02)), "error", "stderr-negative", None),
    "σ tiny": (at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=1e-9)), "warning", "stderr-tiny", None),
    "σ huge": (everywhere("r2scan", energy_stderr=lambda e: 200 * e), "warning", "stderr-large", None),
    "σ alone": (
        at({120}, lambda s: relabelled(with_dmc(s), "r2scan", energy_stderr=0.02)),
        "warning",
        "stderr-alone",
        None,
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_what_is_sabotaged_is_named(mos2):
    assert names_found(mos2, SABOTAGE["σ missing"][0], "stderr-missing") == ("train-005", "train-006")
