"""Labels as rows: which structures they tell of, with which signs, and what errors they share."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.data.energy_table import NO_TABLE, EnergyRow, EnergyTable
from rung.data.label_rows import are_special, label_compositions, label_rows, mentioned
from rung.data.labels import empty_labels
from rung.data.structure import Structure
from rung.errors import FitError


def structure(name: str, energy: float = np.nan, stderr: float = np.nan) -> Structure:
    label = replace(empty_labels(1), energy=energy, energy_stderr=stderr)
    return Structure(Atoms("H"), name, {"dmc": label})


TABLE = EnergyTable(
    (
        EnergyRow("c", "dmc", 0.5, 0.01, minus="a", run="w", shared_stderr=-0.004),
        EnergyRow("a", "dmc", -1.0, 0.3, run="w", shared_stderr=0.2),
        EnergyRow("b", "other", 0.5, minus="a"),
    )
)
ALL = [structure("x"), structure("a", -1.0, 0.3), structure("b", -2.0), structure("c"), structure("c")]


def test_energies_come_first_and_differences_have_two_signs() -> None:
    members = [ALL[place] for place in mentioned(ALL, "dmc", TABLE)]
    assert [one.structure_id for one in members] == ["a", "b", "c"]
    rows = label_rows(members, "dmc", TABLE)
    assert_allclose(rows.combination, [[1, 0, 0], [0, 1, 0], [-1, 0, 1]])
    assert_allclose(rows.energy, [-1.0, -2.0, 0.5])
    assert_allclose(rows.sigma, [0.3, 0.0, 0.01])
    expected = np.diag([0.09, 0.0, 1e-4])
    expected[0, 2] = expected[2, 0] = -0.0008
    assert_allclose(rows.covariance, expected, atol=1e-18)
    assert np.linalg.eigvalsh(rows.covariance).min() >= 0.0


def test_without_a_table_rows_are_the_energies() -> None:
    assert mentioned(ALL, "dmc") == [1, 2]
    rows = label_rows(ALL[1:3], "dmc", NO_TABLE)
    assert_allclose(rows.combination, np.eye(2))
    assert_allclose(rows.covariance, np.diag([0.09, 0.0]))
    assert not are_special("dmc", NO_TABLE)
    assert not are_special("third", TABLE)
    assert are_special("dmc", TABLE)
    assert not are_special("dmc", EnergyTable((EnergyRow("a", "dmc", 1.0),)))


def test_an_error_that_nobody_shares_is_a_label_s_own() -> None:
    alone = EnergyTable(TABLE.rows[1:])
    assert_allclose(label_rows(ALL[1:3], "dmc", alone).covariance, np.diag([0.09, 0.0]))


def test_a_difference_to_a_structure_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(FitError, match=r"c is not among .* data.single_atoms"):
        label_rows(ALL[1:3], "dmc", TABLE)


def test_compositions_of_labels_are_those_of_the_rows() -> None:
    members = [ALL[place] for place in mentioned(ALL, "dmc", TABLE)]
    composition = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 5.0]])
    expected = label_rows(members, "dmc", TABLE).combination @ composition
    assert_allclose(label_compositions(members, composition, "dmc", TABLE), expected)
    assert_allclose(label_compositions(members[:2], composition[:2], "dmc", NO_TABLE), composition[:2])
