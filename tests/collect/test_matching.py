"""Outputs to structures: by folders, by names, by a table, and one sentence where that does not tell."""

from pathlib import Path

import pytest

from rung.collect.finding import Candidate, find_outputs
from rung.collect.matching import ByName, Match, read_table
from rung.errors import DataError
from tests.collect.samples import run_of, write_scalar

NAMES = ("bent", "far", "near")


def candidate(tmp_path: Path, name: str) -> Candidate:
    write_scalar(tmp_path / "runs" / name, run_of(1))
    (found,) = find_outputs([tmp_path / "runs"]).outputs
    return found


@pytest.mark.parametrize(
    "name", ["near/qmc/c.s001.scalar.dat", "dmc/near.g000.s001.scalar.dat", "near/near.s001.scalar.dat"]
)
def test_a_folder_or_a_prefix_is_called_like_the_structure(tmp_path: Path, name: str) -> None:
    assert ByName(frozenset(NAMES))(candidate(tmp_path, name)) == Match("near")


def test_the_named_folder_itself_counts(tmp_path: Path) -> None:
    write_scalar(tmp_path / "far" / "c.s001.scalar.dat", run_of(1))
    for named in (tmp_path / "far", tmp_path / "far" / "c.s001.scalar.dat"):
        (found,) = find_outputs([named]).outputs
        assert ByName(frozenset(NAMES))(found) == Match("far")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bent/far.s001.scalar.dat", "may be of bent or far; say which in a --table"),
        ("nearer/c.s001.scalar.dat", "no structure is called like its folders or its name"),
    ],
)
def test_no_structure_is_guessed(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        ByName(frozenset(NAMES))(candidate(tmp_path, name))


def test_a_table_names_files_and_folders_and_the_nearest_counts(tmp_path: Path) -> None:
    one = candidate(tmp_path, "1/c.g000.s001.scalar.dat")
    table = tmp_path / "table.csv"
    table.write_text(
        "path,structure_id,cells,weight\nruns,far,,\nruns/1,near,4,\nruns/1/c.g000.s001.scalar.dat,near,4,0.5\n"
    )
    assert read_table(table, NAMES)(one) == Match("near", 4, 0.5)
    table.write_text("structure_id,path\nnear,runs/1\nfar,runs\n")
    assert read_table(table, NAMES)(one) == Match("near")
    (tmp_path / "runs" / "2").mkdir()
    table.write_text("structure_id,path\nnear,runs/2\n")
    with pytest.raises(DataError, match="stands in no row of"):
        read_table(table, NAMES)(one)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no column path; there is: none"),
        ("path,name\nruns,near\n", "no column structure_id; there is: path, name"),
        ("path,structure_id,cell\nruns,near,1\n", "Unknown column 'cell'.*Did you mean 'cells'"),
        ("path,structure_id\nruns,neer\n", "line 2: Unknown structure_id 'neer'.*Did you mean 'near'"),
        ("path,structure_id\nabsent,near\n", "line 2: there is no absent in"),
        ("path,structure_id\nruns,near\nruns,far\n", "line 3: runs stands twice"),
        ("path,structure_id\nruns\n", "line 2: the row has more or fewer entries"),
        ("path,structure_id,cells\nruns,near,1.5\n", "line 2: cells is '1.5'"),
        ("path,structure_id,weight\nruns,near,nan\n", "line 2: weight is 'nan'"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    candidate(tmp_path, "near/c.s001.scalar.dat")
    table = tmp_path / "table.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=sentence):
        read_table(table, NAMES)
