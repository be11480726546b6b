"""What a comparison's report says beyond curves: trials, costs, checks, failures."""

import math

import pytest

from rung.report.read import read_study
from rung.report.study import compare as compare_sections
from rung.results.study import STUDY_FILE, TABLE_FILE, FailedFit, StudyRow, StudySummary, TrialEntry, write_rows

ROWS = {
    ("base", "test", "energy_rmse"): (20.0, 22.0),
    ("base", "test", "force_rmse"): (100.0, 100.0),
    ("base", "test", "low_energy_rmse"): (5.0, 5.0),
    ("base", "fit", "seconds"): (0.1, 0.3),
    ("base", "fit", "call_seconds_per_atom"): (2e-5, 2e-5),
    ("delta", "test", "energy_rmse"): (8.0, 10.0),
    ("delta", "test", "force_rmse"): (60.0, 80.0),
    ("delta", "test", "low_energy_rmse"): (6.0, 7.0),
    ("delta", "fit", "seconds"): (30.0, 50.0),
    ("delta", "fit", "call_seconds_per_atom"): (3e-5, 5e-5),
    ("delta", "fit", "step_zero_energy"): (1e-4, 3e-4),
    ("delta", "valid", "energy_rmse"): (1.0, 1.0),
}


@pytest.fixture
def study(tmp_path):
    rows = [
        StudyRow(method=method, n_labels=50, seed=seed, split=split, metric=metric, value=value)
        for (method, split, metric), values in ROWS.items()
        for seed, value in enumerate(values)
    ]
    write_rows(tmp_path / TABLE_FILE, rows)
    tuning = (
        TrialEntry(method="delta", change="as given", score=9.0, scores=(8.0, 10.0), failed=False, chosen=False),
        TrialEntry(method="delta", change="a<b = 1", score=6.0, scores=(5.0, 7.0), failed=False, chosen=True),
        TrialEntry(method="delta", change="c = 1", score=math.inf, scores=(), failed=True, chosen=False),
    )
    failures = (FailedFit(fit="joint-n50-s0", sentence="The loss became <nan>."),)
    StudySummary(title="Costs", tuning=tuning, failures=failures).write(tmp_path / STUDY_FILE)
    return read_study(tmp_path)


class Pen:
    """Takes figures in place of a page."""

    def __init__(self):
        self.figures = []

    def __call__(self, figure, caption=""):
        self.figures.append(figure)
        return "<figure></figure>"


def cells(html):
    return [row.split("</td>")[:-1] for row in html.split("<tr>")[2:]]


def words(row):
    return [cell.split(">")[-1] for cell in row]


def test_costs_stand_beside_errors(study):
    pen = Pen()
    rows = [words(row) for row in cells(compare_sections.cost(study, pen))]
    assert rows[0] == ["base", "50", "0.200", "20.0", "1.00", "21.0", "100", "–"]
    assert rows[1] == ["delta", "50", "40.0", "40.0", "2.00", "9.00", "70.0", "–"]
    (figure,) = pen.figures
    assert list(figure.data[1].x) == [40.0] and list(figure.data[1].y) == [9.0]  # the test's error, not valid's


def test_every_trial_is_shown_and_the_chosen_one_marked(study):
    pen = Pen()
    rows = [words(row) for row in cells(compare_sections.tuning(study, pen))]
    assert rows[0] == ["delta", "as given", "9.00 ± 1.4", ""]
    assert rows[1] == ["delta", "a&lt;b = 1", "6.00 ± 1.4", "chosen"]
    assert rows[2][2] == "failed"
    (figure,) = pen.figures
    assert list(figure.data[1].y) == [9.0, 6.0, None]
    assert list(figure.data[1].marker.size) == [7, 12, 7]


def test_checks_tell_start_and_what_became_of_the_low_fidelity(study):
    (row,) = [words(row) for row in cells(compare_sections.checks(study, Pen()))]
    assert row == ["delta", "0.000300", "–", "5.00", "6.50", "–", "–"]


def test_failures_are_escaped(study, tmp_path):
    (row,) = [words(row) for row in cells(compare_sections.failures(study, Pen()))]
    assert row == ["joint-n50-s0", "The loss became &lt;nan&gt;."]


def test_without_such_results_there_are_no_such_sections(tmp_path):
    row = StudyRow(method="readout", n_labels=5, seed=0, split="test", metric="energy_rmse", value=1.0)
    write_rows(tmp_path / TABLE_FILE, [row])
    bare = read_study(tmp_path)
    for section in (compare_sections.cost, compare_sections.tuning, compare_sections.checks, compare_sections.failures):
        assert section(bare, Pen()) == ""
