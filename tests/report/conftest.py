import pytest


@pytest.fixture(autouse=True)
def _light(monkeypatch):
    """Leave the five megabytes of plotly out of pages that are not about them."""
    monkeypatch.setattr("rung.report.page._library", lambda: "plotly.js")
