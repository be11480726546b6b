"""The folder of a task: whose it is, what is never written over, and what a killed process leaves."""

from pathlib import Path

import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from rung import __version__
from rung.errors import DataError, StorageError
from rung.results.task import PROVENANCE, TaskProvenance
from rung.settings import Settings
from rung.storage import TEMPORARY, DamagedFileWarning, write_json, write_text
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
    with pytest.raises(StorageError, match="holds files that rung did not make"), kind.open(tmp_path, EMT_HERE):
        pass
    assert not (tmp_path / PROVENANCE).exists()
    write_text(tmp_path / "walk.npz", "what rung 0.1 left")
    with kind.open(tmp_path, EMT_HERE):
        assert (tmp_path / name).read_text() == "mine"


class Reads(Settings):
    """What the walk is told."""

    track: Path


def test_results_are_never_written_over_what_is_read(tmp_path: Path) -> None:
    with KIND.open(tmp_path, EMT_HERE):
        write_text(tmp_path / "walk.json", "mine, by now")
    reads = Reads(track=tmp_path / "emt" / ".." / "walk.json")
    sentence = "is read, and results would be written over it"
    with pytest.raises(StorageError, match=sentence), KIND.open(tmp_path, EMT_HERE, reads=reads):
        pass
    assert (tmp_path / "walk.json").read_text() == "mine, by now"


def test_results_that_are_missing_or_changed_are_said_and_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with KIND.open(tmp_path, EMT_HERE):
            write_text(tmp_path / "walk.json", "{}")
            write_text(tmp_path / "emt" / "steps.csv", "1")
    (tmp_path / "walk.json").write_text("mine, by now")
    (tmp_path / "emt" / "steps.csv").unlink()
    with pytest.warns(DamagedFileWarning) as said, KIND.open(tmp_path, EMT_HERE):
        write_text(tmp_path / "walk.json", "{}")
    sentences = [str(one.message) for one in said]
    assert any(f"{tmp_path / 'walk.json'} is damaged" in one for one in sentences)
    assert any(f"{tmp_path / 'emt' / 'steps.csv'} is missing" in one for one in sentences)
    assert (tmp_path / "walk.json.damaged").read_text() == "mine, by now"


def test_work_that_was_broken_off_is_no_damage(tmp_path: Path) -> None:
    with KIND.open(tmp_path, EMT_HERE):
        write_text(tmp_path / "walk.json", "{}")
    with pytest.raises(KeyboardInterrupt), KIND.open(tmp_path, EMT_HERE):
        write_text(tmp_path / "walk.json", "half of it")
        raise KeyboardInterrupt
    with KIND.open(tmp_path, EMT_HERE):
        assert (tmp_path / "walk.json").read_text() == "half of it"


def test_what_a_kill_left_is_swept_from_the_task_s_own_folders_alone(tmp_path: Path) -> None:
    own = [tmp_path / name / f".a{TEMPORARY}" for name in (".", "emt/deep", "legs")]
    foreign = [tmp_path / "elsewhere" / f".a{TEMPORARY}", tmp_path / ".mine.tmp", tmp_path / "emt" / ".mine.tmp"]
    write_text(tmp_path / "walk.json", "what rung 0.1 left")
    for path in (*own, *foreign):
        write_text(path, "half")
    with KIND.open(tmp_path, EMT_HERE):
        assert [path.exists() for path in (*own, *foreign)] == [False, False, False, True, True, True]
