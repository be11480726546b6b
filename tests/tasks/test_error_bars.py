"""Error bars of differences as evaluation takes them, and the sentence on structures that the fit has not seen."""

from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.emt import EMT

from rung import RungCalculator
from rung.checkpoint import Checkpoint
from rung.tasks.error_bars import error_bars_of
from rung.tasks.opened import Opened
from tests.pair_hop import ends, lifted

START, _ = ends()
TOP = START.copy()
TOP.positions[2, 0] = 2.5


def with_own_error(size: float) -> RungCalculator:
    """The hop's potential with a model error of ``size`` eV² for each feature."""
    calculator = lifted()
    assert calculator.posterior is not None
    own = np.diag([size] * (len(calculator.posterior.mean) - 2) + [0.0, 0.0])
    posterior = replace(calculator.posterior, model_covariance=own)
    return RungCalculator(Checkpoint(calculator.potential, posterior, {"target": "high"}), fidelity="high")


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
    assert other.domain_note(TOP, START) == ""


def note_of(calculator: RungCalculator) -> str:
    return Opened.of(calculator, fidelity="high").domain_note(TOP, START)


def test_what_the_fit_has_not_seen_is_said() -> None:
    assert note_of(lifted()) == ""
    assert note_of(with_own_error(1e-6)) == ""
    far = with_own_error(0.5)
    note = note_of(far)
    assert "unlike what the fit has seen" in note
    assert f"{np.sqrt(far.energy_difference_variance(TOP, START).smooth):.3f} eV" in note
