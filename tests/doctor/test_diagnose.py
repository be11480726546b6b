"""The doctor as a whole: silence on clean data, findings in order, as JSON, of structures and of files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rung.data.readers.structures import write_structures
from rung.demo_data import folder
from rung.doctor import CHECKS, PLAIN_CHECKS, diagnose, diagnose_files
from rung.errors import DataError
from rung.units import GPA
from tests.doctor.analytic import Morse, relabelled
from tests.doctor.sabotage import (
    at,
    everywhere,
    found,
    hartree,
)

NEGATIVE = at({5}, lambda s: relabelled(s, "r2scan", energy_stderr=-0.02))
NET_FORCE = at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: f + np.array([0.1, 0, 0])))


def test_the_testbed_is_sound():
    path = folder("mos2")
    diagnosis = diagnose_files(sorted(path.glob("*.extxyz")), target="r2scan")
    assert not found(diagnosis)
    rows = {(row.split, row.fidelity): row for row in diagnosis.census}
    assert (rows["train.extxyz", "r2scan"].n_energies, rows["train.extxyz", "r2scan"].n_stderr) == (100, 100)
    assert rows["test.extxyz", "r2scan"].n_forces == 120
    assert rows["ood.extxyz", "pbe"].n_formulas == 3


def test_the_molecules_are_sound(reactive):
    assert not found(diagnose(reactive, target="dft"))


def test_small_sets_are_sound(mos2, nickel):
    assert not found(diagnose(mos2, target="r2scan"))
    assert not found(diagnose(nickel, target="dear", base=Morse(), base_fidelity="cheap"))


def test_sabotage_of_the_testbed_is_found_with_its_base(mos2, testbed_base):
    for change, code in (
        ({"forces": lambda f: -f}, "gradients-as-forces"),
        ({"stress": lambda s: -s}, "stress-sign"),
        ({"stress": lambda s: s / GPA}, "stress-unit"),
        ({"energy": hartree}, "energy-unit"),
    ):
        train = tuple(replace(s, labels={"pbe": s.labels["pbe"]}) for s in mos2["train"][:40])
        splits = {"train": everywhere("pbe", **change)(train)}
        diagnosis = diagnose(splits, base=testbed_base, base_fidelity="pbe")
        assert ("error", code) in found(diagnosis)


def test_nothing_is_found_in_nothing():
    assert diagnose({}).worst is None
    assert diagnose({"train": ()}).worst is None


def test_errors_come_first(mos2):
    bad = {**mos2, "train": NEGATIVE(NET_FORCE(mos2["train"]))}
    diagnosis = diagnose(bad, target="r2scan")
    assert [f.severity for f in diagnosis.findings] == sorted(
        (f.severity for f in diagnosis.findings), key=("error", "warning", "note").index
    )
    assert diagnosis.worst == "error"


def test_the_result_is_json(mos2):
    diagnosis = diagnose({**mos2, "train": NET_FORCE(mos2["train"])}, target="r2scan")
    content = json.loads(json.dumps(diagnosis.as_json(), allow_nan=False))
    assert content["worst"] == "warning"
    assert content["findings"][0]["code"] == "net-force"
    assert content["findings"][0]["structures"] == ["train-005"]
    assert content["census"][0]["n_energies"] == 150


def test_files_are_splits(tmp_path, nickel):
    write_structures(tmp_path / "train.extxyz", nickel["train"])
    (tmp_path / "more").mkdir()
    write_structures(tmp_path / "more" / "train.extxyz", nickel["test"])
    paths = [tmp_path / "train.extxyz", tmp_path / "more" / "train.extxyz"]
    diagnosis = diagnose_files(paths, target="dear", base=Morse(), base_fidelity="cheap")
    assert not found(diagnosis)
    assert {row.split for row in diagnosis.census} == {str(path) for path in paths}
    with pytest.raises(DataError, match="named twice"):
        diagnose_files([paths[0], paths[0]])
    with pytest.raises(DataError, match="There is no file"):
        diagnose_files([tmp_path / "absent.extxyz"])


def test_only_one_of_several_files_needs_energies_of_the_target(tmp_path, nickel):
    """Low labels in one file, those of the target in another: the set is sound, whichever is named first."""
    paths = [tmp_path / "low.extxyz", tmp_path / "labels.extxyz"]
    write_structures(paths[0], [replace(one, labels={"cheap": one.labels["cheap"]}) for one in nickel["test"]])
    # a copy of a label is looked for where a fit would learn
    copy = replace(nickel["train"][0], structure_id="again")
    write_structures(paths[1], [*nickel["train"], copy])
    for order in (paths, paths[::-1]):
        diagnosis = diagnose_files(order, target="dear")
        assert found(diagnosis) == {("warning", "repeated-label")}
        (note,) = [one for one in diagnosis.findings if one.code == "no-target-labels"]
        assert note.splits == ("low.extxyz",)
    (error,) = diagnose_files(paths, target="deer").of_severity("error")
    assert error.sentence.startswith(
        "low.extxyz: no frame has an energy of the target 'deer', so nothing can be learnt"
    )
    assert "there is: cheap, dear" in error.sentence


def test_every_check_says_what_it_finds():
    checks = (*PLAIN_CHECKS, *CHECKS)
    assert len({check.__name__ for check in checks}) == len(checks)
    assert all(check.__doc__ and check.__doc__.startswith("Find ") for check in checks)
