"""What no label can be is named by its key, and what can be is left alone."""

from dataclasses import replace

import numpy as np
import pytest

from rung.data.labels import Labels, empty_labels
from rung.data.soundness import (
    any_not_positive,
    any_torn,
    any_wild,
    impossible_label,
    misspelt_label,
    negative_keys,
    torn_keys,
    unusable_label,
    wild_keys,
)

SOUND = Labels(-3.0, 0.01, np.ones((2, 3)), np.full((2, 3), 0.1), np.ones(6))


def _torn(shape: tuple[int, ...]) -> np.ndarray:
    values = np.ones(shape)
    values.flat[0] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"energy": np.inf}, "dmc_energy is infinite"),
        ({"energy": -1e13}, "dmc_energy is infinite or beyond 1e+12"),
        ({"energy_stderr": -np.inf}, "dmc_energy_stderr is infinite"),
        ({"energy_stderr": -0.01}, "dmc_energy_stderr is negative"),
        ({"forces": np.full((2, 3), -np.inf)}, "dmc_forces is infinite"),
        ({"forces": _torn((2, 3))}, "dmc_forces has NaN among its numbers"),
        ({"forces_stderr": _torn((2, 3))}, "dmc_forces_stderr has NaN"),
        ({"forces_stderr": -np.ones((2, 3))}, "dmc_forces_stderr is negative"),
        ({"stress": _torn((6,))}, "dmc_stress has NaN"),
    ],
)
def test_each_label_that_cannot_be_is_named(change: dict[str, object], fault: str) -> None:
    labels = replace(SOUND, **change)
    assert impossible_label(labels, "dmc").startswith(fault)
    assert unusable_label(labels, "dmc") == impossible_label(labels, "dmc")


def test_an_error_of_zero_can_be_and_is_of_no_use_in_a_measure() -> None:
    exact = replace(SOUND, energy_stderr=0.0)
    assert not impossible_label(exact, "dmc")
    assert unusable_label(exact, "dmc").startswith("dmc_energy_stderr is 0")


@pytest.mark.parametrize("labels", [SOUND, empty_labels(2), replace(empty_labels(2), energy=0.0)])
def test_sound_and_absent_labels_pass(labels: Labels) -> None:
    assert unusable_label(labels, "dmc") == ""


@pytest.mark.parametrize(
    ("key", "due"),
    [
        ("DMC_energy", "dmc_energy"),
        ("dmc_Forces", "dmc_forces"),
        ("dmc.energy", "dmc_energy"),
        ("dmc-energy-stderr", "dmc_energy_stderr"),
        ("dmc_energies", ""),
        ("dmc_virial", ""),
        ("other_Energy", ""),
    ],
)
def test_a_key_that_is_a_label_but_for_its_spelling_is_named(key: str, due: str) -> None:
    fault = misspelt_label(["free_Energy", key], "dmc")
    assert fault == (f"{key} is no label of 'dmc'; call it {due}" if due else "")


ODD = [
    replace(SOUND, energy=-1e13),
    replace(SOUND, stress=np.full(6, np.inf)),
    replace(SOUND, forces=_torn((2, 3))),
    replace(SOUND, stress=_torn((6,))),
    replace(SOUND, energy_stderr=-1.0),
    replace(SOUND, energy_stderr=0.0),
    replace(SOUND, forces_stderr=-np.ones((2, 3))),
    empty_labels(1),
]


@pytest.mark.parametrize("odd", ODD)
def test_a_look_at_all_labels_sees_what_a_look_at_each_does(odd: Labels) -> None:
    many = [SOUND, replace(empty_labels(4), energy=1.0), odd, SOUND]
    assert any_wild(many) == any(wild_keys(one) for one in many)
    assert any_not_positive(many) == any(negative_keys(one) or one.energy_stderr == 0 for one in many)
    assert any_torn(many) or not any(torn_keys(one) for one in many)  # it may look twice
    assert not (any_wild([]) or any_torn([]) or any_not_positive([]) or any_torn([SOUND, SOUND]))
