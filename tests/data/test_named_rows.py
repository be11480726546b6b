"""A table with a line of names: its rows by name, and one sentence for each way to be damaged."""

from pathlib import Path

import pytest

from rung.data.named_rows import named_rows
from rung.errors import DataError


def rows(path: Path, text: bytes) -> list[tuple[str, dict[str, str]]]:
    path.write_bytes(text)
    return [(where, dict(row)) for where, row in named_rows(path, ("a",), ("a", "b"))]


def test_rows_have_their_line_and_their_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert rows(path, b"\xef\xbb\xbfb,a\n1,2\n\n3,4\n") == [
        (f"{path}, line 2", {"b": "1", "a": "2"}),
        (f"{path}, line 4", {"b": "3", "a": "4"}),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"b\n1\n", "Unknown column 'a'; there is: b"),
        (b"", "holds no columns"),
        (b"a,c\n1,2\n", "column"),
        (b"a,a\n1,2\n", "two columns of one name"),
        (b"a,b\n1\n", r"line 2: the row has 1 entry, and the line of names has 2\.$"),
        (b"a,b\n1,2,3\n", r"line 2: the row has 3 entries.* has 2; where commas are decimal, part .* by semicolons\.$"),
        (b"a,b\n\xff,1\n", r"is no CSV in UTF-8 .*; save it as UTF-8\.$"),
        (b'a,b\n"1,2\n', "is no CSV"),
    ],
)
def test_what_is_damaged_is_said(text: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        rows(tmp_path / "t.csv", text)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(named_rows(tmp_path / "absent.csv", ("a",), ("a",)))
