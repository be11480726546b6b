"""Outputs of one structure to one energy: twists, runs, corrections and cells, each against numpy's own mean."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.averaging import Averaging, ReadOutput, average
from rung.collect.corrections import MPC
from rung.collect.finding import Found, find_outputs
from rung.errors import DataError
from rung.results.collected import CollectedLabel
from rung.units import HARTREE
from tests.collect.samples import run_of, write_scalar

PLAIN = Averaging(equilibration=0)


def read(*paths: Path, weights: dict[str, float] | None = None) -> list[ReadOutput]:
    found: Found = find_outputs(paths)
    assert not found.refused
    return [ReadOutput(one, one.reader.read(one.path), (weights or {}).get(one.path.name)) for one in found.outputs]


def twists(folder: Path, numbers: tuple[int, ...] = (0, 1, 2)) -> list[Path]:
    return [
        write_scalar(folder / f"c.g{number:03d}.s001.scalar.dat", run_of(number, mean=-1.0 - number))
        for number in numbers
    ]


def label(outputs: list[ReadOutput], how: Averaging = PLAIN, cells: int = 1) -> CollectedLabel:
    return average("c", "", outputs, how, cells)


def test_twists_are_averaged_by_their_weights(tmp_path: Path) -> None:
    paths = twists(tmp_path)
    series = np.array([HARTREE * run_of(number, mean=-1.0 - number) for number in range(3)])
    plain = label(read(*paths))
    assert plain.energy == pytest.approx(series.mean())
    weighted = label(read(*paths), Averaging(equilibration=0, twist_weights=(2.0, 1.0, 1.0)))
    assert weighted.energy == pytest.approx(np.array([0.5, 0.25, 0.25]) @ series.mean(axis=1))
    errors = np.array([run.energy_stderr for run in weighted.runs])
    assert weighted.energy_stderr == pytest.approx(np.sqrt(np.sum((np.array([0.5, 0.25, 0.25]) * errors) ** 2)))
    assert [run.share for run in weighted.runs] == [0.5, 0.25, 0.25]
    by_table = label(read(*paths, weights={path.name: weight for path, weight in zip(paths, (4, 2, 2), strict=True)}))
    assert by_table.energy == pytest.approx(weighted.energy)
    # what twists differ by is no statistical error
    assert weighted.energy_stderr < 0.05 * HARTREE


@pytest.mark.parametrize(
    ("numbers", "how", "sentence"),
    [
        ((0, 1, 3), PLAIN, "twist 2 is missing of 4"),
        ((0, 1), Averaging(twist_weights=(1.0, 1.0, 1.0)), "2 twists, and --twist-weights gives 3"),
        ((0, 1), Averaging(twist_weights=(-1.0, 1.0)), "zero or more"),
    ],
)
def test_an_incomplete_average_is_refused(
    tmp_path: Path, numbers: tuple[int, ...], how: Averaging, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        label(read(*twists(tmp_path, numbers)), how)


def test_a_table_that_weighs_some_twists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="some of its twists and not others"):
        label(read(*twists(tmp_path, (0, 1)), weights={"c.g000.s001.scalar.dat": 1.0}))


def test_several_runs_are_one_only_where_that_is_said(tmp_path: Path) -> None:
    paths = [write_scalar(tmp_path / f"run{k}" / "c.s001.scalar.dat", run_of(k, rows=40 * k)) for k in (1, 2)]
    with pytest.raises(DataError, match=r"has 2 runs \(.*run1/c.*, .*run2/c.*\); .* add --join"):
        label(read(*paths))
    joined = label(read(*paths), Averaging(equilibration=0, join=True))
    shares = np.array([run.independent for run in joined.runs])
    shares /= shares.sum()
    assert [run.share for run in joined.runs] == pytest.approx(shares)
    assert joined.energy == pytest.approx(shares @ [run.energy for run in joined.runs])
    assert joined.energy_stderr < min(run.energy_stderr for run in joined.runs)
    assert joined.warnings == ()


def test_joined_runs_that_do_not_agree_are_said(tmp_path: Path) -> None:
    means = {1: -1.0, 2: -1.0, 3: -1.05}
    paths = [
        write_scalar(tmp_path / f"c.s{series:03d}.scalar.dat", run_of(series, mean=mean))
        for series, mean in means.items()
    ]
    (warning,) = label(read(*paths), Averaging(equilibration=0, join=True)).warnings
    assert "c.s003.scalar.dat is -" in warning


def test_a_correction_of_columns_enters_each_row(tmp_path: Path) -> None:
    path = write_scalar(tmp_path / "c.s001.scalar.dat", run_of(1), mpc=0.01)
    plain, corrected = (label(read(path), Averaging(equilibration=0, columns=columns)) for columns in ((), (MPC,)))
    assert corrected.energy == pytest.approx(plain.energy + 0.01 * HARTREE)
    assert corrected.corrections == {"mpc": pytest.approx(0.01 * HARTREE)}
    assert plain.corrections == {}


def test_a_missing_column_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.s001.scalar.dat"
    path.write_text("# index LocalEnergy LocalEnergy_sq\n" + "".join(f"{k} -{k}.5 1.0\n" for k in range(20)))
    with pytest.raises(DataError, match="no column MPC, which mpc needs; there is: none"):
        label(read(path), Averaging(columns=(MPC,)))


def test_a_tiled_cell_is_divided_and_constants_are_of_the_small_cell(tmp_path: Path) -> None:
    path = write_scalar(tmp_path / "c.s001.scalar.dat", run_of(1), mpc=0.04)
    whole = label(read(path))
    quarter = label(read(path), Averaging(0, columns=(MPC,), constants={"kinetic": 0.5}), cells=4)
    assert quarter.energy == pytest.approx((whole.energy + 0.04 * HARTREE) / 4 + 0.5)
    assert quarter.energy_stderr == pytest.approx(whole.energy_stderr / 4)
    assert quarter.corrections == {"mpc": pytest.approx(0.01 * HARTREE), "kinetic": 0.5}
    assert quarter.cells == 4
