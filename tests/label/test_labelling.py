"""A folder of labels: each made once, a bad one alone, more structures and more precision on request, nothing lost."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.errors import ConfigError, DataError, StorageError, UnconvergedError, UntrustedError
from rung.label.engines import ENGINES
from rung.label.engines.ase import AseEngine
from rung.label.engines.known import KnownEngine
from rung.label.labelling import label_structures
from rung.results.label import LABEL_FILE, LabelRecord
from rung.storage import FolderLock, read_json, write_json
from tests.label.springs import molecules, rattled, springs


def test_every_structure_gets_the_calculator_s_energy_and_forces(tmp_path: Path) -> None:
    made = label_structures(molecules(), "low", springs(stiffness=2.0), tmp_path / "labels")
    assert made.failed == {}
    assert made.n_new == 3
    frames = {frame.structure_id: frame for frame in read_structures(made.file)}
    for one in molecules():
        distances = one.atoms.positions[:, None] - one.atoms.positions[None]
        labels = frames[one.structure_id].labelled("low")
        assert labels.energy == pytest.approx(0.5 * (distances**2).sum(), rel=1e-12)
        np.testing.assert_allclose(labels.forces, -2.0 * distances.sum(axis=1), rtol=1e-12)
        assert np.isnan(labels.energy_stderr)
        record = made.records[one.structure_id]
        assert record.versions.keys() >= {"rung", "python", "numpy", "ase"}
        assert record.cpu_seconds >= 0


def test_a_label_is_made_once_and_a_folder_grows(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    engine = springs(calls=str(calls))
    label_structures(molecules("H2O", "CH4"), "low", engine, tmp_path / "labels")
    made = label_structures(molecules("CH4", "NH3"), "low", engine, tmp_path / "labels")
    assert calls.read_text().split() == ["H2O", "CH4", "H3N"]
    assert made.n_new == 1
    assert [frame.structure_id for frame in read_structures(made.file)] == ["H2O", "CH4", "NH3"]


def test_other_labels_and_what_is_asked_for_stay_with_a_frame(tmp_path: Path) -> None:
    (water,) = read_structures(label_structures(molecules("H2O"), "low", springs(), tmp_path / "low").file)
    made = label_structures([water], "high", springs(stiffness=3.0), tmp_path / "high")
    (frame,) = read_structures(made.file)
    assert frame.labelled("low").energy == water.labelled("low").energy
    assert frame.labelled("high").energy == pytest.approx(3.0 * water.labelled("low").energy)


def test_what_fails_fails_alone_and_is_not_tried_again_in_vain(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    engine = springs(hates="C", calls=str(calls))
    made = label_structures(molecules(), "low", engine, tmp_path / "labels", attempts=3)
    assert list(made.records) == ["H2O", "NH3"]
    assert list(made.failed) == ["CH4"]
    assert "no C here" in made.failed["CH4"]
    label_structures(molecules(), "low", engine, tmp_path / "labels")
    assert calls.read_text().split() == ["H2O", "CH4", "H3N"]
    label_structures(molecules(), "low", engine, tmp_path / "labels", retry=True)
    assert calls.read_text().split() == ["H2O", "CH4", "H3N", "CH4"]


def test_a_folder_of_other_labels_is_refused(tmp_path: Path) -> None:
    label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")
    with pytest.raises(DataError, match="another value of the engine's 'arguments'"):
        label_structures(molecules("CH4"), "low", springs(stiffness=2.0), tmp_path / "labels")
    with pytest.raises(DataError, match="holds labels of low"):
        label_structures(molecules("CH4"), "high", springs(), tmp_path / "labels")
    moved = rattled(molecules("H2O")[0], "H2O")
    with pytest.raises(DataError, match="another geometry called H2O"):
        label_structures([moved], "low", springs(), tmp_path / "labels")
    assert list(label_structures(molecules("CH4"), "low", springs(), tmp_path / "labels").records) == ["H2O", "CH4"]


def test_settings_that_failed_everywhere_may_be_mended_in_the_same_folder(tmp_path: Path) -> None:
    assert label_structures(molecules("CH4"), "low", springs(hates="C"), tmp_path / "labels").failed
    assert not label_structures(molecules("CH4"), "low", springs(), tmp_path / "labels").failed


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"thesis\.txt"):
        label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")


def test_two_calls_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "labels"), pytest.raises(StorageError, match="Another process"):
        label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")


def test_a_structure_that_has_such_an_energy_is_refused(tmp_path: Path) -> None:
    frames = read_structures(label_structures(molecules("H2O"), "low", springs(), tmp_path / "a").file)
    with pytest.raises(DataError, match="has an energy of low already"):
        label_structures(frames, "low", springs(), tmp_path / "b")


@pytest.mark.parametrize("name", ["a/b", "../../up", "ü b", ".hidden", "x" * 300, "-rf", ""])
def test_any_name_of_a_structure_has_a_folder_of_its_own(name: str, tmp_path: Path) -> None:
    structures = [replace(molecules("H2O")[0], structure_id=name), *molecules("CH4")]
    made = label_structures(structures, "low", springs(), tmp_path / "labels")
    assert list(made.records) == [name, "CH4"]
    assert len(list((tmp_path / "labels" / "structures").iterdir())) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_record_is_said_and_made_again(tmp_path: Path) -> None:
    made = label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")
    record = tmp_path / "labels" / "structures" / "H2O" / "job" / "metrics.json"
    record.write_text(record.read_text().replace("energy", "enemy", 1))
    with pytest.warns(UserWarning, match="is damaged"):
        again = label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")
    assert again.n_new == 1
    assert LabelRecord.read(record).energy == made.records["H2O"].energy


def test_code_runs_only_where_the_user_trusts_it(tmp_path: Path) -> None:
    engine = AseEngine(calculator="tests.label.springs:Springs")
    with pytest.raises(UntrustedError, match="trusted: true"):
        label_structures(molecules("H2O"), "low", engine, tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def known(tmp_path: Path, **settings: object) -> KnownEngine:
    truth = label_structures(molecules(), "truth", springs(), tmp_path / "truth")
    return KnownEngine.read({"files": [str(truth.file)], "key": "truth", **settings})


def test_noise_is_of_the_size_asked_for_and_a_finer_label_replaces_a_coarser_one(tmp_path: Path) -> None:
    engine = known(tmp_path, noise=True)
    first = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=0.5)
    assert {record.energy_stderr for record in first.records.values()} == {0.5}
    coarser = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=1.0)
    assert coarser.n_new == 0
    asked = [replace(one, info={"dmc_stderr_wanted": 0.1}) for one in molecules("H2O")]
    finer = label_structures(asked, "dmc", engine, tmp_path / "dmc", stderr=0.5)
    assert finer.n_new == 1
    assert finer.records["H2O"].energy_stderr == 0.1
    assert finer.records["CH4"] == first.records["CH4"]
    truth = 0.25 * ((molecules("H2O")[0].atoms.positions[:, None] - molecules("H2O")[0].atoms.positions) ** 2).sum()
    assert 0 < abs(finer.records["H2O"].energy - truth) < 0.5


def test_how_precise_a_label_has_to_be_must_be_said(tmp_path: Path) -> None:
    engine = known(tmp_path, noise=True)
    with pytest.raises(ConfigError, match="dmc_stderr_wanted"):
        label_structures(molecules(), "dmc", engine, tmp_path / "dmc")
    wrong = [replace(one, info={"dmc_stderr_wanted": -1.0}) for one in molecules("H2O")]
    with pytest.raises(DataError, match="dmc_stderr_wanted is -1"):
        label_structures(wrong, "dmc", engine, tmp_path / "dmc")


def test_a_time_limit_fails_one_structure_alone(tmp_path: Path) -> None:
    engine = springs(seconds=20.0, slow="C")
    made = label_structures(molecules(), "low", engine, tmp_path / "labels", time_limit=0.3, attempts=2)
    assert list(made.records) == ["H2O", "NH3"]
    assert "time limit of 0.3 s is over" in made.failed["CH4"]


def test_what_fails_by_an_accident_is_tried_as_often_as_asked(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    engine = springs(calls=str(calls), stiffness="soft")
    made = label_structures(molecules("H2O"), "low", engine, tmp_path / "labels", attempts=3)
    assert "TypeError" in made.failed["H2O"]
    assert len(calls.read_text().split()) == 3
    label_structures(molecules("H2O"), "low", engine, tmp_path / "labels")
    assert len(calls.read_text().split()) == 4


def test_a_label_that_was_removed_is_missing_and_made_again_on_request(tmp_path: Path) -> None:
    made = label_structures(molecules("H2O", "CH4"), "low", springs(), tmp_path / "labels")
    shutil.rmtree(made.folder / "structures" / "H2O")
    made = label_structures(molecules("NH3"), "low", springs(), tmp_path / "labels")
    assert list(made.records) == ["CH4", "NH3"]
    assert [entry.state for entry in made.labelled.entries] == ["missing", "labelled", "labelled"]
    made = label_structures(molecules("H2O"), "low", springs(), tmp_path / "labels")
    assert list(made.records) == ["H2O", "CH4", "NH3"]


def test_one_geometry_in_two_states_is_refused(tmp_path: Path) -> None:
    """Unnamed frames are called after their geometry, and the anion was never computed."""
    (water,) = molecules("H2O")
    for other in ({"charge": -1}, {"multiplicity": 3}):
        with pytest.raises(DataError, match="names one geometry in two states of the electrons"):
            label_structures([water, replace(water, info=other)], "low", springs(), tmp_path / "labels")
    neutral = replace(water, info={"charge": 0})
    assert label_structures([water, neutral], "low", springs(), tmp_path / "labels").n_new == 1


def test_a_known_label_of_another_state_is_not_taken(tmp_path: Path) -> None:
    (water,) = molecules("H2O")
    labels = replace(empty_labels(3), energy=-100.0)
    write_structures(tmp_path / "ions.extxyz", [replace(water, labels={"cc": labels}, info={"charge": -1})])
    engine = KnownEngine.read({"files": [str(tmp_path / "ions.extxyz")]})
    made = label_structures([water], "cc", engine, tmp_path / "neutral")
    assert list(made.failed) == ["H2O"] and "its geometry and its state" in made.failed["H2O"]
    made = label_structures([replace(water, info={"charge": -1})], "cc", engine, tmp_path / "ion")
    assert made.records["H2O"].energy == -100.0


def test_another_seed_neither_decides_nor_loses_a_label(tmp_path: Path) -> None:
    label_structures(molecules(), "low", springs(), tmp_path / "labels")
    assert label_structures(molecules(), "low", springs(), tmp_path / "labels", seed=1).n_new == 0
    noisy = known(tmp_path, noise=True)
    before = label_structures(molecules(), "dmc", noisy, tmp_path / "dmc", stderr=0.5)
    with pytest.raises(DataError, match="made with another seed, which would be lost"):
        label_structures(molecules(), "dmc", noisy, tmp_path / "dmc", stderr=0.5, seed=1)
    assert label_structures(molecules(), "dmc", noisy, tmp_path / "dmc", stderr=0.5).records == before.records


def test_a_first_call_that_was_interrupted_guards_its_labels_too(tmp_path: Path) -> None:
    label_structures(molecules(), "low", springs(), tmp_path / "labels")
    file = tmp_path / "labels" / LABEL_FILE
    write_json(file, {**read_json(file), "entries": []})  # as before a call ends
    with pytest.raises(DataError, match="another value of the engine's 'arguments'"):
        label_structures(molecules(), "low", springs(stiffness=2.0), tmp_path / "labels")
    assert len(list((tmp_path / "labels").glob("structures/*/job/metrics.json"))) == 3


def test_a_finer_label_that_is_not_made_leaves_the_coarser_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night of Monte Carlo that fails may not cost what the night before gave."""
    engine = known(tmp_path, noise=True)
    first = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=0.5)

    def fails(*_: object) -> None:
        raise UnconvergedError("The walk diverges.")

    with monkeypatch.context() as patch:
        patch.setitem(ENGINES, "known", replace(ENGINES["known"], label=fails))
        tried = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=0.1, at_most=1)
    assert tried.records == first.records
    assert [frame.structure_id for frame in read_structures(tried.file)] == ["H2O", "CH4", "NH3"]
    assert tried.failed == {"H2O": "The walk diverges. Its label of 0.5 eV, made before, is kept."}
    methane = tried.labelled.entries[1]
    assert "0.1 eV was asked for since" in methane.warnings[-1] and methane.stderr_wanted == 0.1
    again = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=0.5)
    assert again.n_new == 0 and again.records == first.records
    finer = label_structures(molecules(), "dmc", engine, tmp_path / "dmc", stderr=0.1, retry=True)
    assert finer.n_new == 3
    assert {record.energy_stderr for record in finer.records.values()} == {0.1}
    assert not list((tmp_path / "dmc").glob("structures/*/coarser"))


def test_a_project_that_was_moved_goes_on(tmp_path: Path) -> None:
    """Labels are made on a cluster and gone on with at home; files count by their name and content."""
    there, home = tmp_path / "there", tmp_path / "home"
    engine = known(there)
    first = label_structures(molecules("H2O"), "cc", engine, there / "cc")
    there.rename(home)
    moved = KnownEngine.read({"files": [str(home / "truth" / "labels.extxyz")], "key": "truth"})
    made = label_structures(molecules("H2O", "CH4"), "cc", moved, home / "cc")
    assert made.n_new == 1
    assert made.records["H2O"] == first.records["H2O"]
