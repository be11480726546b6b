"""The card in an exported file: plain JSON that the library of the file passes over."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from ase.io import read

from rung import __version__
from rung.backends import describe, export, load_base
from rung.backends.cards import MEMBER, attach, card_in, card_of
from rung.errors import StorageError
from rung.model.potential import ReadoutPotential
from rung.results.origin import Draw, KnownFile, Origin, TrainingLabels
from tests.backends.comparison import mace_calculator
from tests.pair_backbone import PairBackbone, pair_potential
from tests.pair_backend import BACKEND as PAIR

ORIGIN = Origin(
    rung=__version__,
    method="readout",
    target="pbe",
    labels={"pbe": TrainingLabels(level_of_theory="PBE+D3", n_energies=3, n_forces=0, energy_stderr=float("nan"))},
    data={"data.train": KnownFile(name="train.extxyz", sha256_32="0" * 32)},
)


def test_an_exported_file_says_what_it_is(testbed_base: ReadoutPotential, tmp_path: Path) -> None:
    path = tmp_path / "pbe.model"
    card = card_of(testbed_base, "pbe", ORIGIN).model_copy(update={"draw": Draw(number=1, of=8, seed=0, holds="all")})
    export(testbed_base, "pbe", path, card=card)
    found = card_in(path)
    assert found is not None
    assert found.rung == __version__
    assert found.fidelity == "pbe"
    assert found.reference_energies == {
        "S": testbed_base.surface("pbe").reference.energies[16],
        "Mo": testbed_base.surface("pbe").reference.energies[42],
    }
    assert found.origin is not None
    assert found.origin.labels["pbe"].level_of_theory == "PBE+D3"
    assert found.draw == card.draw
    with zipfile.ZipFile(path) as archive:  # for those who have no rung: unzip -p pbe.model '*/rung.json'
        (member,) = [name for name in archive.namelist() if name.endswith(MEMBER)]
        assert json.loads(archive.read(member))["fidelity"] == "pbe"


def test_a_card_changes_nothing_that_the_library_reads(
    testbed_base: ReadoutPotential, testbed_base_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pbe.model"
    export(testbed_base, "pbe", path)
    before = torch.load(testbed_base_path, weights_only=False).state_dict()
    after = torch.load(path, weights_only=False).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    atoms = read(testbed_base_path.parent / "test.extxyz", index=0)
    energies = [mace_calculator(file, "float32").get_potential_energy(atoms) for file in (testbed_base_path, path)]
    assert energies[0] == energies[1]
    assert load_base(path, fidelity="pbe").fingerprint == testbed_base.fingerprint


def test_the_same_card_makes_the_same_bytes(testbed_base: ReadoutPotential, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.model" for name in "ab"]
    for path in paths:
        export(testbed_base, "pbe", path)
    members = [zipfile.ZipFile(path).getinfo(zipfile.ZipFile(path).namelist()[-1]) for path in paths]
    assert [one.date_time for one in members] == [(1980, 1, 1, 0, 0, 0)] * 2
    assert members[0].CRC == members[1].CRC


def test_any_backend_whose_file_is_an_archive_has_one(tmp_path: Path) -> None:
    potential = pair_potential(PairBackbone(), ("low",))
    path = tmp_path / "low.pair"
    PAIR.export(potential, "low", path)
    assert card_in(path) is None
    attach(path, card_of(potential, "low"))
    attach(path, card_of(potential, "low").model_copy(update={"route": "elsewhere"}))  # the last one counts
    found = card_in(path)
    assert found is not None
    assert (found.fidelity, found.route) == ("low", "elsewhere")
    assert PAIR.load(path, fidelity="low", head=None, trusted=False, dtype=None, device="cpu").fidelities == ("low",)


def test_a_model_in_json_has_it_under_a_key(testbed_base: ReadoutPotential, tmp_path: Path) -> None:
    path = tmp_path / "pbe.json"
    path.write_text(json.dumps({"r_cut": 5.0}))
    attach(path, card_of(testbed_base, "pbe"))
    assert json.loads(path.read_text())["r_cut"] == 5.0
    found = card_in(path)
    assert found is not None
    assert found.fidelity == "pbe"


def test_other_files_have_none_and_stay_as_they_are(testbed_base: ReadoutPotential, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("{ not JSON")
    attach(path, card_of(testbed_base, "pbe"))
    assert path.read_text() == "{ not JSON"
    assert card_in(path) is None


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "is damaged"), ("[]", "holds no JSON object"), ("{}", "is damaged at 'rung'")]
)
def test_a_damaged_card_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    torch.save({"a": 1}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"x/{MEMBER}", text)
    with pytest.raises(StorageError, match=sentence):
        card_in(path)


def test_a_file_is_described_without_running_it(tmp_path: Path) -> None:
    """A pickle whose class is one of mace, and which would write a file if it were run."""
    script = (
        "import sys, types, torch\n"
        "module = types.ModuleType('mace.modules.models'); sys.modules['mace.modules.models'] = module\n"
        "class MACE:\n"
        "    def __reduce__(self): return (open, (sys.argv[2], 'w'))\n"
        "class Holder(list):\n"
        "    pass\n"
        "Holder.__module__ = 'mace.modules.models'; Holder.__qualname__ = 'MACE'; module.MACE = Holder\n"
        "holder = Holder(); holder.append(MACE())\n"
        "torch.save(holder, sys.argv[1])\n"
    )
    path, trap = tmp_path / "x.model", tmp_path / "trap"
    subprocess.run([sys.executable, "-c", script, str(path), str(trap)], check=True, timeout=60)
    with pytest.raises(Exception, match="could run code"):
        describe(path)
    assert not trap.exists()
