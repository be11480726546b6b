"""The folder of a task: whose it is, what is never written over, and what a killed process leaves."""

from pathlib import Path

import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from rung import __version__
from rung.errors import DataError, StorageError
from rung.results.task import PROVENANCE, TaskProvenance
from rung.storage import write_json, write_text
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import Opened

KIND = TaskFolder("a walk", ("walk.json", "{fidelity}/steps.csv"), begun=("walk.json", "*/steps.csv"), inside=("legs",))
EMT_HERE = {"emt": Opened.of(EMT(), fidelity="emt")}


def test_a_new_folder_says_whose_work_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rung", "walk", "--out", "two words"])
    folder = tmp_path / "out"
    with KIND.open(folder, EMT_HERE, {"start": "one"}) as path:
        assert path == folder
        with pytest.raises(StorageError, match="Another process is working"), KIND.open(folder):
            pass
    content = TaskProvenance.read(folder / PROVENANCE)
    assert (content.task, content.identity) == ("a walk", {"start": "one"})
    assert content.potentials["emt"].source == "ase.calculators.emt:EMT"
    (call,) = content.calls
    assert call.rung == __version__
    assert call.command == "rung walk --out 'two words'"
    assert call.packages["numpy"]
    assert call.date.endswith("+00:00")


def test_the_same_work_goes_on_and_may_grow(tmp_path: Path) -> None:
    for potentials, identity in ((EMT_HERE, {"start": "one"}), ({}, {}), (EMT_HERE, {"start": "one", "setting": "a"})):
        with KIND.open(tmp_path, potentials, identity):
            write_text(tmp_path / "walk.json", "{}")
    content = TaskProvenance.read(tmp_path / PROVENANCE)
    assert content.identity == {"start": "one", "setting": "a"}
    assert list(content.potentials) == ["emt"]
    assert len(content.calls) == 3


def test_a_call_that_kept_nothing_binds_nobody(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such walk"), KIND.open(tmp_path, EMT_HERE, {"start": "one"}):
        raise DataError("There is no such walk.")
    with KIND.open(tmp_path, {}, {"start": "two"}):
        write_text(tmp_path / "walk.json", "{}")
    with pytest.raises(DataError, match="another start"), KIND.open(tmp_path, {}, {"start": "one"}):
        pass


def test_other_work_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with KIND.open(tmp_path, EMT_HERE, {"start": "one"}):
        write_text(tmp_path / "walk.json", "{}")
    before = (tmp_path / PROVENANCE).read_text()
    with pytest.raises(DataError, match="holds a walk of another start"), KIND.open(tmp_path, {}, {"start": "two"}):
        pass
    other = {"emt": Opened.of(LennardJones(), fidelity="emt")}
    sentence = r"another potential at emt \(from ase.calculators.emt:EMT\); choose another folder"
    with pytest.raises(DataError, match=sentence), KIND.open(tmp_path, other):
        pass
    with (
        pytest.raises(DataError, match="holds a walk and not a swim"),
        TaskFolder("a swim", ("walk.json",), begun=("walk.json",)).open(tmp_path),
    ):
        pass
    assert (tmp_path / PROVENANCE).read_text() == before
    write_json(tmp_path / "run" / PROVENANCE, {"rung": "0.1.0", "ingredients": {}})
    with pytest.raises(DataError, match="holds a run of rung fit"), KIND.open(tmp_path / "run"):
        pass


def test_a_file_that_changed_under_its_name_is_another_potential(tmp_path: Path) -> None:
    model = Opened.of(EMT(), fidelity="emt", source="model.rung")
    with KIND.open(tmp_path, {"emt": model}):
        write_text(tmp_path / "walk.json", "{}")
    changed = Opened(model.calculator, "emt", "model.rung", "another fingerprint")
    with pytest.raises(DataError, match="the file has changed since"), KIND.open(tmp_path, {"emt": changed}):
        pass


@pytest.mark.parametrize("name", ["walk.json", "emt/steps.csv"])
def test_what_rung_did_not_make_is_not_written_over(tmp_path: Path, name: str) -> None:
    kind = TaskFolder(KIND.task, KIND.files, begun=("walk.npz",))
    write_text(tmp_path / name, "mine")
    write_text(tmp_path / "notes.txt", "mine too")
    with pytest.raises(StorageError, match=f"{name} is there and rung did not make it"), kind.open(tmp_path, EMT_HERE):
        pass
    assert not (tmp_path / PROVENANCE).exists()
    write_text(tmp_path / "walk.npz", "what rung 0.1 left")
    with kind.open(tmp_path, EMT_HERE):
        assert (tmp_path / name).read_text() == "mine"


def test_what_a_kill_left_is_swept_from_the_task_s_own_folders_alone(tmp_path: Path) -> None:
    own = [tmp_path / ".a.tmp", tmp_path / "emt" / "deep" / ".b.tmp", tmp_path / "legs" / ".c.tmp"]
    foreign = tmp_path / "elsewhere" / ".d.tmp"
    for path in (*own, foreign):
        write_text(path, "half")
    with KIND.open(tmp_path, EMT_HERE):
        assert [path.exists() for path in (*own, foreign)] == [False, False, False, True]
