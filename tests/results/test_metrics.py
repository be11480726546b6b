"""Errors of a run: by split and fidelity, unknown where nothing is labelled."""

import math
from pathlib import Path

from rung.results.metrics import Evaluation, Metrics, by_split
from rung.storage import read_json
from tests.results.made import metrics, split_errors


def test_errors_are_listed_by_split_and_fidelity() -> None:
    errors = {"test": {"dmc": split_errors(energy_rmse=1.0), "pbe": split_errors()}, "ood": {"dmc": split_errors()}}
    assert list(by_split(errors)) == [("test", "dmc"), ("test", "pbe"), ("ood", "dmc")]
    assert by_split(errors)["test", "dmc"] is errors["test"]["dmc"]
    assert by_split(None) == {}


def test_unknown_errors_are_null_in_the_file_and_no_number_in_memory(tmp_path: Path) -> None:
    metrics({"test": {"dmc": split_errors(energy_rmse=2.5, n_energies=3)}}).write(tmp_path / "metrics.json")
    content = read_json(tmp_path / "metrics.json")
    assert list(content) == ["splits", "base", "checks", "fit"]
    assert content["splits"]["test"]["dmc"]["force_rmse"] is None
    errors = Metrics.read(tmp_path / "metrics.json").splits["test"]["dmc"]
    assert (errors.energy_rmse, errors.n_energies) == (2.5, 3)
    assert math.isnan(errors.force_rmse)


def test_an_evaluation_is_what_metrics_share_with_rung_evaluate() -> None:
    content = Evaluation(splits={}, base=None).as_json()
    assert content == {"splits": {}, "base": None}
