"""QMCPACK's files: means and errors against its own qmca, and one sentence for each way to be damaged."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.readers import READERS, reader_of
from rung.collect.readers.qmcpack import DMC, SCALAR, atoms_of_input, read_dmc, read_scalar, run_name
from rung.collect.statistics import estimate
from rung.errors import DataError
from rung.units import HARTREE
from tests.collect.samples import DIAMOND, DMC_HEAD, SCALAR_HEAD, run_of, write_input, write_scalar

QMCA = {
    "vmc.s000": {0: (-10.460459, 0.003951), 10: (-10.458057, 0.003672), 20: (-10.457397, 0.004123)},
    "dmc.s001": {0: (-10.531714, 0.001374), 10: (-10.531676, 0.001640), 20: (-10.532496, 0.002078)},
    "dmc.s002": {0: (-10.530214, 0.000973), 10: (-10.530522, 0.001132), 20: (-10.530513, 0.001389)},
    "dmc.s003": {0: (-10.528819, 0.001131), 10: (-10.529191, 0.001490), 20: (-10.528077, 0.001227)},
}
"""What ``qmca -q e -e N`` of QMCPACK prints, Hartree, by N."""

CASES = [(name, left_out) for name, rows in QMCA.items() for left_out in rows]


@pytest.mark.parametrize(("name", "left_out"), CASES)
def test_means_and_errors_are_those_of_qmca(name: str, left_out: int) -> None:
    path = DIAMOND / f"{name}.scalar.dat"
    series = read_scalar(path)
    result = estimate(path, series.energies, series.weights, equilibration=left_out)
    mean, stderr = QMCA[name][left_out]
    assert f"{result.mean / HARTREE:.6f}" == f"{mean:.6f}"
    assert result.stderr / HARTREE == pytest.approx(stderr, rel=0.15)


def test_columns_are_energies_in_ev_and_the_method_is_told_by_the_walkers() -> None:
    series = read_scalar(DIAMOND / "dmc.s001.scalar.dat")
    assert (len(series), series.program, series.method) == (50, "QMCPACK", "DMC")
    assert read_scalar(DIAMOND / "vmc.s000.scalar.dat").method == "VMC"
    assert series.columns["IonIon"] == pytest.approx(np.full(50, -12.775667474 * HARTREE), abs=1e-7)
    assert {"MPC", "ElecElec"} <= series.columns.keys()
    assert not {"BlockWeight", "LocalEnergy_sq", "AcceptRatio", "index"} & series.columns.keys()
    assert (series.weights == 1).all()  # qmca's plain mean of blocks
    assert series.notes == ()


def test_a_population_that_moves_the_mean_is_said(tmp_path: Path) -> None:
    energies = run_of(1)
    even = write_scalar(tmp_path / "a.s001.scalar.dat", energies)
    assert read_scalar(even).notes == ()
    weights = np.where(energies < -1.0, 2000.0, 1000.0)
    (note,) = read_scalar(write_scalar(even, energies, weights=weights)).notes
    shift = HARTREE * (np.average(energies, weights=weights) - energies.mean())
    assert note == f"weighed by their walkers, the blocks' mean is {shift:+.4f} eV off: the population drifts"
    weights[3] = 0.0
    assert "all walkers were gone" in read_scalar(write_scalar(even, energies, weights=weights)).notes[0]


def test_steps_are_weighed_by_their_walkers(tmp_path: Path) -> None:
    path = tmp_path / "a.s001.dmc.dat"
    weights = [100.0, 300.0]
    rows = [f"{k} {-1.0 - k} 0.1 {weight} 100 0 -1.0 0.9 1.0\n" for k, weight in enumerate(weights)]
    path.write_text(DMC_HEAD + "".join(rows))
    series = read_dmc(path)
    assert series.energies == pytest.approx([-HARTREE, -2 * HARTREE])
    assert series.weights.tolist() == weights
    assert series.method == "DMC"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dmc.s001.scalar.dat", ("dmc", 1, None)),
        ("c.x.g003.s012.dmc.dat", ("c.x", 12, 3)),
        ("renamed.txt", ("renamed.txt", None, None)),
    ],
)
def test_a_name_says_series_and_twist(name: str, expected: tuple[str, int | None, int | None]) -> None:
    run = run_name(Path("folder") / name)
    assert (run.prefix, run.series, run.twist) == expected
    assert run.folder == Path("folder")


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    renamed = tmp_path / "energies.txt"
    renamed.write_bytes((DIAMOND / "dmc.s001.scalar.dat").read_bytes())
    assert reader_of(renamed) is SCALAR
    other = tmp_path / "b"
    other.write_text(DMC_HEAD)
    assert reader_of(other) is DMC
    foreign = tmp_path / "notes.dat"
    foreign.write_text("# index of things\n")
    assert reader_of(foreign) is None
    assert [reader.kind for reader in READERS if reader.recognises(Path(), SCALAR_HEAD.encode())] == [SCALAR.kind]


@pytest.mark.parametrize("content", ["", "\n", "<html>", "\0\0\0\0"], ids=["empty", "blank", "other", "zeros"])
def test_a_file_named_like_an_output_that_is_none_is_damaged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dmc.s001.scalar.dat"
    path.write_text(content)
    with pytest.raises(DataError, match=r"has the name of QMCPACK scalar\.dat and"):
        reader_of(path)


def test_a_run_that_goes_on_loses_its_cut_row_and_says_so(tmp_path: Path) -> None:
    whole = (DIAMOND / "dmc.s001.scalar.dat").read_text()
    path = tmp_path / "dmc.s001.scalar.dat"
    for cut in (30, 1):  # within a row; within the line break, so that the last number may be cut
        path.write_text(whole[:-cut])
        series = read_scalar(path)
        assert len(series) == 49
        assert "the last row is cut" in series.notes[0]


def _lines() -> list[str]:
    return (DIAMOND / "dmc.s001.scalar.dat").read_text().splitlines(keepends=True)


def test_glued_runs_are_refused_with_the_line(tmp_path: Path) -> None:
    path, lines = tmp_path / "dmc.s001.scalar.dat", _lines()
    path.write_text("".join(lines + lines))
    with pytest.raises(DataError, match="line 52: a second run begins there"):
        read_scalar(path)
    path.write_text("".join(lines + lines[1:]))
    with pytest.raises(DataError, match="line 52: row 0 follows row 49, so two runs stand in one file"):
        read_scalar(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: [rows[0]], "holds no rows yet"),
        (lambda rows: rows[1:], "no line of column names"),
        (lambda rows: [rows[0].replace("LocalEnergy ", "Energy "), *rows[1:]], "no column LocalEnergy; there is"),
        (lambda rows: [*rows[:5], rows[5][:60] + "\n", *rows[6:]], "line 6: the row has .* columns, not 13"),
        (lambda rows: [*rows[:5], rows[5].replace("e+01", "e+0*"), *rows[6:]], "line 6: .*no number"),
        (lambda rows: [*rows[:7], rows[7].replace(rows[7].split()[1], "nan"), *rows[8:]], "line 8: LocalEnergy is nan"),
    ],
    ids=["no-rows", "no-head", "no-energy", "short-row", "no-number", "diverged"],
)  # fmt: skip
def test_damage_is_one_sentence_with_the_line(tmp_path: Path, change: object, sentence: str) -> None:
    path = tmp_path / "dmc.s001.scalar.dat"
    path.write_text("".join(change(_lines())))  # type: ignore[operator]
    with pytest.raises(DataError, match=sentence) as error:
        read_scalar(path)
    assert str(error.value).startswith(str(path))


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    path = tmp_path / "dmc.s001.scalar.dat"
    path.write_bytes(b"".join([SCALAR_HEAD.encode(), b"0 \xff\xfe"]))
    with pytest.raises(DataError, match="bytes that are no text"):
        read_scalar(path)


def test_walkers_that_are_gone_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.dmc.dat"
    path.write_text(DMC_HEAD + "0 -1 0.1 100 100 0 -1 1 1\n1 -1 0.1 0 0 0 -1 1 1\n")
    with pytest.raises(DataError, match="line 3: all walkers are gone"):
        read_dmc(path)


def test_written_samples_read_back(tmp_path: Path) -> None:
    energies = run_of(1)
    series = read_scalar(write_scalar(tmp_path / "a.s001.scalar.dat", energies, mpc=0.25))
    assert series.energies == pytest.approx(HARTREE * energies)
    assert series.columns["MPC"] - series.columns["ElecElec"] == pytest.approx(0.25 * HARTREE)


def test_the_input_beside_says_how_many_atoms_there_are(tmp_path: Path) -> None:
    assert read_scalar(DIAMOND / "dmc.s001.scalar.dat").n_atoms == 2
    assert read_scalar(DIAMOND / "vmc.s000.scalar.dat").n_atoms is None  # its own input is not there
    write_input(tmp_path / "a.xml", "c", 6)
    (tmp_path / "broken.xml").write_text("<simulation>")
    assert atoms_of_input(tmp_path, "c") == 6
    assert atoms_of_input(tmp_path, "d") is None
    write_input(tmp_path / "b.xml", "c", 12)
    assert atoms_of_input(tmp_path, "c") is None  # two inputs of one name that do not agree
