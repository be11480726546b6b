"""Forces: gradients, forces of another unit than the energies, net forces, and zeros of a constraint."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.units import BOHR, HARTREE
from tests.doctor.analytic import Morse, relabelled
from tests.doctor.sabotage import at, check_found, check_found_with_base, everywhere, names_found, with_reading, zeroed

SABOTAGE = {
    "gradients": (everywhere("pbe", forces=lambda f: -f), "error", "gradients-as-forces", None),
    "forces of Hartree/Bohr": (
        everywhere("pbe", forces=lambda f: f / HARTREE * BOHR),
        "error",
        "forces-not-derivative",
        None,
    ),
    "net force": (
        at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: f + np.array([0.1, 0, 0]))),
        "warning",
        "net-force",
        None,
    ),
    "zeroed by a constraint": (
        at({5, 6}, lambda s: with_reading(fixed_atoms=(0, 1))(relabelled(s, "pbe", forces=zeroed))),
        "error",
        "constrained-forces",
        {"net-force"},
    ),
    "zeroed by nobody knows what": (
        at({5, 6}, lambda s: relabelled(s, "pbe", forces=zeroed)),
        "warning",
        "exact-zero-forces",
        {"net-force"},
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_what_is_sabotaged_is_named(mos2):
    assert names_found(mos2, SABOTAGE["zeroed by a constraint"][0], "constrained-forces") == ("train-005", "train-006")


WITH_BASE = {
    "gradients": (everywhere("cheap", forces=lambda f: -f), Morse(), "error", "gradients-as-forces", {"base-wrong"}),
    "dear gradients": (everywhere("dear", forces=lambda f: -f), Morse(), "error", "gradients-as-forces", None),
}


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name])


@pytest.mark.parametrize("fidelity", ["pm6", "dft"])
@pytest.mark.parametrize("keep", [("energy", "forces"), ("forces",)])
def test_gradients_are_found_in_whichever_fidelity_holds_them(reactive, fidelity, keep):
    """Also without energies, where no finite step can be made: bonds tell."""
    train = reactive["train"]
    if "energy" not in keep:
        train = tuple(relabelled(relabelled(s, "pm6", energy=np.nan), "dft", energy=np.nan) for s in train)
    diagnosis = diagnose({"train": everywhere(fidelity, forces=lambda f: -f)(train)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.severity == "error"
    assert finding.fidelities == (fidelity,)


def test_opposite_forces_that_nothing_else_decides_are_both_named(mos2):
    """Single frames: no steps, too few bonds."""
    frame = mos2["test"][0]
    small = Structure(
        frame.atoms[:6],
        "small",
        {name: replace(empty_labels(6), forces=frame.labels[name].forces[:6]) for name in ("pbe", "r2scan")},
    )
    diagnosis = diagnose({"one": (relabelled(small, "pbe", forces=lambda f: -f),)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.fidelities == ("pbe", "r2scan")
