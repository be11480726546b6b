"""The runs behind a transport: each has random numbers of its own, and none counts twice."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read, write

from rung.errors import ConfigError, DataError
from rung.evaluate.dynamics.md import MDSettings, run_md
from rung.report.tasks.transport import transport_summary
from rung.results.transport import TransportResult
from rung.tasks.opened import Opened, read_start
from rung.tasks.transport import RunsSettings, TransportTask, find_transport, read_runs
from rung.tasks.transport_runs import find_transport_of_model, make_runs, plan, run_seed
from tests.evaluate.transport.walks import Nothing
from tests.report.test_page import Page
from tests.tasks.test_domain import hop, known, two_levels


@pytest.fixture
def start(tmp_path: Path) -> Path:
    atoms = Atoms("LiS", positions=[[10, 10, 10], [0, 0, 0]], cell=[40, 40, 40], pbc=True)
    atoms.set_constraint(FixAtoms([1]))
    write(tmp_path / "start.xyz", atoms, format="extxyz")
    return tmp_path / "start.xyz"


def settings(seed: int) -> RunsSettings:
    return RunsSettings(runs=2, steps=40, frame_every=10, seed=seed)


def test_a_temperature_given_twice_is_refused(start: Path, tmp_path: Path) -> None:
    for temperatures in ((300, 600, 300), (300, 300.0000001)):  # the folders of the latter would have one name
        task = TransportTask(files=[start], temperatures=temperatures, diffusion={"species": "Li"})
        with pytest.raises(ConfigError, match="temperature 300 K is given twice; ask for more runs of it with --runs"):
            find_transport_of_model(Opened.of(Nothing(), fidelity="free"), task, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("steps", "skip_fs", "frames"), [(15, 0, "2 frames"), (40, 30, "2 frames after the first 3")])
def test_runs_too_short_to_analyse_are_refused_before_they_are_made(
    start: Path, tmp_path: Path, steps: int, skip_fs: float, frames: str
) -> None:
    task = TransportTask(
        files=[start],
        temperatures=(300,),
        diffusion={"species": "Li", "skip_fs": skip_fs},
        runs={"runs": 2, "steps": steps, "frame_every": 10, "timestep": 1.0},
    )
    with pytest.raises(ConfigError, match=f"with a frame every 10 has {frames}"):
        find_transport_of_model(Opened.of(Nothing(), fidelity="free"), task, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trajectory_given_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.extxyz", Atoms("Li", positions=[[0, 0, 0]]))
    twice = [tmp_path / "a.extxyz", tmp_path / "b" / ".." / "a.extxyz"]
    (tmp_path / "b").mkdir()
    with pytest.raises(ConfigError, match=r"a\.extxyz is given twice; one trajectory counts once"):
        read_runs(twice, [600.0])


def test_another_time_between_frames_than_the_file_says_is_refused(tmp_path: Path) -> None:
    atoms = Atoms("LiS", positions=[[10, 10, 10], [0, 0, 0]], cell=[40, 40, 40], pbc=True)
    frames = [atoms.copy() for _ in range(4)]
    for number, frame in enumerate(frames):
        frame.positions[0] += 0.1 * number
        frame.info["time_fs"] = 100 * number
    write(tmp_path / "run.extxyz", frames)
    task = TransportTask(files=[tmp_path / "run.extxyz"], temperatures=[600], frame_fs=50, diffusion={"species": "Li"})
    with pytest.raises(DataError, match=r"run\.extxyz says 100 fs between two frames, and --frame-fs 50"):
        find_transport(task, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_time_of_the_files_is_taken_where_none_is_given(tmp_path: Path) -> None:
    for name, between in (("a", 100), ("b", 100), ("slow", 200), ("silent", None)):
        frames = [Atoms("LiS", positions=[[10 + 0.1 * n, 10, 10], [0, 0, 0]], cell=[40, 40, 40], pbc=True)
                  for n in range(8)]  # fmt: skip
        for number, frame in enumerate(frames):
            frame.info.update({} if between is None else {"time_fs": between * number})
        write(tmp_path / f"{name}.extxyz", frames)

    def found(*names: str, **given: object) -> float:
        files = [tmp_path / f"{name}.extxyz" for name in names]
        task = TransportTask(files=files, temperatures=[600], diffusion={"species": "Li"}, **given)
        return find_transport(task, tmp_path / "-".join(names)).settings.frame_fs

    assert found("a", "b") == 100.0
    assert found("silent", frame_fs=50) == 50.0
    with pytest.raises(DataError, match=r"a\.extxyz says 100 fs between two frames, and .*slow\.extxyz 200 fs"):
        found("a", "slow")
    with pytest.raises(ConfigError, match=r"silent\.extxyz does not say the time between its frames .*--frame-fs"):
        found("a", "silent")
    assert not (tmp_path / "a-slow").exists() and not (tmp_path / "a-silent").exists()


def test_every_run_has_random_numbers_of_its_own(start: Path, tmp_path: Path) -> None:
    planned = tuple(plan([600, 750], settings(3)))
    runs = make_runs(Opened.of(Nothing(), fidelity="free"), read_start(start), tmp_path / "out", planned, settings(3))
    # without forces a path is its momenta and its noise, whose size alone depends on the temperature
    paths = [np.array([frame.positions[0] - run.frames[0].positions[0] for frame in run.frames]) for run in runs]
    shapes = [(path / np.linalg.norm(path)).ravel() for path in paths]
    assert len(shapes) == 4
    for one in range(4):
        for other in range(one):
            assert abs(shapes[one] @ shapes[other]) < 0.999
    seeds = {run_seed(3, kelvin, draw, number) for kelvin in (600, 750) for draw in (None, 0, 1) for number in (0, 1)}
    assert len(seeds) == 12
    # the same ones when more are asked for
    assert run_seed(3, 600.0, None, 1) == run_seed(3, 600, None, 1)


def test_runs_that_rung_0_1_began_go_on_with_their_seed(start: Path, tmp_path: Path) -> None:
    """It gave the run ``number`` of draw ``d`` the seed ``seed + 10000 d + number`` at every temperature."""
    out = tmp_path / "out"
    old = MDSettings(temperature=600, steps=20, friction=0.002, frame_every=10, seed=4)
    run_md(read_start(start), Nothing(), old, out / "runs" / "600K-1", identity="free None")
    planned = tuple(plan([600], settings(3)))
    make_runs(Opened.of(Nothing(), fidelity="free"), read_start(start), out, planned, settings(3))
    whole = old.model_copy(update={"steps": 40})
    run_md(read_start(start), Nothing(), whole, tmp_path / "whole", identity="free None")
    last = [
        read(folder / "trajectory.extxyz", "-1").positions for folder in (out / "runs" / "600K-1", tmp_path / "whole")
    ]
    np.testing.assert_array_equal(*last)


def test_frames_of_runs_outside_the_domain_are_counted_at_each_temperature(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", hop()[3], format="extxyz")
    chosen = RunsSettings(runs=2, steps=40, timestep=0.2, frame_every=10, seed=1)
    task = TransportTask(files=[tmp_path / "start.xyz"], temperatures=[300], diffusion={"species": "C"}, runs=chosen)
    potential = Opened.of(two_levels(domain=known(hop()[:1])), fidelity="high")
    (one,) = find_transport_of_model(potential, task, tmp_path / "out").temperatures
    assert one.domain is not None
    assert (one.domain.domain, one.domain.n_structures, one.domain.n_outside) == ("outside", 10, 10)
    assert one.domain.first == "at 0 ps of runs/300K-0/trajectory.extxyz" and one.domain.first_ps == 0.0
    result = TransportResult.read(tmp_path / "out" / "transport.json")
    sentence = f"At 300 K: {one.domain.verdict}"
    assert sentence in transport_summary(result).warnings
    assert sentence in Page((tmp_path / "out" / "transport.html").read_text()).text
