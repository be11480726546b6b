"""The table of a study: written, read back, and refused by line and column."""

from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.results.study import COLUMNS, StudyRow, StudySummary, TrialEntry, read_rows, write_rows
from rung.storage import read_json, write_text

ROW = StudyRow(method="a, b", n_labels=10, seed=1, fold=2, split="test", metric="energy_rmse", value=1.0 / 3.0)


def test_rows_are_read_back_to_the_bit(tmp_path: Path) -> None:
    rows = (ROW, ROW.model_copy(update={"value": 1e-17}))
    write_rows(tmp_path / "study.csv", rows)
    assert read_rows(tmp_path / "study.csv") == rows
    assert (tmp_path / "study.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_table_without_folds_has_fold_nought(tmp_path: Path) -> None:
    write_text(tmp_path / "study.csv", "method,n_labels,seed,split,metric,value,more\nreadout,5,0,test,barrier,1.5,x\n")
    (row,) = read_rows(tmp_path / "study.csv")
    assert (row.fold, row.value) == (0, 1.5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"method,seed\nx,1\n", "lacks the column 'n_labels'"),
        (b"", "lacks the column 'method'"),
        (b"\xff\xfe", "is not a readable table"),
        (b"method,n_labels,seed,split,metric,value\nx,5,0,test,barrier,\n", "damaged at 'line 2.value'"),
        (b"method,n_labels,seed,split,metric,value\nx,5,0,test,barrier,1\nx,many,0,t,b,1\n", "'line 3.n_labels'"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "study.csv").write_bytes(content)
    with pytest.raises(StorageError, match=sentence) as caught:
        read_rows(tmp_path / "study.csv")
    assert "study.csv" in str(caught.value)


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"There is no file .*study\.csv"):
        read_rows(tmp_path / "study.csv")


def test_a_trial_has_a_fold_where_there_are_folds(tmp_path: Path) -> None:
    trial = TrialEntry(method="a", change="b = 1", score=float("inf"), scores=(), failed=True, chosen=False)
    summary = StudySummary(title="x", tuning=(trial, trial.model_copy(update={"fold": 1})))
    summary.write(tmp_path / "study.json")
    without, with_fold = read_json(tmp_path / "study.json")["tuning"]
    assert "fold" not in without
    assert with_fold == {**without, "fold": 1}
    assert without["score"] is None
