"""The configuration reference is current, and tells every key with its meaning."""

import re

from tests.config_tables import PAGE, page
from tests.made_pages import anchor_of

ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| (?P<kind>.+?) \| (?P<default>.+?) \| (?P<meaning>.*?) \|$", re.MULTILINE)


def test_the_page_has_the_keys_of_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.config_tables"


def test_every_key_has_a_kind_a_default_and_a_meaning() -> None:
    rows = list(ROW.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(rows) > 400
    assert [row["key"] for row in rows if row["kind"] == "value" or not row["meaning"]] == []


def test_nothing_of_this_machine_is_in_it() -> None:
    assert re.findall(r"`/[^`]*`", PAGE.read_text(encoding="utf-8")) == []


def test_links_within_the_page_lead_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = [anchor_of(heading) for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(anchors)
