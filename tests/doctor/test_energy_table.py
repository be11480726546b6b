"""Tables of energies before a fit: circles that do not close, units, and rows that cannot be used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung.data.energy_table import EnergyRow, EnergyTable, with_table, write_energy_table
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.doctor.diagnose import diagnose_files
from rung.doctor.energy_table import circles
from rung.results.findings import Finding
from rung.units import HARTREE
from tests.fit.pair_world import geometries

ENERGY = np.array([-10.0, -9.5, -9.8, -9.1, -9.7, -9.3, -9.9, -9.2])


def world(labelled: int = 0, name: str = "low") -> list[Structure]:
    return [
        replace(one, labels={name: replace(empty_labels(4), energy=ENERGY[k], energy_stderr=0.01)})
        if k < labelled
        else one
        for k, one in enumerate(geometries(8))
    ]


def row(one: int, other: int, error: float = 0.0, stderr: float = 0.01, **more: float | str) -> EnergyRow:
    energy = float(ENERGY[one] - ENERGY[other] + error)
    return EnergyRow(f"cell-{one}", "high", energy, stderr, minus=f"cell-{other}", **more)


def codes(structures: list[Structure], *rows: EnergyRow) -> dict[str, Finding]:
    table = EnergyTable(rows)
    told = diagnose({"train": with_table(structures, table)}, table=table)
    return {finding.code: finding for finding in told.findings if finding.code.startswith("difference")}


def test_circles_that_close_are_not_mentioned() -> None:
    assert codes(world(), row(1, 0, 0.01), row(2, 1, -0.01), row(0, 2, 0.01), row(3, 0, 5.0)) == {}


def test_a_circle_that_does_not_close_is_named_with_its_gap() -> None:
    found = codes(world(), row(1, 0), row(2, 1), row(0, 2, 0.1))
    sentence = found["difference-circle"].sentence
    assert found["difference-circle"].severity == "error"
    assert "give +0.1000 eV, 5.8 times their error" in sentence
    assert "+ (cell-0 - cell-2)" in sentence
    assert set(found["difference-circle"].structures) == {"cell-0", "cell-1", "cell-2"}
    assert codes(world(), row(1, 0), row(2, 1), row(0, 2, 0.06))["difference-circle"].severity == "warning"


def test_energies_close_circles_too() -> None:
    found = codes(world(3, "high"), row(1, 0, 0.1))
    assert "+ (cell-1 - cell-0)" in found["difference-circle"].sentence
    assert "+ cell-0" in found["difference-circle"].sentence
    assert codes(world(3, "high"), row(1, 0, 0.01)) == {}


def test_shared_errors_count_in_a_circle() -> None:
    """Errors that go with each other cancel: the gap is then far larger than its error."""
    shared = {"run": "w", "shared_stderr": 0.0099}
    (circle,) = circles(
        world(), "high", EnergyTable((row(1, 0, **shared), row(1, 0, 0.02, run="v", shared_stderr=0.01)))
    )
    assert circle.size == pytest.approx(0.02 / np.sqrt(2e-4))
    opposite = EnergyTable((row(1, 0, **shared), row(0, 1, 0.02, run="w", shared_stderr=-0.0099)))
    (circle,) = circles(world(), "high", opposite)
    assert circle.size == pytest.approx(0.02 / np.sqrt(2e-4 - 2 * 0.0099**2))


def test_exact_labels_close_to_rounding() -> None:
    exact = [replace(row(1, 0), stderr=np.nan), replace(row(0, 1, 5e-4), stderr=np.nan, run="", place="x")]
    table = EnergyTable(tuple(exact))
    (circle,) = circles(world(), "high", table)
    assert circle.size < 1.0
    assert "difference-stderr-missing" in codes(world(), exact[0])


def test_differences_in_hartree_are_found_beside_other_labels() -> None:
    rows = [row(k + 2, k) for k in range(6)]
    assert codes(world(8), *rows) == {}
    hartree = [replace(one, energy=one.energy / HARTREE) for one in rows]
    found = codes(world(8), *hartree)["difference-unit"]
    assert found.severity == "error"
    assert "'high' differences in Hartree" in found.sentence


def test_rows_that_cannot_be_used_are_findings_and_the_rest_is_checked(tmp_path: Path) -> None:
    write_structures(tmp_path / "train.extxyz", world())
    write_energy_table(
        tmp_path / "labels.csv", [EnergyRow("nobody", "high", 1.0), row(1, 0), row(2, 1), row(0, 2, 1.0), row(0, 1)]
    )
    told = diagnose_files([tmp_path / "train.extxyz"], labels=[tmp_path / "labels.csv"])
    found = {finding.code: finding for finding in told.findings}
    assert "labels.csv, line 2: Unknown structure_id 'nobody'" in found["table-unknown"].sentence
    assert "line 6" in found["table-twice"].sentence
    assert found["difference-circle"].severity == "error"
    assert told.worst == "error"


def test_differences_are_something_to_learn_from() -> None:
    """A target that has differences alone is no target without labels; what they leave open is said."""
    rows = (row(2, 0), row(1, 0))
    for table, codes_there in ((EnergyTable(rows[:1]), {"one-composition"}), (EnergyTable(), {"no-target-energies"})):
        told = diagnose({"train": world()}, target="high", table=table)
        assert {one.code for one in told.findings} & {"one-composition", "no-target-energies"} == codes_there


def test_differences_are_counted() -> None:
    table = EnergyTable((row(1, 0), row(2, 0, run="w", shared_stderr=0.01), row(3, 0, run="w", shared_stderr=0.01)))
    told = diagnose({"train": world()}, table=table)
    (note,) = [one for one in told.findings if one.code == "table-differences"]
    assert note.sentence == "3 labels of 'high' are differences, and 2 share errors in 1 run."
