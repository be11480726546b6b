"""Tables of energies: CSV, JSON, npz and HDF5 by named columns in a stated unit."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rung.collect.arrays import read_columns
from rung.collect.collecting import collect
from rung.collect.settings import CollectSettings
from rung.collect.tables import TableMeaning, read_all, read_labels
from rung.errors import ConfigError, DataError
from rung.units import HARTREE

COLUMNS = {"structure_id": "id", "energy": "E", "stderr": "err"}
MEANING = TableMeaning(COLUMNS, HARTREE)
ROWS = {"id": ["near", "far"], "E": [-1.5, -2.5], "err": [0.01, 0.02]}
NAMES = frozenset(["near", "far"])


def as_csv(path: Path) -> None:
    path.write_text(
        "id, E,err\n".replace(" ", "") + "".join(f"{a},{b},{c}\n" for a, b, c in zip(*ROWS.values(), strict=True))
    )


def as_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS))


def as_json_rows(path: Path) -> None:
    path.write_text(json.dumps([dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]))


def as_npz(path: Path) -> None:
    np.savez(path, **{name: np.array(values) for name, values in ROWS.items()})


def as_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, values in ROWS.items():
            file[name] = values


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", as_csv), ("a.json", as_json), ("rows.json", as_json_rows), ("a.npz", as_npz), ("a.hdf5", as_hdf5)],
)
def test_a_table_is_read_in_its_unit_whatever_its_format(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    write(path)
    labels, refused = read_labels(path, MEANING, NAMES)
    assert refused == []
    assert [label.structure_id for label in labels] == ["near", "far"]
    assert [label.energy for label in labels] == pytest.approx([-1.5 * HARTREE, -2.5 * HARTREE])
    assert [label.energy_stderr for label in labels] == pytest.approx([0.01 * HARTREE, 0.02 * HARTREE])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "\ufeff# hartree\r\nid;E;err\r\nnear;-1,5;0,01\r\nfar;-2,5;0,02\r\n\r\n"),
        ("a.tsv", "id\tE\terr\nnear\t-1.5\t0.01\nfar\t-2.5\t0.02\n"),
        ("a.txt", "id,E,err\nnear,-1.5,0.01\nfar,-2.5,0.02\n"),
        ("a.DAT", "# id E err\nnear -1.5 0.01\nfar  -2.5 0.02\n"),
        ("a.csv", "id,E,err\nnear,-1.5(0.01),\nfar,-2.50(2),\n"),
        ("a.dat", "id E err\nnear -1.5 0.01\nfar -2.5 0.02\n"),
        ("a.csv", "id;E;err\nnear;-1,50(1);\nfar;-2,5 ± 0,02;\n"),
        ("a.json", '{"id": ["near", "far"], "E": ["-1.50(1)", "-2.5 +/- 0.02"], "err": [null, ""]}'),
    ],
)
def test_a_table_is_read_however_people_write_it(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    labels, refused = read_labels(path, MEANING, NAMES)
    assert refused == []
    assert [label.energy for label in labels] == pytest.approx([-1.5 * HARTREE, -2.5 * HARTREE])
    assert [label.energy_stderr for label in labels] == pytest.approx([0.01 * HARTREE, 0.02 * HARTREE])


def test_an_error_in_the_energy_has_its_unit_and_cells_and_comes_before_the_common_one(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, id=np.array(["near", "far"]), E=np.array(["-8.00(40)", "-4.0"]), n=np.array([4, 1]))
    meaning = TableMeaning({"structure_id": "id", "energy": "E", "cells": "n"}, HARTREE, stderr=0.03)
    (near, far), refused = read_labels(path, meaning, NAMES)
    assert refused == []
    assert (near.energy, near.energy_stderr) == (pytest.approx(-2 * HARTREE), pytest.approx(0.1 * HARTREE))
    assert (far.energy, far.energy_stderr) == (pytest.approx(-4 * HARTREE), 0.03)
    assert near.runs[0].energy_stderr == pytest.approx(0.4 * HARTREE)


def test_a_json_object_of_one_label_is_one_row(tmp_path: Path) -> None:
    """As a script leaves one for each calculation, with lists among its keys that are no columns."""
    path = tmp_path / "near.json"
    path.write_text(json.dumps({"id": "near", "E": -1.5, "err": None, "series": [1.0, 2.0], "host": "a"}))
    ((label,), refused) = read_labels(path, MEANING, NAMES)
    assert refused == []
    assert (label.structure_id, label.energy) == ("near", pytest.approx(-1.5 * HARTREE))
    assert not np.isfinite(label.energy_stderr)


def test_cells_constants_and_a_common_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,E,err,n\nnear,-8.0,0.4,4\nfar,-4.0,,1\n")
    meaning = TableMeaning({**COLUMNS, "cells": "n"}, 1.0, constants={"kinetic": 0.5}, stderr=0.03)
    near, far = read_labels(path, meaning, NAMES)[0]
    assert (near.energy, near.energy_stderr, near.cells) == (pytest.approx(-1.5), pytest.approx(0.1), 4)
    assert (far.energy, far.energy_stderr) == (pytest.approx(-3.5), 0.03)
    assert near.corrections == {"kinetic": 0.5}


def test_one_bad_row_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [
        "near,-1,0.1",
        "neer,-1,0.1",
        ",-1,0.1",
        "far,much,0.1",
        "far,nan,0.1",
        "far,-1,0",
        "near,-2,0.1",
        "far,-1.5(2),0.1",
        "far,-1.5(2,",
        'far,"-1,5",0.1',
        "far,-3,0.1",
    ]
    path.write_text("id,E,err\n" + "\n".join(rows) + "\n")
    labels, refused = read_labels(path, MEANING, NAMES)
    assert [label.energy for label in labels] == pytest.approx([-HARTREE, -3 * HARTREE])
    said = [one.sentence.removeprefix(f"{path}, ") for one in refused]
    assert said == [
        "row 2: Unknown structure_id 'neer'; there is: far, near. Did you mean 'near'?",
        "row 3: it names no structure.",
        "row 4: energy is 'much', and should be a number.",
        "row 5: energy is 'nan', and should be a number.",
        "row 6: stderr is '0', and should be above zero; leave it empty where there is none.",
        "row 7: near stands in an earlier row already.",
        "row 8: energy is '-1.5(2)' and stderr is '0.1'; keep one of the two errors.",
        "row 9: energy is '-1.5(2', whose brackets cannot be read; write -1.1723(5), or -1.1723 +/- 0.0005.",
        "row 10: energy is '-1,5', whose comma may part decimals or thousands; write its decimals after a point.",
    ]


@pytest.mark.parametrize("cells", ["0", "2.5", "many"])
def test_cells_are_whole(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,E,err,n\nnear,-8.0,0.4,{cells}\n")
    labels, refused = read_labels(path, TableMeaning({**COLUMNS, "cells": "n"}, 1.0), NAMES)
    assert labels == []
    assert re.search(f"cells is '{cells}', and should be a (whole )?number", refused[0].sentence)


def test_a_structure_in_two_tables_has_the_energy_of_the_first(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        as_csv(tmp_path / name)
    (tmp_path / "c.csv").write_text("broken")
    labels, refused = read_all([tmp_path / name for name in ("a.csv", "b.csv", "c.csv")], MEANING, NAMES)
    assert len(labels) == 2
    assert [one.sentence.split(":")[1][:20] for one in refused[:2]] == [" near has an energy ", " far has an energy i"]
    assert "Unknown column 'id'" in refused[2].sentence


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xlsx", "", "Unknown suffix of a table '.xlsx'; there is: .csv, .dat"),
        ("a.csv", "", "holds no columns"),
        ("a.csv", "id,E,err\n", "holds no rows"),
        ("a.csv", "id,E,err\nnear,-1\n", "line 2: the row has 2 entries, and the line of names has 3"),
        ("a.csv", "id,E\nnear,-1\n", "Unknown column 'err'; there is: E, id"),
        ("a.csv", "id;E;err\nnear;-1,5;0.1\n", "'-1,5' has a comma and '0.1' in line 2 a point"),
        (
            "a.csv",
            "id,E,err\nnear,-1,5,0,1\n",
            "5 entries, .* has 3; where commas are decimal, part the entries by semi",
        ),
        ("a.csv", "id,E,E,err\nnear,-1,-2,0.1\n", "has two columns E"),
        ("a.txt", "Energies of January\n", "Unknown column 'id'; there is: Energies, January, of"),
        ("a.csv", b"id,E\xb1,err\n", "is no CSV in UTF-8 .*; save it as UTF-8"),
        ("a.json", "{", "is damaged, or no json"),
        ("a.json", "[1, 2]", "neither an object nor a list"),
        ("a.npz", "PK", "is damaged, or no npz"),
        ("a.h5", "HDF", "cannot be read"),
        (
            "a.json",
            '{"id": ["a", "b"], "E": [1], "err": [1]}',
            "not one entry a row|should be a number|names no structure",
        ),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    labels, refused = read_all([path], MEANING, NAMES)
    assert labels == ()
    assert len(refused) == 1
    assert re.search(sentence, refused[0].sentence)


def test_arrays_of_other_lengths_or_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, id=np.array(["near", "far"]), E=np.zeros(3), err=np.ones(3))
    with pytest.raises(DataError, match=r"not equally long \(id has 2, E has 3, err has 3\)"):
        read_labels(path, MEANING, NAMES)
    np.savez(path, id=np.array(["near", "far"]), E=np.zeros((2, 2)), err=np.ones(2))
    with pytest.raises(DataError, match="the column E is not one entry a row"):
        read_labels(path, MEANING, NAMES)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, id=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="damaged, or no npz"):
        read_columns(path)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [({"energy": "E"}, "column of structure_id"), ({"structure_id": "a", "enrgy": "E"}, "Did you mean 'energy'")],
)
def test_what_columns_mean_is_checked(columns: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        TableMeaning(columns, 1.0)


@pytest.mark.parametrize(
    "more", [{"series": (2,)}, {"level": "ccsd"}, {"join": True}, {"mpc": True}, {"equilibration": 3}]
)
def test_what_outputs_alone_have_is_refused_beside_a_table(tmp_path: Path, more: dict[str, object]) -> None:
    """--mpc was passed over, and the user believed that the correction was there."""
    path = tmp_path / "a.csv"
    path.write_text("name,E\na,-1.0\n")
    told = {"paths": (path,), "columns": {"structure_id": "name", "energy": "E"}, "unit": "hartree", **more}
    with pytest.raises(ConfigError, match=f"--{next(iter(more))} is of outputs, and --columns reads finished energies"):
        collect(CollectSettings.read(told))
