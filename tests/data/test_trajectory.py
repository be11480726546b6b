"""Trajectories: a run is read as it went, or refused by what is wrong with its frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from rung.data.trajectory import read_trajectory
from rung.errors import DataError
from rung.evaluate.transport.displacement import displacements
from tests.data.readers.dumps import dump, lithium


def run(frames: int = 6) -> list[Atoms]:
    return lithium(frames)


def put(folder: Path, frames: Sequence[Atoms], *, name: str = "run.extxyz") -> Path:
    write(folder / name, list(frames))
    return folder / name


def test_image_flags_and_unwrapped_columns_give_the_walk(tmp_path: Path) -> None:
    walk = lithium(400)
    truth = displacements(walk, "Li", unwrapped=True)
    for name, text in {
        "flags": dump(walk, extra="element ix iy iz", wrap=True),
        "unwrapped": dump(walk, columns="xu yu zu", extra="element"),
    }.items():
        (tmp_path / name).write_text(text)
        series = read_trajectory(tmp_path / name)
        assert series.unwrapped
        found = displacements(series.frames, "Li", unwrapped=series.unwrapped)
        np.testing.assert_allclose(found.mobile, truth.mobile, atol=1e-8)
    (tmp_path / "wrapped").write_text(dump(walk, extra="element", wrap=True))
    series = read_trajectory(tmp_path / "wrapped")
    assert not series.unwrapped
    np.testing.assert_allclose(displacements(series.frames, "Li").mobile, truth.mobile, atol=1e-8)
    assert np.abs(truth.mobile).max() > 8.0, "the walk leaves the cell"


def test_types_are_elements_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text(dump(run()))
    with pytest.raises(DataError, match="says types and no elements"):
        read_trajectory(tmp_path / "run")
    assert set(read_trajectory(tmp_path / "run", types=["Li", "S"]).frames[0].symbols) == {"Li", "S"}
    with pytest.raises(DataError, match="is no dump of LAMMPS, so it has no types"):
        read_trajectory(put(tmp_path, run()), types=["Li", "S"])


@pytest.mark.parametrize("key", ["step", "Time", "timestep", "time_fs"])
def test_times_that_are_not_equal_are_refused(tmp_path: Path, key: str) -> None:
    frames = run()
    for times, said in {
        (0, 50, 100, 150, 650, 1150): f"frames 3 and 4 are 500 apart in {key}, and most are 50",
        (0, 50, 100, 100, 150, 200): f"{key} goes from 100 in frame 2 to 100 in frame 3",
        (0, 50, 100, 0, 50, 100): f"{key} goes from 100 in frame 2 to 0 in frame 3",
        (0, 50, 100, None, 200, 250): f"frame 3 has no {key}",
    }.items():
        for frame, time in zip(frames, times, strict=True):
            frame.info = {} if time is None else {key: time}
        with pytest.raises(DataError, match=said):
            read_trajectory(put(tmp_path, frames))
    for number, frame in enumerate(frames):
        frame.info = {key: 0.1 * number if key != "timestep" else 2.0}
    assert len(read_trajectory(put(tmp_path, frames)).frames) == 6, "equal, or the length of a step"
    (tmp_path / "dump").write_text(dump(run(4), extra="element", steps=(0, 10, 20, 120)))
    with pytest.raises(DataError, match="frames 2 and 3 are 100 apart in step"):
        read_trajectory(tmp_path / "dump")


@pytest.mark.parametrize(("key", "unit"), [("time_fs", 1.0), ("time_ps", 1000.0)])
def test_a_time_whose_key_says_its_unit_is_known(tmp_path: Path, key: str, unit: float) -> None:
    frames = run()
    for number, frame in enumerate(frames):
        frame.info = {key: 7.0 + 0.1 * number}
    series = read_trajectory(put(tmp_path, frames))
    assert series.frame_fs == pytest.approx(0.1 * unit)
    series.require_time("run.extxyz", 0.1 * unit)
    with pytest.raises(DataError, match=f"run.extxyz says {0.1 * unit:g} fs between two frames, and --frame-fs 50"):
        series.require_time("run.extxyz", 50.0)
    for frame in frames:
        frame.info = {"time": frame.info[key]}
    assert read_trajectory(put(tmp_path, frames)).frame_fs is None


@pytest.mark.parametrize(("units", "between"), [("metal", 500.0), ("real", 0.5), ("", None)])
def test_a_dump_says_its_time_where_it_says_its_units(tmp_path: Path, units: str, between: float | None) -> None:
    text = dump(run(4), extra="element")
    for number in range(4):
        step = f"ITEM: TIMESTEP\n{100 * number}\n"
        text = text.replace(step, f"ITEM: TIME\n{0.5 * number}\n{step}")
    (tmp_path / "dump").write_text((f"ITEM: UNITS\n{units}\n" if units else "") + text)  # once, of all frames
    assert read_trajectory(tmp_path / "dump").frame_fs == (None if between is None else pytest.approx(between))


def test_frames_that_are_there_twice_are_named(tmp_path: Path) -> None:
    frames = run()
    with pytest.raises(DataError, match="frame 6 is frame 0 again, to the last digit"):
        read_trajectory(put(tmp_path, frames + frames))
    with pytest.raises(DataError, match="frame 3 is frame 2 again"):
        read_trajectory(put(tmp_path, [*frames[:3], frames[2], *frames[3:]]))
    with pytest.raises(DataError, match="nothing moves, all 5 frames are one"):
        read_trajectory(put(tmp_path, [frames[0]] * 5))


def test_some_flags_are_none(tmp_path: Path) -> None:
    frames = run(4)
    for frame in frames[:3]:
        frame.set_array("image_flags", np.zeros((8, 3), dtype=int))
    with pytest.raises(DataError, match="frame 3 has no image flags, and other frames have"):
        read_trajectory(put(tmp_path, frames))
    frames[3].set_array("image_flags", np.full((8, 3), 0.5))
    with pytest.raises(DataError, match="frame 3: image flags are three whole numbers"):
        read_trajectory(put(tmp_path, frames))


def test_wrapped_frames_without_a_cell_have_no_displacements(tmp_path: Path) -> None:
    frames = run()
    for frame in frames:
        frame.pbc = False
    series = read_trajectory(put(tmp_path, frames))
    with pytest.raises(DataError, match=r"have no periodic cell.*--unwrapped"):
        displacements(series.frames, "Li")
    assert displacements(series.frames, "Li", unwrapped=True).mobile.any()
