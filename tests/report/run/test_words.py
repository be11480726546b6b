import numpy as np
import pytest

from rung.report.read import by_split, column, components, sentences
from rung.report.run.words import _barrier_sentences, _split_sentences
from rung.report.tables import cell, digits, electronvolts, records, table, with_error

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


class TestSentences:
    def of(self, errors, base):
        return " ".join(_split_sentences("test", errors, base))

    def test_better_worse_and_equal_are_told_apart(self):
        base = {"energy_rmse": 10.0, "force_rmse": 100.0}
        assert "falls from 10.0 (base) to 5.00" in self.of({"energy_rmse": 5.0}, base)
        assert "rises from 10.0 (base) to 20.0" in self.of({"energy_rmse": 20.0}, base)
        assert "stays at 10.1" in self.of({"energy_rmse": 10.1}, base)
        assert "is 5.00 meV/atom" in self.of({"energy_rmse": 5.0}, {})

    def test_an_energy_error_never_stands_without_the_forces(self):
        assert "force error" in self.of({"energy_rmse": 5.0, "force_rmse": 90.0}, {})
        departure = self.of({"energy_rmse": 5.0, "force_departure_rmse": 70.0}, {})
        assert "departed from the base's by 70.0 meV/Å" in departure
        assert "no error" in departure
        assert "Nothing is known of the forces" in self.of({"energy_rmse": 5.0}, {})

    @pytest.mark.parametrize(
        ("z2", "words"),
        [(1.0, "right size"), (9.0, "too small by a factor of 3.0"), (0.25, "too wide by a factor of 2.0")],
    )
    def test_error_bars_are_judged(self, z2, words):
        assert words in self.of({"energy_rmse": 1.0, "energy_z2": z2}, {})

    def test_a_barrier_that_is_not_known_is_not_told(self):
        entries = [{"name": "lifted", "value": None}, {"name": "other", "value": 1.2}, {"name": "truth", "value": 1.0}]
        assert _barrier_sentences({"title": "Hop", "barriers": entries}) == [
            "Hop: other gives 1.20 eV; truth 1.000 eV."
        ]


def test_nestings_of_errors_are_one():
    errors = {"energy_rmse": 1.0}
    expected = {("test", "dmc"): errors}
    assert by_split({"splits": {"test": {"dmc": errors}}}, "dmc") == expected
    assert by_split({"test": {"dmc": errors}}, "x") == expected
    assert by_split({"test": errors}, "dmc") == expected
    assert by_split(None, "dmc") == by_split({"alpha": 1.0}, "dmc") == {}


def test_forces_come_flat_or_by_structure():
    atoms = {"n_atoms": [1, 2]}
    nested = components({**atoms, "forces": [[[1, 2, 3]], None]}, "forces")
    assert nested[:3].tolist() == [1, 2, 3]
    assert np.isnan(nested[3:]).all()
    assert nested.shape == (9,)
    assert np.isnan(components({**atoms, "forces": [None, None]}, "forces")).sum() == 9
    assert components({**atoms, "forces": [1.0, None, *[2.0] * 7]}, "forces").shape == (9,)
    assert components({"forces": []}, "forces").size == 0
    assert components({}, "forces") is None
    assert column({"n_atoms": [1, 2], "energy": [1, None]}, "energy")[0] == 1.0
    assert column({}, "energy") is None
    for wrong in ({**atoms, "forces": [1.0] * 8}, {**atoms, "forces": [[[1, 2, 3]], [[1, 2, 3]]]}):
        with pytest.raises(ValueError, match="n_atoms asks for 9"):
            components(wrong, "forces")
    with pytest.raises(ValueError, match="energy has 1 numbers"):
        column({**atoms, "energy": [1.0]}, "energy")


def test_sentences_do_not_repeat():
    assert sentences("a", ["b", "a", " "], None) == ["a", "b"]
    assert sentences(-1.5, [None]) == ["-1.5"]
