"""Structures on a page: the worst first, no more than a page bears, and only such as were predicted."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest

from rung.report.run import structures
from rung.report.run.structures import viewer
from rung.report.tables import digits
from rung.results.geometries import Geometries
from rung.results.predictions import Predictions
from tests.report.folders import geometries, predictions


@pytest.fixture(scope="module")
def content() -> Predictions:
    return predictions(1, 12)


@dataclass(frozen=True)
class Entry:
    row: int
    words: str


def entries(html: str) -> list[Entry]:
    found = re.search(r'<script type="application/json">(.*?)</script>', html)
    assert found is not None
    return [Entry(one["row"], one["words"]) for one in json.loads(found[1])]


def test_the_largest_error_comes_first(content: Predictions) -> None:
    errors = np.abs((content.energy - content.energy_label) / content.atoms)
    shown = entries(viewer(0, content, geometries(content)))
    assert [one.row for one in shown] == np.argsort(-errors, kind="stable").tolist()
    row = shown[0].row
    off = 1000 * float((content.energy - content.energy_label)[row]) / content.n_atoms[row]
    assert f"energy off by {digits(off)} meV/atom" in shown[0].words
    assert "force off by up to" in shown[0].words


def test_a_page_holds_as_many_as_it_bears(content: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "MOST_ATOMS", 60)
    html = viewer(0, content, geometries(content))
    assert len(entries(html)) == 2
    assert "10 others are not on this page." in html


def test_rows_that_nobody_predicted_are_passed_over(content: Predictions) -> None:
    whole = geometries(content)
    strange = whole.model_copy(update={"rows": (99, *whole.rows[1:])})
    assert len(entries(viewer(0, content, strange))) == 11
    assert viewer(0, content, Geometries(rows=(), symbols=(), positions=[], cells=[])) == ""


def test_without_labels_they_stand_in_their_order(content: Predictions) -> None:
    bare = content.model_copy(update={"energy_label": np.full(12, np.nan)})
    html = viewer(0, bare, geometries(content))
    assert [one.row for one in entries(html)] == list(range(12))
    assert "in their order" in html
