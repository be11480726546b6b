"""Of a table that does not show every structure, the title says which it shows."""

from math import inf, nan
from pathlib import Path

import pytest

from rung.report.tasks.prediction import prediction_summary, write_prediction_report
from rung.results.prediction import PredictedStructure, PredictionResult


def predicted(count: int, stderr: float, *, identified: bool = True) -> PredictionResult:
    return PredictionResult(
        fidelity="cc",
        name="cc",
        model="model.rung",
        fingerprint="a",
        out="out.extxyz",
        out_hashes=(),
        inputs={},
        structures=tuple(
            PredictedStructure(
                structure_id=f"one-{k}",
                n_atoms=3,
                energy=-1.0,
                energy_stderr=stderr * (k + 1),
                identified=identified,
                largest_force=0.1,
                domain="unknown",
            )
            for k in range(count)
        ),
        warnings=(),
        command="rung predict",
        rung="0",
    )


@pytest.mark.parametrize(
    ("result", "title", "first"),
    [
        (predicted(30, nan), "The first 20 of 30 structures", "one-0"),
        (predicted(30, 0.1), "The 20 least certain of 30 structures", "one-29"),
        (predicted(30, inf, identified=False), "The 20 least certain of 30 structures", "one-0"),
        (predicted(3, nan), "Predictions", "one-0"),
    ],
)
def test_the_title_says_which_structures_are_shown(
    result: PredictionResult, title: str, first: str, tmp_path: Path
) -> None:
    (table,) = prediction_summary(result).tables
    assert (table.title, table.rows[0][0]) == (title, first)
    record = tmp_path / "out.predicted.json"
    result.write(record)
    page = write_prediction_report(record).read_text()
    assert (title if len(result.structures) > 20 else "Structures") in page
