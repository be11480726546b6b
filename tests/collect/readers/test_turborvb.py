"""TurboRVB: the mean and error that its scripts leave, as TurboRVB's tutorial shows them for H2."""

from pathlib import Path

import pytest

from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.corrections import MPC
from rung.collect.finding import find_outputs
from rung.collect.readers import reader_of
from rung.collect.readers.turborvb import READER, read
from rung.errors import DataError
from rung.units import HARTREE

TEXT = """ number of bins read =        1496
 Energy =  -1.1379192772188327        1.7589095174214898E-004
 Variance square =   1.7369139136828382E-003   2.7618833870090571E-005
 Est. energy error bar =   1.7510470092362484E-004   3.9800256121536918E-006
 Est. corr. time  =   2.6420266523220208       0.10738159557488412
"""


@pytest.mark.parametrize(("name", "method"), [("pip0.d", "VMC"), ("pip0_fn.d", "DMC"), ("h2.txt", "")])
def test_mean_and_error_are_hartree(tmp_path: Path, name: str, method: str) -> None:
    path = tmp_path / name
    path.write_text(TEXT)
    assert reader_of(path) is READER
    mean = read(path)
    assert (mean.program, mean.method, mean.rows) == ("TurboRVB", method, 1496)
    assert mean.energy == pytest.approx(-1.1379192772188327 * HARTREE)
    assert mean.stderr == pytest.approx(1.7589095174214898e-4 * HARTREE)


TWISTS = """Total Energy =  -44.512345678  +/-  0.00123456
Variance =  1.25  +/-  0.01
Correlation  Time (unit nbra) =  2.5  +/-  0.1
"""


def test_an_average_over_twists_is_one_mean(tmp_path: Path) -> None:
    path = tmp_path / "pip0_fn.d"
    path.write_text(TWISTS)
    assert reader_of(path) is READER
    mean = read(path)
    assert (mean.method, mean.rows, mean.notes) == ("DMC", 0, ("it is an average over twists",))
    assert mean.energy == pytest.approx(-44.512345678 * HARTREE)
    assert mean.stderr == pytest.approx(0.00123456 * HARTREE)


def outputs(tmp_path: Path, *texts: str) -> list[ReadOutput]:
    for number, text in enumerate(texts):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "pip0.d").write_text(text)
    return [ReadOutput(one, one.reader.read(one.path)) for one in find_outputs([tmp_path]).outputs]


def test_means_are_joined_by_their_errors(tmp_path: Path) -> None:
    second = TEXT.replace("-1.1379192772188327", "-1.1380").replace(
        "1.7589095174214898E-004", "3.5178190348429796D-004"
    )
    label = average("h2", "", outputs(tmp_path, TEXT, second), Averaging(join=True), 1)
    assert [run.share for run in label.runs] == pytest.approx([0.8, 0.2])
    assert label.energy == pytest.approx(HARTREE * (0.8 * -1.1379192772188327 + 0.2 * -1.1380))
    assert label.energy_stderr == pytest.approx(HARTREE * 1.7589095174214898e-4 * 0.8**0.5)


def test_a_mean_alone_takes_no_correction_by_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no series, so mpc cannot be added"):
        average("h2", "", outputs(tmp_path, TEXT), Averaging(columns=(MPC,)), 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT + TEXT, "holds 2 results"),
        (TEXT.splitlines()[0] + "\n", "no line 'Energy = mean error'"),
        (TEXT.replace("1.7589095174214898E-004", "NaN"), "no error can be told"),
        (TEXT.replace("1.7589095174214898E-004", "0.0"), "no error can be told"),
        (TEXT.replace("-1.1379192772188327", "********"), "no two numbers"),
        (TWISTS + TWISTS, "holds 2 results"),
        (TEXT + TWISTS, "holds 2 results"),
        (TWISTS.splitlines()[1] + "\n", "no line 'Energy = mean error'"),
        (TWISTS.replace("0.00123456", "nan"), "no error can be told"),
    ],
    ids=["glued", "failed", "nan", "zero", "stars", "glued twists", "both", "cut twists", "nan twists"],
)
def test_damage_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "pip0.d"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence) as error:
        read(path)
    assert str(error.value).startswith(str(path))
