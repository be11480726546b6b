"""``demo.json``: what says which demo a folder is."""

from rung.results.base import Result

DEMO_FILE, DEMO_LOCK = "demo.json", ".demo-lock"


class Mark(Result):
    """Which demo a folder is."""

    data: str
    """The name of the demo."""
