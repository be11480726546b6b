"""Numbers and tables of a page."""

import pytest

from rung.report.tables import cell, digits, electronvolts, records, superscript, table, with_error

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18.1234, "18.1"),
        (494.0, "494"),
        (6.0, "6.00"),
        (0.01234, "0.0123"),
        (9.9999, "10.0"),
        (-0.0456, "−0.0456"),
        (60495.2, "60500"),
        (1.04e6, "1.04×10⁶"),
        (3.21e-7, "3.21×10⁻⁷"),
        (0.0, "0"),
        (NAN, "–"),
        (None, "–"),
        (float("inf"), "∞"),
    ],
)
def test_three_digits(value, text):
    assert digits(value) == text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (1.40512, 0.0904, "1.405 ± 0.090"),
        (1.40512, 0.912, "1.41 ± 0.91"),
        (-12.3, 14.0, "−12 ± 14"),
        (1.40512, None, "1.41"),
        (NAN, 0.1, "–"),
    ],
)
def test_an_error_bar_decides_the_digits(value, stderr, text):
    assert with_error(value, stderr) == text


def test_electronvolts_to_the_millielectronvolt():
    assert electronvolts(-0.0494, signed=True) == "−0.049"
    assert electronvolts(1.4) == "1.400"
    assert electronvolts(-0.0001) == "0.000"
    assert electronvolts(None) == "–"


def test_cells_are_escaped_and_plain():
    assert cell("<b>") == "&lt;b&gt;"
    assert cell([1, "a&b", None]) == "1, a&amp;b, –"
    assert cell(True) == "yes"
    assert cell(1408) == "1408"
    assert cell(0.123456) == "0.1235"


def test_records_take_every_key_and_align_numbers():
    html = records([{"a": "x", "n_b": 1}, {"a": "y", "c": "<"}])
    assert '<th>a</th><th class="number">n b</th><th>c</th>' in html
    assert '<td>y</td><td class="number">–</td><td>&lt;</td>' in html
    assert records([]) == ""
    with pytest.raises(ValueError, match="argument"):
        table(["one"], [["1", "2"]])


def test_exponents_stand_high():
    assert superscript(-10) == "⁻¹⁰"
    assert digits(2.5e-10) == "2.50×10⁻¹⁰"
