"""Outputs to structures: by folders, by names, by a table, and one sentence where that does not tell."""

from pathlib import Path

import pytest
from ase import Atoms

from rung.collect.finding import Candidate, find_outputs
from rung.collect.matching import ByGeometry, ByName, Checked, Match, read_table
from rung.collect.output import Series, Total
from rung.data.readers.structures import structure_from
from rung.data.structure import Structure
from rung.errors import DataError
from tests.collect.samples import run_of, write_scalar

NAMES = ("bent", "far", "near")
CONTENT = Series.plain(Path("a"), "QMCPACK", "DMC", run_of(1))


def candidate(tmp_path: Path, name: str) -> Candidate:
    write_scalar(tmp_path / "runs" / name, run_of(1))
    (found,) = find_outputs([tmp_path / "runs"]).outputs
    return found


@pytest.mark.parametrize(
    "name", ["near/qmc/c.s001.scalar.dat", "dmc/near.g000.s001.scalar.dat", "near/near.s001.scalar.dat"]
)
def test_a_folder_or_a_prefix_is_called_like_the_structure(tmp_path: Path, name: str) -> None:
    assert ByName(frozenset(NAMES))(candidate(tmp_path, name), CONTENT) == Match("near")


def test_the_named_folder_itself_counts(tmp_path: Path) -> None:
    write_scalar(tmp_path / "far" / "c.s001.scalar.dat", run_of(1))
    for named in (tmp_path / "far", tmp_path / "far" / "c.s001.scalar.dat"):
        (found,) = find_outputs([named]).outputs
        assert ByName(frozenset(NAMES))(found, CONTENT) == Match("far")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bent/far.s001.scalar.dat", "may be of bent or far; say which in a --table"),
        ("nearer/c.s001.scalar.dat", "no structure is called like its folders or its name"),
    ],
)
def test_no_structure_is_guessed(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        ByName(frozenset(NAMES))(candidate(tmp_path, name), CONTENT)


def test_a_table_names_files_and_folders_and_the_nearest_counts(tmp_path: Path) -> None:
    one = candidate(tmp_path, "1/c.g000.s001.scalar.dat")
    table = tmp_path / "table.csv"
    table.write_text(
        "path,structure_id,cells,weight\nruns,far,,\nruns/1,near,4,\nruns/1/c.g000.s001.scalar.dat,near,4,0.5\n"
    )
    assert read_table(table, NAMES)(one, CONTENT) == Match("near", 4, 0.5)
    table.write_text("# German\npath;structure_id;weight\nruns/1;near;0,5\n")
    assert read_table(table, NAMES)(one, CONTENT) == Match("near", None, 0.5)
    table.write_text("structure_id,path\nnear,runs/1\nfar,runs\n")
    assert read_table(table, NAMES)(one, CONTENT) == Match("near")
    (tmp_path / "runs" / "2").mkdir()
    table.write_text("structure_id,path\nnear,runs/2\n")
    with pytest.raises(DataError, match="stands in no row of"):
        read_table(table, NAMES)(one, CONTENT)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no columns"),
        ("path,name\nruns,near\n", "Unknown column 'structure_id'; there is: name, path"),
        ("path,structure_id,cell\nruns,near,1\n", "Unknown column 'cell'.*Did you mean 'cells'"),
        ("path,structure_id\nruns,neer\n", "line 2: Unknown structure_id 'neer'.*Did you mean 'near'"),
        ("path,structure_id\nabsent,near\n", "line 2: there is no absent in"),
        ("path,structure_id\nruns,near\nruns,far\n", "line 3: runs stands twice"),
        ("path,structure_id\nruns\n", "line 2: the row has 1 entry, and the line of names has 2"),
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


def calculation(tmp_path: Path, positions: list[list[float]], symbols: str = "H3") -> tuple[Candidate, Total]:
    found = candidate(tmp_path, "anything/c.s001.scalar.dat")
    return found, Total(found.path, "ORCA", {"total": -1.0}, Atoms(symbols, positions=positions))


def structures(*bends: float) -> list[Structure]:
    return [structure_from(Atoms("H3", positions=line(bend)), f"bent_{bend}") for bend in bends]


def line(bend: float) -> list[list[float]]:
    return [[0.0, 0.0, -0.93], [0.0, bend, 0.0], [0.0, 0.0, 0.93]]


def test_an_output_that_holds_its_geometry_is_matched_by_it(tmp_path: Path) -> None:
    by_geometry = ByGeometry(structures(0.0, 0.1, 0.104), ByName(frozenset(NAMES)))
    assert by_geometry(*calculation(tmp_path, line(0.1))) == Match("bent_0.1")
    assert by_geometry(*calculation(tmp_path, line(0.104002))) == Match("bent_0.104")
    with pytest.raises(DataError, match="no structure has its geometry"):
        by_geometry(*calculation(tmp_path, line(0.2)))
    with pytest.raises(DataError, match="no structure has its geometry"):
        by_geometry(*calculation(tmp_path, line(0.1), "H2He"))
    with pytest.raises(DataError, match=r"is that of bent_0\.1(04)? and of bent_0\.1"):
        by_geometry(*calculation(tmp_path, line(0.102)))


def test_an_output_without_a_geometry_is_matched_by_name(tmp_path: Path) -> None:
    by_geometry = ByGeometry(structures(0.0), ByName(frozenset(NAMES)))
    assert by_geometry(candidate(tmp_path, "near/c.s001.scalar.dat"), CONTENT) == Match("near")


def test_a_table_that_contradicts_the_geometry_is_refused(tmp_path: Path) -> None:
    output = calculation(tmp_path, line(0.1))
    table = tmp_path / "table.csv"
    known = structures(0.0, 0.1)
    for name, right in (("bent_0.1", True), ("bent_0.0", False)):
        table.write_text(f"path,structure_id\nruns,{name}\n")
        checked = Checked(read_table(table, [one.structure_id for one in known]), known)
        if right:
            assert checked(*output) == Match(name)
        else:
            with pytest.raises(DataError, match=r"holds another geometry than bent_0\.0"):
                checked(*output)
