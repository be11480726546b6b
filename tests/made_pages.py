"""What the pages share that are made from the source: where their text goes, how it is escaped, what links reach."""

import re
from pathlib import Path


def filled(page: Path, begin: str, end: str, content: str) -> str:
    """Return the text of a page with ``content`` between two marks."""
    pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", page.read_text(encoding="utf-8"))


def cell_of(text: str) -> str:
    """Return a docstring as the cell of a table."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def anchor_of(heading: str) -> str:
    """Return the anchor that both the site and the viewer of the repository give a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
