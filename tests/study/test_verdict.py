"""What is said of a table: differences paired draw by draw, and what must be held against them."""

from pathlib import Path
from typing import Any

import numpy as np

from rung.results.fits import BandBarrier, StudyFit, StudyFitNumbers
from rung.results.study import StudyRow
from rung.study.comparison import comparisons
from rung.study.config import StudyConfig
from rung.study.plan import Fit
from rung.study.status import Failure
from rung.study.table import rows_of
from rung.study.verdict import caveats, verdict
from tests.results.made import fit_errors

NOTHING: tuple[Failure, ...] = ()


def config_of(**changes: Any) -> StudyConfig:
    return StudyConfig.read(
        {
            "run": "run",
            "fidelities": {"low": {}, "high": {}},
            "target": "high",
            "base": {"file": "base.model", "fidelity": "low"},
            "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
            "method": {"name": "readout"},
            "compare": {"offset": None, "tangent": None},
            "labels": [50, 100],
            "seeds": [0, 1, 2],
            **changes,
        }
    )


def rows(values: dict[str, dict[str, tuple[float, ...]]], n_labels: int = 100) -> list[StudyRow]:
    """Return a table of metric values by method and metric, one value a seed."""
    return [
        StudyRow(method=method, n_labels=n_labels, seed=seed, split="test", metric=metric, value=one)
        for method, metrics in values.items()
        for metric, found in metrics.items()
        for seed, one in enumerate(found)
    ]


def said_of(table: list[StudyRow], **changes: Any) -> str:
    config = config_of(**changes)
    return " ".join(verdict(config, table, comparisons(config, table, ())))


def test_with_five_draws_a_method_may_be_called_worse_and_no_difference_is_called_so() -> None:
    table = rows(
        {
            "readout": {"energy_rmse": (10.0, 20.0, 30.0, 15.0, 25.0), "force_rmse": (100.0, 101.0, 102.0, 99.0, 98.0)},
            "offset": {"energy_rmse": (12.0, 22.1, 31.9, 17.0, 27.0), "force_rmse": (90.0, 91.0, 92.0, 89.0, 88.0)},
            "tangent": {
                "energy_rmse": (9.0, 22.0, 30.5, 14.8, 25.1),
                "force_rmse": (300.0, 301.0, 299.0, 300.0, 302.0),
            },
        }
    )
    said = said_of(table, seeds=[0, 1, 2, 3, 4])
    assert "paired over 5 draws, readout has the least; worse: offset (by 2.0, 95 %: 1.9 to 2.1) meV/atom" in said
    assert "no difference is shown: tangent (+0.3, 95 %: -1.1 to 1.7) meV/atom" in said
    assert "would mostly have gone unseen" in said
    assert "Of the force errors on test with 100 energies, paired over 5 draws, offset has the least" in said


def test_with_fewer_draws_the_interval_is_shown_and_nobody_is_called_worse() -> None:
    table = rows(
        {
            "readout": {"energy_rmse": (10.0, 20.0, 30.0), "force_rmse": (100.0, 101.0, 102.0)},
            "offset": {"energy_rmse": (12.0, 22.1, 31.9), "force_rmse": (190.0, 191.0, 192.0)},
        }
    )
    said = said_of(table)
    assert "; worse" not in said and "gone unseen" not in said
    assert "too few draws to call one worse: offset (+2.0, 95 %: 1.8 to 2.2) meV/atom" in said
    alone = rows({name: {"energy_rmse": (one,)} for name, one in (("readout", 10.0), ("offset", 12.0))})
    assert "there is one draw alone" in said_of(alone, seeds=[0])


def test_draws_that_take_every_label_are_one(tmp_path: Path) -> None:
    table = rows(
        {
            "readout": {"energy_rmse": (10.0, 10.0, 10.0), "force_rmse": (100.0, 100.0, 100.0)},
            "offset": {"energy_rmse": (12.0, 12.0, 12.0), "force_rmse": (90.0, 90.0, 90.0)},
        }
    )
    said = said_of(table)
    assert "there is one draw alone" in said and "± 0" not in said
    noted = " ".join(caveats(config_of(run=str(tmp_path)), table, NOTHING))
    assert "With 100 labels the draws of a method are the same" in noted


def test_a_method_whose_fit_of_the_hard_draw_failed_is_not_called_the_least() -> None:
    errors = {"readout": (1.0, 100.0), "offset": (2.0, 101.0), "tangent": (3.0,)}
    said = said_of(rows({name: {"energy_rmse": own, "force_rmse": own} for name, own in errors.items()}))
    assert "readout has the least" in said and "tangent has the least" not in said
    assert "tangent (+2.0, no interval)" in said


def test_methods_without_a_draw_in_common_are_not_compared_by_a_number() -> None:
    table = rows({"readout": {"energy_rmse": (1.0, 2.0)}, "offset": {"energy_rmse": (3.0, 4.0)}})
    apart = [row for row in table if (row.method, row.seed) in {("readout", 0), ("offset", 1)}]
    assert "nan" not in said_of(apart)


def test_energies_are_never_told_without_forces() -> None:
    table = rows({"readout": {"energy_rmse": (10.0, 12.0), "force_departure_rmse": (40.0, 42.0)}})
    (sentence,) = verdict(config_of(), table, ())
    assert "energies err by 11.0 ± 1.4 meV/atom, a force component leaves the base by 41 ± 1 meV/Å" in sentence
    assert verdict(config_of(), rows({"readout": {"energy_rmse": (10.0, 12.0)}}), ()) == ()


def test_forces_that_got_worse_are_named() -> None:
    forces = {"base": (100.0, 100.0, 100.0), "readout": (120.0, 121.0, 119.0), "offset": (100.0, 100.0, 100.0)}
    table = rows({name: {"energy_rmse": (10.0, 10.1, 10.2), "force_rmse": found} for name, found in forces.items()})
    (said,) = [sentence for sentence in verdict(config_of(), table, ()) if "do not use" in sentence]
    assert "the forces of readout are worse than the base's (100 meV/Å)" in said


def test_a_method_that_was_tuned_less_is_named(tmp_path: Path) -> None:
    trials = {"readout": [{}, {"average": 1}, {"average": 4}], "tangent": [{}]}
    said = " ".join(caveats(config_of(run=str(tmp_path), tune={"labels": 50, "trials": trials}), [], NOTHING))
    assert "Tuned less than the 3 trials of readout: tangent (1)" in said  # offset has nothing to tune
    even = {"readout": [{}, {"average": 1}], "tangent": [{}, {"groups": "layers"}]}
    said = " ".join(caveats(config_of(run=str(tmp_path), tune={"labels": 50, "trials": even}), [], NOTHING))
    assert "Every method was tuned by 2 trials" in said
    assert "No settings were tried" in " ".join(caveats(config_of(), [], NOTHING))


def test_few_draws_failures_and_validation_labels_are_held_against_it() -> None:
    failed = (Failure("tangent-n50-s0", "The weights diverged.", Path("error.json")),)
    said = " ".join(caveats(config_of(), [], failed, n_valid=71))
    assert "3 draws are too few to call a method worse than another" in said
    assert "uncertain by about 50 %" in said
    assert "1 fit failed and is not in the table (tangent-n50-s0)" in said
    assert "The 71 target energies of data.valid are not counted" in said
    assert "There is one draw" in " ".join(caveats(config_of(seeds=[0]), [], NOTHING))


def test_a_lost_fidelity_is_told_where_it_is_still_offered() -> None:
    table = rows(
        {
            "base": {"low_energy_rmse": (10.0, 10.0), "low_force_rmse": (50.0, 50.0)},
            "tangent": {"low_energy_rmse": (12.0, 14.0), "low_force_rmse": (51.0, 52.0)},
        }
    )
    (said,) = [sentence for sentence in caveats(config_of(), table, NOTHING) if "own fidelity" in sentence]
    assert "in energies: tangent from 10 to 13 meV/atom" in said


def test_rows_name_the_fidelity_that_they_are_of() -> None:
    errors = fit_errors(energy_rmse=1.0, energy_rmse_rel=2.0, n_energies=7)
    chosen = {"alpha": 1.0, "step_zero_energy": 1e-9, "cost_ratio": 1.5}
    result = StudyFit(
        splits={"test": {"high": errors, "low": errors, "other": errors}},
        bands={"hop": BandBarrier(barrier=0.5, barrier_stderr=np.nan, barrier_stderr_total=np.nan)},
        fit=StudyFitNumbers(method="readout", seconds=3.0, n_energies=7, hyperparameters=chosen),
        warnings=(),
    )
    found = {
        (row.split, row.metric): row.value
        for row in rows_of(Fit("readout", 50, 1, 2), result, target="high", low="low")
    }
    assert found == {
        ("test", "energy_rmse"): 1.0,
        ("test", "energy_rmse_rel"): 2.0,
        ("test", "low_energy_rmse"): 1.0,
        ("test", "low_energy_rmse_rel"): 2.0,
        ("test", "other_energy_rmse"): 1.0,
        ("test", "other_energy_rmse_rel"): 2.0,
        ("hop", "barrier"): 0.5,
        ("fit", "seconds"): 3.0,
        ("fit", "step_zero_energy"): 1e-9,
        ("fit", "cost_ratio"): 1.5,
    }
