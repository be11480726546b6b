"""PyQMC: files that it wrote, against its own estimate, and every way in which such a file misleads."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rung.collect.readers import reader_of
from rung.collect.readers.pyqmc import READER, read
from rung.collect.statistics import estimate
from rung.errors import DataError
from rung.units import HARTREE

SAMPLES = Path(__file__).parents[1] / "data" / "pyqmc"


def changed(tmp_path: Path, change: Callable[[h5py.File], object], name: str = "h2.dmc.hdf5") -> Path:
    path = tmp_path / name
    shutil.copy(SAMPLES / name, path)
    with h5py.File(path, "a") as file:
        change(file)
    return path


def replaced(name: str, values: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def test_the_mean_is_pyqmc_s_own_weighted_estimate() -> None:
    """``estimate_energy`` of PyQMC 0.8.1 gave this number; it leaves out the first quarter of the 60 blocks."""
    path = SAMPLES / "h2.dmc.hdf5"
    series = read(path)
    assert (series.program, series.method, len(series)) == ("PyQMC", "DMC", 60)
    result = estimate(path, series.energies, series.weights, equilibration=15)
    assert result.mean / HARTREE == pytest.approx(-1.1660111318338202, abs=1e-12)


def test_vmc_is_told_from_dmc_and_averaged_plainly() -> None:
    series = read(SAMPLES / "h2.vmc.hdf5")
    assert (series.method, len(series)) == ("VMC", 40)
    assert np.ptp(series.weights) == 0
    assert series.energies.mean() / HARTREE == pytest.approx(-1.1418076320441042, abs=1e-12)
    assert series.notes == ()


def test_dmc_is_known_by_what_it_alone_writes(tmp_path: Path) -> None:
    def without_trial(file: h5py.File) -> None:
        del file["e_trial"]

    assert read(changed(tmp_path, without_trial)).method == "DMC"


def test_files_are_known_by_their_datasets(tmp_path: Path) -> None:
    renamed = tmp_path / "a.txt"
    shutil.copy(SAMPLES / "h2.dmc.hdf5", renamed)
    assert reader_of(renamed) is READER
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["energies"] = [1.0]
    assert reader_of(other) is None


def test_old_files_call_blocks_steps(tmp_path: Path) -> None:
    def rename(file: h5py.File) -> None:
        file.move("block", "step")

    path = changed(tmp_path, rename)
    assert reader_of(path) is READER
    assert len(read(path)) == 60


def test_blocks_of_more_steps_weigh_more(tmp_path: Path) -> None:
    plain = read(SAMPLES / "h2.dmc.hdf5")
    steps = np.where(np.arange(60) < 30, 5, 10)
    series = read(changed(tmp_path, replaced("nsteps_per_block", steps)))
    assert series.weights / plain.weights == pytest.approx(steps / 5)


def test_the_walkers_of_the_end_are_no_weights_of_blocks(tmp_path: Path) -> None:
    """``weights`` are walkers, in float32; were there as many walkers as blocks, they would pass for weights."""
    path = changed(tmp_path, replaced("weights", np.linspace(0.1, 2.0, 60, dtype=np.float32)))
    assert read(path).weights == pytest.approx(read(SAMPLES / "h2.dmc.hdf5").weights)


def test_energies_in_single_precision_are_said(tmp_path: Path) -> None:
    energies = read(SAMPLES / "h2.dmc.hdf5").energies / HARTREE - 2603.0
    series = read(changed(tmp_path, replaced("energytotal", energies.astype(np.float32))))
    assert series.energies.dtype == np.float64
    assert series.notes == ("energies are in float32, each rounded to 0.007 eV",)


def test_complex_energies_of_a_twist_are_real_on_average(tmp_path: Path) -> None:
    noise = 1e-3 * np.random.default_rng(0).normal(size=60)
    energies = read(SAMPLES / "h2.dmc.hdf5").energies / HARTREE
    series = read(changed(tmp_path, replaced("energytotal", energies + 1j * noise)))
    assert series.energies == pytest.approx(HARTREE * energies)
    with pytest.raises(DataError, match=r"imaginary part of 0\.1"):
        read(changed(tmp_path, replaced("energytotal", energies + 0.1j + 1j * noise)))


def test_a_run_that_was_killed_within_a_block_loses_it(tmp_path: Path) -> None:
    """PyQMC appends one dataset after the other."""

    def cut(file: h5py.File) -> None:
        file["weight"].resize((59,))

    series = read(changed(tmp_path, cut))
    assert len(series) == 59
    assert series.energies == pytest.approx(read(SAMPLES / "h2.dmc.hdf5").energies[:59])
    assert "last 1 block is not whole" in series.notes[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (replaced("tstep", np.where(np.arange(60) < 40, 0.1, 0.05)), "0.1 before block 40 and 0.05 from there"),
        (replaced("block", [*range(30), *range(30)]), "block 0 follows block 29, so two runs stand in one file"),
        (replaced("energytotal", [*np.zeros(7), np.nan, *np.zeros(52)]), "block 7: energytotal is nan"),
        (replaced("energytotal", np.zeros((60, 2))), "not one number a block"),
        (replaced("energytotal", np.zeros(0)), "holds no block yet"),
        (replaced("weight", np.zeros(60)), "a block has no weight"),
    ],
    ids=["time-step", "glued", "diverged", "shape", "empty", "weights"],
)
def test_what_misleads_is_one_sentence(tmp_path: Path, change: Callable[[h5py.File], None], sentence: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(DataError, match=sentence) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "h2.dmc.hdf5"
    path.write_bytes((SAMPLES / "h2.dmc.hdf5").read_bytes()[:5000])
    with pytest.raises(DataError, match="cannot be read"):
        reader_of(path)
