"""Bars: two numbers, and whether any label identifies the energy at all."""

from math import inf, isnan

from rung.evaluate.error_bars import UNKNOWN, Bar


def test_a_bar_says_when_no_label_identifies_the_energy() -> None:
    assert Bar(inf, inf).infinite
    assert Bar(0.1, inf).infinite
    assert not Bar(0.1, 0.2).infinite
    assert isnan(UNKNOWN.weights)
    assert isnan(UNKNOWN.total)
    assert not UNKNOWN.infinite
