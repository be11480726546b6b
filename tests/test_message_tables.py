"""The pages of messages are current: every code and error is there, and none that rung no longer says."""

import re
from pathlib import Path

import pytest

from tests.message_tables import AREAS, PAGE, areas_of_errors, codes, page, sentences

MESSAGES = (Path(__file__).parents[1] / "docs" / "messages.md").read_text(encoding="utf-8")
CODES = MESSAGES[MESSAGES.index("<!-- codes -->") : MESSAGES.index("<!-- end of the codes -->")]
WARNINGS = MESSAGES[MESSAGES.index("<!-- messages -->") : MESSAGES.index("<!-- end of the messages -->")]
ROW = re.compile(r"^\| (?!message|---)(?P<first>.+?) \|", re.MULTILINE)


def test_the_list_has_every_error() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.message_tables"
    assert areas_of_errors() <= set(" ".join(AREAS.values()).split())


def test_every_finding_of_the_doctor_is_explained_once() -> None:
    listed = [code for row in ROW.finditer(CODES) for code in re.findall(r"`([a-z-]+)`", row["first"])]
    assert sorted(listed) == sorted(codes())


@pytest.mark.parametrize("message", [row["first"] for row in ROW.finditer(WARNINGS)])
def test_rung_says_each_warning_that_is_explained(message: str) -> None:
    assert any(message in sentence for sentence in sentences())
