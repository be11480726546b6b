"""CASINO's own mean of a DMC run, in the layout of a file that CASINO 2 wrote (its numbers are ours)."""

from pathlib import Path

import pytest

from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.finding import find_outputs
from rung.collect.readers import reader_of
from rung.collect.readers.casino_status import READER, read
from rung.errors import DataError
from rung.units import HARTREE
from tests.collect.readers.test_casino import dmc

TEXT = """ Mixed estimators of the energies (current best estimate)
 --------------------------------------------------------
 [All energies given in (au)]

 Total energy                 =      -17.212345678901 +/-        0.001234567890
 Kinetic energy (TI)          =       13.000000000001 +/-        0.020000000000
 Constant energy contribs.    =        9.157115996230

 Dump of raw reblock data
 ------------------------
 Number of data points collected = 4000
 Reblock data for energy:
      mean:    -17.212345678901 +/-       0.001234567890
    stderr:      0.001234567890 +/-       0.000100000000
    errfac:      2.282147292697 +/-       0.292941372324
    N_corr:      5.208196265566 +/-       1.337070719536
   ------------------------------------------------------
    Block len      Std error   Err in error
            1   5.706032E-04   9.037954E-06
           64   1.234567E-03   1.671533E-04  *** BEST ***
   ------------------------------------------------------
"""
BAD = """ Bad reblock convergence for ETOT. Too few data points? Standard error in
 standard error larger than 10%.

"""


@pytest.mark.parametrize("name", ["dmc.status", "renamed.txt"])
def test_mean_and_error_are_hartree(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(TEXT)
    assert reader_of(path) is READER
    mean = read(path)
    assert (mean.program, mean.method, mean.rows) == ("CASINO", "DMC", 4000)
    assert mean.energy == pytest.approx(-17.212345678901 * HARTREE)
    assert mean.stderr == pytest.approx(0.00123456789 * HARTREE)
    (candidate,) = find_outputs([path]).outputs
    label = average("a", "", [ReadOutput(candidate, mean)], Averaging(), 1)
    assert label.energy_stderr == mean.stderr
    assert ["per primitive cell" in text for text in label.warnings] == [True]


def test_what_casino_says_of_its_error_is_said(tmp_path: Path) -> None:
    path = tmp_path / "dmc.status"
    path.write_text(TEXT.replace(" Total energy", BAD + " Total energy"))
    assert "bad reblock convergence" in read(path).notes[1]


def test_the_series_is_better_where_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "dmc.status").write_text(TEXT)
    (tmp_path / "dmc.hist").write_text(dmc([-17.2] * 20, [1.0] * 20, 5))
    assert [one.path.name for one in find_outputs([tmp_path]).outputs] == ["dmc.hist"]
    assert [one.path.name for one in find_outputs([tmp_path / "dmc.status"]).outputs] == ["dmc.status"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT + TEXT, "2 results"),
        (TEXT[: TEXT.index("Dump")], "no line 'Total energy = mean"),
        (TEXT.replace("Total energy", "Total"), "no line 'Total energy = mean"),
        (TEXT.replace("(au)", "(eV)"), "does not say that its energies are in au"),
        (TEXT.replace("-17.212345678901 +/-        0.001234567890", "************ +/- 0.1"), "no two numbers"),
        (TEXT.replace("=      -17.212345678901 +/-        0.001234567890", "= -17.2 +/- 0.0"), "no error can be told"),
        (TEXT.replace("=      -17.212345678901", "=      -71.212345678901"), "it is damaged"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "dmc.status"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_another_file_of_its_name_is_said(tmp_path: Path) -> None:
    path = tmp_path / "dmc.status"
    path.write_text("")
    with pytest.raises(DataError, match=r"has the name of CASINO dmc\.status and is empty"):
        reader_of(path)
