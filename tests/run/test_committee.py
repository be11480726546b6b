"""A committee is a run for each seed, kept where it is finished, and read by the barrier."""

from pathlib import Path

import pytest

from rung.calculator import RungCalculator
from rung.config import load_config
from rung.data.readers.structures import write_structures
from rung.errors import ConfigError
from rung.run.committee import train_committee
from rung.tasks.domain import EnvelopeSettings, evidence_of
from rung.tasks.opened import Opened
from tests.fit.toy_surface import toy_structures
from tests.run.test_streaming import config_of


@pytest.mark.slow
def test_members_differ_and_a_second_call_adds_what_is_missing(tmp_path: Path) -> None:
    structures = toy_structures(10)
    write_structures(tmp_path / "train.extxyz", structures)
    write_structures(tmp_path / "test.extxyz", toy_structures(3, seed=4))
    config = load_config(config_of(tmp_path, "low", stream=False))
    out = tmp_path / "committee"
    first = train_committee(config, out, 2)
    assert sorted(path.name for path in out.iterdir()) == ["seed-0", "seed-1"]
    again = train_committee(config, out, 3)
    assert [bool(run.stages) for run in again.members] == [False, False, True]
    assert [run.folder.path for run in again.members[:2]] == [run.folder.path for run in first.members]
    (committee,) = evidence_of(EnvelopeSettings(committee=out))
    images = [structure.atoms for structure in structures[:3]]
    potential = Opened.of(RungCalculator(out / "seed-0" / "model.rung", fidelity="low"), fidelity="low")
    spread = committee.along(images, 1, potential)
    assert spread.size > 0
    assert "3 bases of other seeds" in spread.reason


def test_other_methods_and_one_member_are_refused(tmp_path: Path) -> None:
    path = config_of(tmp_path, "low", stream=False)
    with pytest.raises(ConfigError, match="two members or more, not 1"):
        train_committee(load_config(path), tmp_path / "out", 1)
    path.write_text(path.read_text().replace("scratch", "joint"))
    with pytest.raises(ConfigError, match="trained by the method 'scratch' and this config has 'joint'"):
        train_committee(load_config(path), tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()
