"""Error bars of differences as evaluation takes them, and that a fit without a domain knows no place."""

import numpy as np
import pytest
from ase.calculators.emt import EMT

from rung import RungCalculator
from rung.tasks.error_bars import error_bars_of
from rung.tasks.opened import Opened
from tests.pair_hop import ends, lifted

START, _ = ends()
TOP = START.copy()
TOP.positions[2, 0] = 2.5


def test_bars_are_those_of_the_calculator() -> None:
    calculator = lifted()
    bars = error_bars_of(calculator)
    assert bars is not None
    variance = calculator.energy_difference_variance(TOP, START)
    bar = bars.difference(TOP, START)
    assert (bar.weights, bar.total) == pytest.approx((np.sqrt(variance.weights), np.sqrt(variance.total)))
    assert bars.combination([TOP, START], [1.0, -1.0]) == bar
    assert bars.combination([TOP, START], [2.0, -2.0]).weights == pytest.approx(2 * bar.weights)
    assert bars.of_atoms(TOP).tolist() == calculator.get_atom_energies_stderr(TOP).tolist()
    assert variance.rough == pytest.approx(6 * 0.02**2)


def test_without_a_posterior_there_are_none() -> None:
    other = Opened.of(EMT(), fidelity="emt")
    assert other.error_bars is None
    assert error_bars_of(RungCalculator(lifted().potential, fidelity="high")) is None


def test_where_nobody_kept_the_domain_nobody_knows() -> None:
    bars = error_bars_of(lifted())
    assert bars is not None
    assert bars.places([TOP, START]) == [None, None]
