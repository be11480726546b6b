"""Every link of the repository's pages leads to a file, and to a heading of it where it names one."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.made_pages import anchor_of

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+(?:\([^()]*\))?)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^ *```.*?^ *```\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(?P<words>.+?)\s*$", re.MULTILINE)
REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def pages() -> list[Path]:
    """Return the pages of the repository."""
    folders = ("docs", "examples", "benchmarks", "src", "tests")
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))])


def links_of(page: Path) -> list[str]:
    """Return the targets of a page's links, but for what stands in code."""
    return [match["target"] for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8")))]


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as the repository's viewer and the site make them."""
    text = re.sub(r"^ *```.*?^ *```\s*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for match in HEADING.finditer(text):
        anchor = anchor_of(match["words"])
        count = sum(one == anchor or re.fullmatch(re.escape(anchor) + r"-\d+", one) is not None for one in found)
        found.append(f"{anchor}-{count}" if count else anchor)
    ids = re.findall(r"\{[^}]*#([\w-]+)[^}]*\}|<a (?:id|name)=\"([\w-]+)\"", text)
    return frozenset(found) | {one or other for one, other in ids}


def problem_of(page: Path, target: str) -> str | None:
    """Return what is wrong with a link, or None."""
    if REMOTE.match(target):
        return None if re.match(r"^(https://[\w.-]+\.[a-z]+(/\S*)?|mailto:\S+@\S+)$", target) else "is no https address"
    name, _, anchor = target.partition("#")
    file = (page.parent / unquote(name)).resolve() if name else page
    if not file.exists():
        return "leads to no file"
    if ROOT not in (file, *file.parents):
        return "leads out of the repository"
    if anchor and file.suffix == ".md" and anchor not in anchors_of(file):
        return f"names no heading of {file.relative_to(ROOT)}"
    return None


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    problems = {target: said for target in links_of(page) if (said := problem_of(page, target))}
    assert problems == {}


def test_a_wrong_link_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Some words\n[a](#some-words) [b](#others) [c](none.md) [d](http://x.org) `[e](no)` [f](https://x.org)\n"
    )
    wrong = {target for target in links_of(page) if problem_of(page, target)}
    assert wrong == {"#others", "none.md", "http://x.org"}
