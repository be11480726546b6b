"""How a report looks and what it does: one style sheet and one script, no fonts or files from elsewhere."""

from functools import cache
from importlib.resources import files


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    return _text("page.css")


@cache
def script() -> str:
    """Return the script of all pages: it unpacks libraries, draws figures, and makes tables sort and copy."""
    return _text("page.js")


@cache
def structure_library() -> str:
    """Return 3Dmol.js, which draws structures (BSD-3-Clause; Rego and Koes, Bioinformatics 31, 1322 (2015))."""
    return _text("3dmol.min.js")


def _text(name: str) -> str:
    return (files("rung.report") / "static" / name).read_text(encoding="utf-8")
