"""Tables of text however a spreadsheet or a script parts them: the same entries, or one sentence."""

from pathlib import Path

import pytest

from rung.data.text_table import read_text_table
from rung.errors import DataError

WANTED = [("near", "-1.5", "0.01"), ("far away", "-2.5", "")]


def entries(path: Path, text: bytes | str) -> list[tuple[str, ...]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [tuple(row.entries.values()) for row in read_text_table(path, ("id", "E"), ("E", "err")).rows]


@pytest.mark.parametrize(
    "text",
    [
        "id,E,err\nnear,-1.5,0.01\nfar away,-2.5,\n",
        "id;E;err\nnear;-1.5;0.01\nfar away;-2.5;\n",
        "id; E ;err\nnear ; -1.5; 0.01\nfar away; -2.5; \n",
        "id\tE\terr\nnear\t-1.5\t0.01\nfar away\t-2.5\t\n",
        "id;E;err\nnear;-1,5;0,01\nfar away;-2,5;\n",
        "id\tE\terr\nnear\t-1,5\t0,01\nfar away\t-2,5\t\n",
        '"id","E","err"\n"near","-1.5","0.01"\n"far away","-2.5",""\n',
        "\ufeffid,E,err\r\nnear,-1.5,0.01\r\nfar away,-2.5,\r\n\r\n  \r\n,,\r\n",
        "\ufeff# eV; by a sheet\r\n\r\n  # by hand\r\nid;E;err\r\nnear;-1,5;0,01\r\nfar away;-2,5;\r\n;;\r\n",
        "# of January\n# id,E,err\nnear,-1.5,0.01\nfar away,-2.5,\n",
        "#id;E;err\nnear;-1,5;0,01\nfar away;-2,5;\n",
        "id,E,err\rnear,-1.5,0.01\rfar away,-2.5,\r",
    ],
)
def test_the_line_of_names_says_how_entries_are_parted(tmp_path: Path, text: str) -> None:
    assert entries(tmp_path / "t.csv", text) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "id E err\nnear -1.5 0.01\nfar  -2.5\t 0.02  \n\n",
        "  id   E     err\n near -1,5  0,01\n far  -2,5  0,02\n",
        "# id E err\nnear -1.5 0.01\nfar -2.5 0.02\n",
    ],
)
def test_blanks_may_part_entries(tmp_path: Path, text: str) -> None:
    assert entries(tmp_path / "t.dat", text) == [("near", "-1.5", "0.01"), ("far", "-2.5", "0.02")]


def test_blanks_within_an_energy_part_nothing(tmp_path: Path) -> None:
    text = "id E\na -1.5 +/- 0.1\nb -1.5 ± 0.1\nc -1.5 (1)\nd -1.5+-0.1\n"
    assert [row[1] for row in entries(tmp_path / "t.txt", text)] == ["-1.5+/-0.1", "-1.5±0.1", "-1.5(1)", "-1.5+-0.1"]
    assert entries(tmp_path / "t.txt", "id;E\na;-1,5 ± 0,1\nb;-1,5(1)\n") == [("a", "-1.5 ± 0.1"), ("b", "-1.5(1)")]


def test_a_name_that_begins_with_a_hash_is_found(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("#id,E\na,1\n")
    table = read_text_table(tmp_path / "t.csv", ("#id", "E"), ("E",))
    assert [(row.line, dict(row.entries)) for row in table.rows] == [(2, {"#id": "a", "E": "1"})]


def test_commas_in_other_columns_stay(tmp_path: Path) -> None:
    assert entries(tmp_path / "t.csv", "id;E;err\n1,5;-1,5;\n2.5;-2,5;\n") == [("1,5", "-1.5", ""), ("2.5", "-2.5", "")]
    assert entries(tmp_path / "t.csv", 'id,E\na,"-1,5"\n') == [("a", "-1,5")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id;E;err\na;-1,5;\nb;-2.5;\n", "line 2: '-1,5' has a comma and '-2.5' in line 3 a point"),
        ("id;E;err\na;-1,5;0.1\n", "line 2: '-1,5' has a comma and '0.1' in line 2 a point"),
        ("id;E\na;1.234,5\n", "line 2: '1.234,5' has a comma and '1.234,5' in line 2 a point"),
        ("id\tE\na\t-1,234,567\n", "line 2: '-1,234,567' has commas that part thousands; leave them out."),
        (
            "id,E\na,-1,5\n",
            "line 2: the row has 3 entries, and the line of names has 2; where commas are decimal, part",
        ),
        ("id E\na -1.5 0.1\n", "line 2: the row has 3 entries, and the line of names has 2."),
        ("# comment\n\nid;E\n\na\n", "line 5: the row has 1 entry, and the line of names has 2."),
        ("# id,energy\na,-1.5\n", "Unknown column 'id'; there is: -1.5, a."),
        ("# id,E\n# more\na,-1.5\n", "Unknown column 'id'; there is: -1.5, a."),
        ("# only\n", "holds no columns"),
        ('id;E\n"a;1\n', "is no CSV"),
        (b"\xff\xfei\x00d\x00", "is no CSV in UTF-8"),
    ],
)
def test_what_is_in_doubt_is_one_sentence(tmp_path: Path, text: bytes | str, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        entries(tmp_path / "t.csv", text)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))
