"""Tables go between their marks, and the numbers behind them stay from machine to machine."""

from datetime import date

import pytest

from rung.errors import StorageError
from rung.pages import keep_values, write_table

PAGE = """Before.

<!-- table: one -->
| old |
<!-- end of table -->

Between.

<!-- table: two -->
<!-- end of table -->

After.
"""


def test_a_table_goes_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    write_table(tmp_path / "page.md#two", "| a |\n|---|\n| \\1 |\n")
    written = f"<!-- table: two -->\n\n| a |\n|---|\n| \\1 |\n\n*Made on {date.today()}.*\n\n<!-- end of table -->"
    assert page.read_text() == PAGE.replace("<!-- table: two -->\n<!-- end of table -->", written)
    once = page.read_text()
    write_table(tmp_path / "page.md#two", "| a |\n|---|\n| \\1 |\n")
    assert page.read_text() == once


def test_a_table_without_a_page_is_a_file(tmp_path):
    write_table(tmp_path / "table.md", "| a |\n")
    assert (tmp_path / "table.md").read_text() == "| a |\n"


@pytest.mark.parametrize(
    ("page", "target", "sentence"),
    [
        (PAGE, "page.md#three", r"page\.md needs .* once; its tables: one, two\."),
        (PAGE + PAGE, "page.md#two", r"once; its tables: one, two, one, two\."),
        ("No marks.\n", "page.md#one", r"its tables: none\."),
        ("<!-- table: one -->\n<!-- table: two -->\n<!-- end of table -->\n", "page.md#one", r"its tables: two\."),
        (PAGE, "other.md#one", r"There is no page .*other\.md"),
    ],
)
def test_a_page_without_the_marks_is_one_sentence_and_stays(tmp_path, page, target, sentence):
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(StorageError, match=sentence):
        write_table(tmp_path / target, "| a |\n")
    assert (tmp_path / "page.md").read_text() == page


COLUMNS = ("method", "draw")


def test_numbers_of_two_machines_are_kept_together_and_the_later_one_counts(tmp_path):
    path = tmp_path / "values.csv"
    first = {("readout", "0"): 61.0, ("LL-EF, then `tangent`", "0"): 48.123456789}
    assert keep_values(path, COLUMNS, first) == {
        ("readout", "0"): 61.0,
        ("LL-EF, then `tangent`", "0"): 48.1235,
    }
    every = keep_values(path, COLUMNS, {("readout", "0"): 62.5, ("readout", "1"): 59.0})
    assert every == {("readout", "0"): 62.5, ("readout", "1"): 59.0, ("LL-EF, then `tangent`", "0"): 48.1235}
    assert path.read_text().splitlines() == [
        "method,draw,value",
        '"LL-EF, then `tangent`",0,48.1235',
        "readout,0,62.5",
        "readout,1,59",
    ]
    assert keep_values(path, COLUMNS, {}) == every


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("method,value\nreadout,1\n", r"has the columns method, value, not method, draw, value\."),
        ("method,draw,value\nreadout,0,many\n", r"line 2: 'readout,0,many' does not end with a number\."),
        ("method,draw,value\nreadout,0\n", r"line 2: 2 columns, not 3\."),
        ("", r"has no columns"),
    ],
)
def test_a_file_of_other_numbers_is_one_sentence_and_stays(tmp_path, text, sentence):
    path = tmp_path / "values.csv"
    path.write_text(text)
    with pytest.raises(StorageError, match=sentence):
        keep_values(path, COLUMNS, {("readout", "0"): 1.0})
    assert path.read_text() == text
