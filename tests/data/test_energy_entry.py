"""Energies as people write them, with or without their errors: exact decimals, and a sentence for what is in doubt."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.data.energy_entry import energy_and_stderr, number
from rung.errors import DataError

NAN = float("nan")


@pytest.mark.parametrize(
    ("entry", "value", "stderr"),
    [
        ("-1.1723", -1.1723, NAN),
        (-1.1723, -1.1723, NAN),
        (np.float64(-1.1723), -1.1723, NAN),
        ("-1.1723(5)", -1.1723, 0.0005),
        ("-1.1723(12)", -1.1723, 0.0012),
        ("-75(2)", -75.0, 2.0),
        ("-75.(2)", -75.0, 2.0),
        ("-1.5(1)e-3", -1.5e-3, 1e-4),
        ("-1.5(1)E+03", -1500.0, 100.0),
        ("-75(2)e1", -750.0, 20.0),
        ("-1172.3(5.2)", -1172.3, 5.2),
        ("-1.5(0.2)e-3", -1.5e-3, 2e-4),
        (".17(3)", 0.17, 0.03),
        ("+2.0 (1)", 2.0, 0.1),
        ("-1.1723 +/- 0.0005", -1.1723, 0.0005),
        ("-1.1723 ± 5e-4", -1.1723, 5e-4),
        ("-1.1723+-0.0005", -1.1723, 0.0005),
        ("-1.1723e2±.5", -117.23, 0.5),
        (" \u22121.1723(5) ", -1.1723, 0.0005),
        (b"-1.1723(5)", -1.1723, 0.0005),
        ("-1.1723 ± 0.0005".encode(), -1.1723, 0.0005),
        (np.str_("-1.1723(5)"), -1.1723, 0.0005),
    ],
)
def test_an_energy_and_its_error_are_read_to_the_last_bit(entry: Any, value: float, stderr: float) -> None:
    assert energy_and_stderr(entry) == pytest.approx((value, stderr), rel=0, abs=0, nan_ok=True)


@given(st.integers(-(10**12), 10**12), st.integers(0, 9), st.integers(1, 10**6), st.integers(-20, 20))
def test_what_is_written_in_brackets_reads_back(figures: int, decimals: int, error: int, power: int) -> None:
    """Against decimal arithmetic: the error counts the last digits of the value, whatever the power."""
    value = Decimal(figures).scaleb(-decimals)
    for text, exponent in ((f"{value:f}({error})", 0), (f"{value:f}({error})e{power}", power)):
        wanted = float(value.scaleb(exponent)), float(Decimal(error).scaleb(exponent - decimals))
        assert energy_and_stderr(text) == wanted


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("much", "energy is 'much', and should be a number."),
        ("", "energy is '', and should be a number."),
        (None, "energy is None, and should be a number."),
        (True, "energy is True, and should be a number."),
        (float("inf"), "energy is inf, and should be a number."),
        ("1e999(1)", "energy is '1e999(1)', whose brackets cannot be read"),
        ("1(1)e999", "energy is '1(1)e999', and should be a number."),
        ("-1.1723(5", "whose brackets cannot be read; write -1.1723(5), or -1.1723 +/- 0.0005."),
        ("-1.1723()", "whose brackets cannot be read"),
        ("-1.1723(-5)", "whose brackets cannot be read"),
        ("-1.1723(5)(3)", "whose brackets cannot be read"),
        ("-1.1723(5) Ha", "whose brackets cannot be read"),
        ("-1.5e-3(1)", "whose brackets cannot be read"),
        ("(-1.5 ± 0.1)e-3", "whose brackets cannot be read"),
        ("-1.5 ± 0.1 ± 0.2", "whose error cannot be read"),
        ("-1.5 ± ", "whose error cannot be read"),
        ("± 0.1", "whose error cannot be read"),
        ("-1.5 +/- much", "whose error cannot be read"),
        ("-1.1723(0)", "energy is '-1.1723(0)', whose error should be above zero; leave it out where there is none."),
        ("-1,1723", "whose comma may part decimals or thousands; write its decimals after a point."),
        ("-1,1723(5)", "whose comma may part decimals or thousands"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(entry: Any, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        energy_and_stderr(entry)
    assert sentence in str(caught.value)


def test_an_error_of_its_own_counts_and_two_are_refused() -> None:
    assert energy_and_stderr("-1.5", "0.1") == (-1.5, 0.1)
    assert energy_and_stderr("-1.5(2)", "") == energy_and_stderr("-1.5(2)", None) == (-1.5, 0.2)
    assert energy_and_stderr(b"-1.5(2)", b"") == (-1.5, 0.2)
    with pytest.raises(DataError, match=r"energy is '-1.5\(2\)' and stderr is '0.2'; keep one of the two errors"):
        energy_and_stderr("-1.5(2)", "0.2")
    with pytest.raises(DataError, match="stderr is '0', and should be above zero"):
        energy_and_stderr("-1.5", "0")


def test_what_a_number_should_be_is_said() -> None:
    assert number("1e-3", "weight") == 1e-3
    with pytest.raises(DataError, match=r"^energy is 'x', and should be a number, eV\.$"):
        energy_and_stderr("x", wanted="a number, eV")
