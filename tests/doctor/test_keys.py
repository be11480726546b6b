"""Keys and plain values: what is read, what is not, and what is no number."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from rung.data.readers.structures import READING, Reading, read_structures
from rung.doctor import diagnose
from tests.doctor.analytic import relabelled
from tests.doctor.sabotage import at, check_found, everywhere, found, with_reading

SABOTAGE = {
    "bare keys beside labels": (at({3}, with_reading(bare_keys=("energy",))), "warning", "bare-keys", None),
    "only bare keys": (
        lambda members: tuple(replace(s, labels={}, info={READING: Reading(bare_keys=("energy",))}) for s in members),
        "error",
        "bare-keys",
        {"no-labels", "no-target-energies"},
    ),
    "unread keys": (at({3}, with_reading(unread_keys=("energy_pbe",))), "warning", "unread-keys", None),
    "cut file": (at({149}, with_reading(unfinished=True)), "warning", "unfinished-file", None),
    "empty class": (everywhere("r2scan", energy=np.nan, energy_stderr=np.nan), "error", "no-target-energies", None),
    "empty in one split": (
        everywhere("r2scan", energy=np.nan, energy_stderr=np.nan),
        "warning",
        "empty-fidelity",
        {"no-target-energies"},
    ),
    "infinite": (at({5}, lambda s: relabelled(s, "pbe", energy=np.inf)), "error", "infinite-label", None),
    "NaN": (
        at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: np.where(np.arange(len(f))[:, None] == 2, np.nan, f))),
        "error",
        "nan-label",
        None,
    ),
    "zero energies": (at({5, 6}, lambda s: relabelled(s, "r2scan", energy=0.0)), "error", "zero-energy", {"outliers"}),
    "a zero energy": (at({5}, lambda s: relabelled(s, "r2scan", energy=0.0)), "warning", "zero-energy", {"outliers"}),
    "zero forces": (at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: 0.0 * f)), "warning", "zero-forces", None),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_an_unknown_target_lists_what_there_is(mos2):
    diagnosis = diagnose(mos2, target="r2scann")
    [finding] = diagnosis.of_severity("error")
    assert finding.code == "no-target-energies"
    assert "there is: pbe, r2scan. Did you mean 'r2scan'?" in finding.sentence


def test_a_split_without_the_target_is_a_note(mos2):
    hidden = tuple(replace(s, labels={"pbe": s.labels["pbe"]}) for s in mos2["test"])
    diagnosis = diagnose({**mos2, "test": hidden}, target="r2scan")
    assert ("note", "no-target-labels") in found(diagnosis, "note")
    assert not found(diagnosis)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("mp2_energies", "mp2_energy"),
        ("dft_force", "dft_forces"),
        ("Mp2_Energy", "Mp2_energy"),
        ("xtb_stresses", "xtb_stress"),
    ],
)
def test_a_key_that_is_nearly_a_label_is_answered_with_the_label(tmp_path, key, meant):
    atoms = molecule("H2O")
    atoms.info["pbe_energy"] = -1.0
    if "force" in key:
        atoms.arrays[key] = np.zeros((3, 3))
    else:
        atoms.info[key] = np.zeros(6) if "stress" in key else -2.0
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    diagnosis = diagnose({"train": read_structures(tmp_path / "a.xyz")})
    (found,) = [one for one in diagnosis.findings if one.code == "unread-keys"]
    assert f"did you mean {meant}?" in found.sentence


def unlabelled(tmp_path, info, arrays):
    atoms = molecule("H2O")
    atoms.info.update(info)
    atoms.arrays.update(arrays)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    diagnosis = diagnose({"train": read_structures(tmp_path / "a.xyz")})
    return {one.code: one.sentence for one in diagnosis.findings}


def test_numbers_under_other_keys_are_named_with_the_command_that_renames_them(tmp_path):
    said = unlabelled(tmp_path, {"DFT_E": -1.5, "step": 3, "charge": 0.0}, {"my_grad": np.ones((3, 3))})
    assert "DFT_E, my_grad hold numbers" in said["no-labels"]
    assert "rung convert --keys energy=DFT_E gradient=my_grad --fidelity NAME" in said["no-labels"]


def test_a_number_whose_name_says_nothing_is_not_called_an_energy(tmp_path):
    said = unlabelled(tmp_path, {"value": -1.5}, {})
    assert "value holds numbers" in said["no-labels"]
    assert "--keys energy=KEY" in said["no-labels"]


def test_bare_keys_are_renamed_by_convert(tmp_path):
    said = unlabelled(tmp_path, {"energy": -1.5}, {})
    assert said["no-labels"] == "train: no frame carries a label of any fidelity."
    assert "rung convert --fidelity NAME" in said["bare-keys"]
