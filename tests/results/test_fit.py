"""What a method tells of its fit: absent tables have no key, and tables of two fits are joined."""

import math
from pathlib import Path

from rung.results.fit import Alternative, FitDetails, FitRecord
from rung.storage import read_json


def test_a_table_that_a_method_does_not_have_has_no_key(tmp_path: Path) -> None:
    details = FitDetails(epochs=({"epoch": 1.0, "valid_loss": math.inf},), finished="all epochs were run")
    fit = FitRecord(method="x", settings={}, seconds=1.0, n_energies=3, diagnostics={}, warnings=(), details=details)
    fit.write(tmp_path / "fit.json")
    content = read_json(tmp_path / "fit.json")
    assert content["details"] == {"epochs": [{"epoch": 1.0, "valid_loss": None}], "finished": "all epochs were run"}
    assert math.isnan(FitRecord.read(tmp_path / "fit.json").details.epochs[0]["valid_loss"])
    assert FitRecord.read(tmp_path / "fit.json").details.alternatives == ()


def test_the_tables_of_two_fits_are_joined_and_the_second_wins() -> None:
    alternatives = (Alternative(name="a", log_evidence=1.0, note=""),)
    first = FitDetails(alternatives=alternatives, finished="early")
    joined = first.with_tables(FitDetails(finished="late", energies_alone={"tau": 1.0}))
    assert joined.alternatives == alternatives
    assert joined.finished == "late"
    assert list(joined.as_json()) == ["energies_alone", "alternatives", "finished"]
