"""Statistical errors: missing, zero, negative, tiny, larger than what they belong to."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.doctor import diagnose
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
    "σ at the threshold of codes": (
        at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=1e-7)),
        "warning",
        "stderr-tiny",
        None,
    ),
    "σ tiny for all": (everywhere("r2scan", energy_stderr=1e-6), "warning", "stderr-tiny", None),
    "σ of some in meV": (
        at({5, 6}, lambda s: relabelled(s, "r2scan", energy_stderr=20.0)),
        "warning",
        "stderr-uneven",
        None,
    ),
    "σ of some in keV": (
        at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=2e-5)),
        "warning",
        "stderr-uneven",
        None,
    ),
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
    assert names_found(mos2, SABOTAGE["σ of some in meV"][0], "stderr-uneven") == ("train-005", "train-006")
    assert names_found(mos2, SABOTAGE["σ missing"][0], "stderr-missing") == ("train-005", "train-006")


def test_errors_that_grow_with_the_cell_are_even():
    """One error per atom for molecules of two atoms and cells of 512 is 256 times as large for the cell."""

    def cell(k, n):
        atoms = bulk("Cu", cubic=False) * (n, 1, 1)
        atoms.rattle(0.05, seed=k)
        label = replace(empty_labels(n), energy=-3.7 * n + 5e-3 * n * k, energy_stderr=1e-3 * n)
        return Structure(atoms, f"{n}-{k}", {"dmc": label})

    members = [*(cell(k, 2) for k in range(9)), cell(9, 512)]
    assert "stderr-uneven" not in {one.code for one in diagnose({"train": members}).findings}


@pytest.mark.parametrize("count", [2, 3])
def test_of_two_or_three_errors_nobody_knows_which_is_usual(mos2, count):
    members = [
        relabelled(s, "r2scan", energy_stderr=20.0 if k == 0 else 0.02) for k, s in enumerate(mos2["train"][:count])
    ]
    assert "stderr-uneven" not in {one.code for one in diagnose({"train": members}, target="r2scan").findings}
