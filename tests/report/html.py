"""Pages as their readers see them: text, and tables by their cells."""

import html
import re
from pathlib import Path


def text_of(page: Path | str) -> str:
    """Return the words of a page in one line, scripts and styles apart."""
    content = page if isinstance(page, str) else page.read_text()
    words = re.sub(r"<script.*?</script>|<style.*?</style>", " ", content, flags=re.DOTALL)
    return _plain(words)


def table_of(page: Path, css: str) -> list[list[str]]:
    """Return the cells of the first table of a class, row by row, its header apart."""
    match = re.search(rf'<table class="{css}">.*?<tbody>(.*?)</tbody>', page.read_text(), re.DOTALL)
    assert match is not None
    rows = re.findall(r"<tr>(.*?)</tr>", match[1], re.DOTALL)
    return [[_plain(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows]


def _plain(content: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", content))).strip()
