"""A table of energies: what is written is read back, and each damage is one sentence with its line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from rung.data.energy_table import (
    EnergyRow,
    EnergyTable,
    faults,
    read_energy_tables,
    require_faultless,
    with_table,
    write_energy_table,
)
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import DataError

HEAD = "structure_id,fidelity,energy,stderr,minus_structure_id,run,shared_stderr"


def structures(*names: str) -> tuple[Structure, ...]:
    return tuple(Structure(Atoms("H", positions=[[k, 0, 0]]), name, {}) for k, name in enumerate(names))


def table(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_rows_are_read_back_to_the_last_bit(tmp_path: Path) -> None:
    rows = (
        EnergyRow("a", "dmc", 1 / 3, 0.1, run="w", shared_stderr=0.09),
        EnergyRow("b", "dmc", -2.0 / 7, 0.01, minus="a", run="w", shared_stderr=-0.005),
        EnergyRow("c", "cc", 5e-324),
    )
    write_energy_table(tmp_path / "labels.csv", rows)
    again = read_energy_tables([tmp_path / "labels.csv"]).rows
    told = [
        (one.structure_id, one.fidelity, one.energy, one.minus, one.run, one.shared_stderr) for one in (*rows, *again)
    ]
    assert told[:3] == told[3:]
    assert [row.stderr for row in again[:2]] == [0.1, 0.01]
    assert np.isnan(again[2].stderr)
    assert again[1].place == f"{tmp_path / 'labels.csv'}, line 3"


def test_few_columns_are_enough_and_keys_rename(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "a,REF,1.5", head="structure_id,fidelity,energy")
    (row,) = read_energy_tables([path], {"dmc": "REF"}).rows
    assert (row.fidelity, row.energy, row.minus, row.run) == ("dmc", 1.5, "", "")


@pytest.mark.parametrize(
    "text",
    [
        "structure_id,fidelity,energy\na,dmc,-1.1723(5)\nb,dmc,-1.5\n",
        "structure_id,fidelity,energy,stderr\na,dmc,-1.1723 ± 0.0005,\nb,dmc,-1.5,\n",
        "\ufeff# eV\r\nstructure_id;fidelity;energy;stderr\r\na;dmc;-1,1723;0,0005\r\nb;dmc;-1,5;\r\n\r\n",
        "structure_id\tfidelity\tenergy\na\tdmc\t-1,1723(5)\nb\tdmc\t-1,5\n",
        "# structure_id fidelity energy\na dmc -1.1723 +/- 0.0005\nb dmc -1.5\n",
    ],
)
def test_energies_are_read_however_people_write_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    a, b = read_energy_tables([path]).rows
    assert (a.structure_id, a.fidelity, a.energy, a.stderr) == ("a", "dmc", -1.1723, 0.0005)
    assert (b.energy, np.isnan(b.stderr)) == (-1.5, True)


def test_decimal_commas_of_all_numbers_are_read_or_none(tmp_path: Path) -> None:
    head = "structure_id;fidelity;energy;stderr;run;shared_stderr"
    (row,) = read_energy_tables([table(tmp_path / "t.csv", "a;dmc;-1,5(2);;w;0,1", head=head)]).rows
    assert (row.energy, row.stderr, row.shared_stderr) == (-1.5, 0.2, 0.1)
    with pytest.raises(DataError, match=r"'-1,5' has a comma and '0\.1' in line 2 a point"):
        read_energy_tables([table(tmp_path / "t.csv", "a;dmc;-1,5;0,2;w;0.1", head=head)])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (",dmc,1,,,,", "structure_id is empty"),
        ("a,,1,,,,", "fidelity is empty"),
        ("a,dmc,,,,,", "energy is empty"),
        ("a,dmc,x,,,,", "energy is 'x'"),
        ("a,dmc,nan,,,,", "energy is 'nan'"),
        ("a,dmc,1,inf,,,", "stderr is 'inf'"),
        ("a,dmc,1,0,,,", "stderr is '0'"),
        ("a,dmc,1,-0.1,,,", "stderr is '-0.1'"),
        ("a,dmc,1,0.1,a,,", "less itself"),
        ("a,dmc,1,0.1,,w,", "run and shared_stderr belong together"),
        ("a,dmc,1,0.1,,,0.1", "run and shared_stderr belong together"),
        ("a,dmc,1,0.1,,w,0.2", "cannot be larger"),
        ("a,dmc,1,,,w,0.2", "cannot be larger"),
        ("a,dmc,1(1),0.1,,,", r"energy is '1\(1\)' and stderr is '0.1'; keep one of the two errors"),
        ("a,dmc,1(1,,,,", r"energy is '1\(1', whose brackets cannot be read"),
        ('a,dmc,"1,5",,,,', "energy is '1,5', whose comma may part decimals or thousands"),
        ("a,dmc,1,5,0,1,,,,", "where commas are decimal, part the entries by semicolons"),
        ("a,dmc,1", "the row has 3 entries"),
        ("a,dmc,1,0.1,,,,,", "the row has 9 entries"),
    ],
)
def test_a_damaged_row_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = table(tmp_path / "labels.csv", "b,dmc,1,0.1,,,", line)
    with pytest.raises(DataError, match=said) as caught:
        read_energy_tables([path])
    assert "labels.csv, line 3: " in str(caught.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    for text, said in (
        (HEAD + "\n", "no row"),
        ("", "holds no columns"),
        ("structure_id,fidelity\na,b\n", "Unknown column 'energy'; there is: fidelity, structure_id"),
        ("structure_id,fidelity,energy,sigma\na,b,1,2\n", "Unknown column 'sigma'"),
        ("structure_id,fidelity,energy,energy\na,b,1,2\n", "two columns"),
        ('structure_id,fidelity,energy\na,b,"1\n', "no CSV"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said) as caught:
            read_energy_tables([path])
        assert "labels.csv" in str(caught.value)
    path.write_bytes(HEAD.encode() + b"\n\xff,b,1,,,,\n")
    with pytest.raises(DataError, match="no CSV"):
        read_energy_tables([path])
    with pytest.raises(DataError, match="cannot be read"):
        read_energy_tables([tmp_path / "none.csv"])


def test_energies_become_labels_of_the_first_frame_of_their_name() -> None:
    twice = (*structures("a", "b"), *structures("a"))
    given = with_table(
        twice, EnergyTable((EnergyRow("a", "dmc", 2.0, 0.1), EnergyRow("b", "dmc", 1.0, 0.2, minus="a")))
    )
    assert given[0].labels["dmc"].energy == 2.0
    assert given[0].labels["dmc"].energy_stderr == 0.1
    assert [len(one.labels) for one in given] == [1, 0, 0]


def test_what_cannot_be_used_beside_the_structures_is_named() -> None:
    label = replace(empty_labels(1), energy=1.0)
    labelled = Structure(Atoms("He"), "own", {"dmc": label})
    splits = {"train": (*structures("a", "b"), labelled), "test": structures("z")}
    rows = (
        EnergyRow("a", "dmc", 1.0, place="1"),
        EnergyRow("nobody", "dmc", 1.0, place="2"),
        EnergyRow("a", "dmc", 1.0, minus="z", place="3"),
        EnergyRow("own", "dmc", 1.0, place="4"),
        EnergyRow("a", "dmc", 1.1, place="5"),
        EnergyRow("a", "dmc", 1.0, minus="b", place="6"),
        EnergyRow("b", "dmc", 1.0, minus="a", place="7"),
        EnergyRow("b", "dmc", 1.0, 0.1, minus="a", run="w", shared_stderr=0.1, place="8"),
        EnergyRow("a", "cc", 1.0, place="9"),
    )
    found = {fault.row.place: fault for fault in faults(EnergyTable(rows), splits, ["dmc"])}
    assert {place: fault.code for place, fault in found.items()} == {
        "2": "table-unknown",
        "3": "table-splits",
        "4": "table-twice",
        "5": "table-twice",
        "7": "table-twice",
        "9": "table-fidelity",
    }
    assert "Unknown structure_id 'nobody'; there is: a, b, own, z." in found["2"].sentence
    assert "stands in 6 too" in found["7"].sentence
    with pytest.raises(DataError, match=r"nobody.* 5 more rows"):
        require_faultless(EnergyTable(rows), splits, ["dmc"])
    good = EnergyTable((rows[0], rows[5], rows[7]))
    assert require_faultless(good, splits, ["dmc"]) is good


def test_the_nearest_of_many_names_is_told() -> None:
    many = structures(*(f"train-{k:03d}" for k in range(30)))
    (fault,) = faults(EnergyTable((EnergyRow("train-15", "dmc", 1.0, place="x"),)), {"train": many}, ())
    assert fault.sentence == "x: no structure is called 'train-15'. Did you mean 'train-015'?"
