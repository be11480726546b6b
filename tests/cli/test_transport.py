"""`rung transport`: what it prints, writes and returns, and that a killed one goes on to the same numbers."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import atomic_masses
from ase.io import read, write
from ase.units import fs

from rung.calculator import RungCalculator
from rung.cli import main
from rung.data.readers.structures import read_structures, write_structures
from rung.evaluate.dynamics.md import MDSettings, run_md
from rung.storage import read_json
from rung.tasks.opened import read_start
from rung.tasks.transport_runs import run_seed
from rung.units import BOLTZMANN
from tests.data.readers.dumps import dump, lithium
from tests.evaluate.transport.walks import FRAME_FS, brownian, walk
from tests.run.small_world import SmallWorld

FREE = "tests.evaluate.transport.walks:Nothing"
FRICTION = 0.02


@pytest.fixture
def trajectories(tmp_path: Path) -> list[str]:
    files = []
    for seed in range(3):
        frames = walk(brownian(2e-4, frames=150, atoms=6, seed=seed), seed=seed)
        for frame in frames:
            frame.wrap()
        files.append(tmp_path / f"run{seed}.extxyz")
        write(files[-1], frames)
    return [str(file) for file in files]


def transport(files: list[str], out: Path, *more: str, species: str = "Li") -> int:
    words = ["transport", *files, "--species", species, "--temperature", "600", "--out", str(out)]
    return main([*words, "--frame-fs", str(FRAME_FS), *more])


def test_wrapped_trajectories_become_a_table_and_a_page(
    trajectories: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert transport(trajectories, out, "--charge", "1") == 0
    said = capsys.readouterr()
    assert "takes the Haven ratio to be 1" in said.out
    assert said.err.count("warning") == 0
    found = read_json(out / "transport.json")
    value = found["temperatures"][0]["tracer_diffusivity"]
    assert value["value"] == pytest.approx(2e-5, abs=3 * value["stderr"])
    assert found["units"]["conductivity"] == "S/cm"
    rows = list(csv.DictReader((out / "msd.csv").read_text().splitlines()))
    assert {row["run"] for row in rows} == set(trajectories)
    at_one = [float(row["msd"]) for row in rows if float(row["time_ps"]) == pytest.approx(FRAME_FS / 1000)]
    assert np.mean(at_one) == pytest.approx(6 * 2e-4 * FRAME_FS, rel=0.1)
    page = (out / "transport.html").read_text()
    assert "Nernst–Einstein estimate follows from that of single ions" in page
    assert "figure-2" in page


def test_what_does_not_diffuse_keeps_its_displacements_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "still.extxyz", walk(np.zeros((150, 6, 3)), rattle=0.2))
    assert transport([str(tmp_path / "still.extxyz")], tmp_path / "out") == 1
    assert "Li does not diffuse within lags up to" in capsys.readouterr().err
    found = read_json(tmp_path / "out" / "transport.json")
    assert found["temperatures"][0]["tracer_diffusivity"]["value"] is None
    assert found["activation"] == {}
    assert (tmp_path / "out" / "msd.csv").stat().st_size > 500


@pytest.mark.parametrize(
    ("more", "species", "sentence"),
    [
        ((), "Na", "There is no Na in the run; there is: Li, S."),
        (("--draw", "1"), "Li", "draws: 1 for 3 files"),
        (("--axes", "xq"), "Li", "axes are one or more of x, y and z"),
        (("--model", FREE), "Li", "Say which fidelity of the model to run"),
        (("--model", FREE, "--fidelity", "model"), "Li", "give the one file of the start structure, not 3 files"),
    ],
)
def test_bad_input_is_one_sentence(
    trajectories: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    species: str,
    sentence: str,
) -> None:
    assert transport(trajectories, tmp_path / "out", *more, species=species) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "transport.json").exists()


def test_files_that_are_no_trajectories_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert transport([str(tmp_path / "absent.extxyz")], tmp_path / "out") == 2
    assert "There is no file" in capsys.readouterr().err
    (tmp_path / "words.extxyz").write_text("these are words\n")
    assert transport([str(tmp_path / "words.extxyz")], tmp_path / "out") == 2
    assert "words.extxyz, line 1: a number of atoms should stand here" in capsys.readouterr().err


def test_a_dump_of_lammps_gives_the_numbers_of_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Types alone were hydrogen and helium, and image flags were not used."""
    walks = lithium(150)
    write(tmp_path / "run.extxyz", walks)
    (tmp_path / "run.lammpstrj").write_text(dump(walks, extra="ix iy iz", wrap=True))
    assert transport([str(tmp_path / "run.lammpstrj")], tmp_path / "no") == 2
    assert "type 1 is not hydrogen" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    assert transport([str(tmp_path / "run.lammpstrj")], tmp_path / "dump", "--types", "Li", "S") == 0
    assert transport([str(tmp_path / "run.extxyz")], tmp_path / "plain", "--unwrapped") == 0
    one, other = (
        read_json(tmp_path / name / "transport.json")["temperatures"][0]["tracer_diffusivity"]
        for name in ("dump", "plain")
    )
    assert one["value"] == pytest.approx(other["value"], rel=1e-6)
    assert one["value"] == pytest.approx(0.4**2 / (2 * FRAME_FS) / 10, abs=3 * one["stderr"])  # Å²/fs is 0.1 cm²/s


def free_lithium(folder: Path) -> Path:
    atoms = Atoms("LiS", positions=[[10, 10, 10], [0, 0, 0]], cell=[40, 40, 40], pbc=True)
    atoms.set_constraint(FixAtoms([1]))
    write(folder / "start.xyz", atoms, format="extxyz")
    return folder / "start.xyz"


def of_model(start: Path, out: Path, *, steps: int) -> list[str]:
    words = ["transport", str(start), "--species", "Li", "--charge", "1", "--temperature", "600", "--out", str(out)]
    words += ["--model", FREE, "--fidelity", "free", "--trusted", "--steps", str(steps), "--frame-every", "10"]
    return [*words, "--timestep", "5", "--friction", str(FRICTION), "--seed", "1"]


def test_runs_are_made_and_friction_alone_gives_its_diffusivity(tmp_path: Path) -> None:
    start, out = free_lithium(tmp_path), tmp_path / "out"
    assert main(of_model(start, out, steps=900)) == 0
    found = read_json(out / "transport.json")["temperatures"][0]
    # Einstein's relation: kT/(m γ), γ in ASE's unit of time
    einstein = BOLTZMANN * 600 / (atomic_masses[3] * FRICTION / fs) * fs * 0.1
    value = found["tracer_diffusivity"]
    assert value["value"] == pytest.approx(einstein, abs=3 * value["stderr"])
    assert value["stderr"] < 0.5 * einstein
    assert sorted(one.name for one in (out / "runs").iterdir()) == ["600K-0", "600K-1", "600K-2"]
    # again: the runs are there, and the answer is the same
    before = (out / "transport.json").read_text()
    assert main(of_model(start, out, steps=900)) == 0
    assert (out / "transport.json").read_text() == before


def test_draws_need_a_posterior(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = of_model(free_lithium(tmp_path), tmp_path / "out", steps=40)
    assert main([*words, "--draws", "2"]) == 2
    assert "has no posterior to draw from; leave out --draws" in capsys.readouterr().err


@pytest.mark.slow
def test_draws_are_those_of_the_calculator(finished: SmallWorld, tmp_path: Path) -> None:
    model = finished.folder / "run" / "model.rung"
    write_structures(tmp_path / "start.extxyz", read_structures(finished.folder / "train.extxyz")[:1])
    words = ["transport", str(tmp_path / "start.extxyz"), "--model", str(model), "--fidelity", "high", "--species", "H"]
    words += ["--temperature", "300", "--steps", "40", "--timestep", "0.2", "--frame-every", "1", "--draws", "2"]
    code = main([*words, "--runs", "1", "--out", str(tmp_path / "out")])
    content = read_json(tmp_path / "out" / "transport.json")
    assert code == int(bool(content["reason"]))  # eight femtoseconds need not be diffusive
    found = content["temperatures"][0]
    assert (found["n_runs"], found["n_draws"]) == (2, 2)
    start = read_start(tmp_path / "start.extxyz")
    calculators = RungCalculator(model, fidelity="high").draws(2, seed=0)
    for draw, calculator in enumerate(calculators):
        last = read(tmp_path / "out" / "runs" / f"300K-draw{draw}-0" / "trajectory.extxyz", index="-1")
        settings = MDSettings(
            temperature=300, steps=40, timestep=0.2, friction=0.002, frame_every=1, seed=run_seed(0, 300, draw, 0)
        )
        run_md(start, calculator, settings, tmp_path / str(draw))
        np.testing.assert_allclose(
            last.positions, read(tmp_path / str(draw) / "trajectory.extxyz", index="-1").positions, atol=1e-8
        )


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    start = free_lithium(tmp_path)
    assert main(of_model(start, tmp_path / "whole", steps=4000)) == 0
    words = of_model(start, tmp_path / "killed", steps=4000)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["."])}
    process = subprocess.Popen([sys.executable, "-m", "rung", *words], env=environment)
    second = tmp_path / "killed" / "runs" / "600K-1" / "state.npz"
    deadline = time.monotonic() + 300
    while not second.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "transport.json").exists()
    assert main(words) == 0
    assert (tmp_path / "killed" / "transport.json").read_text() == (tmp_path / "whole" / "transport.json").read_text()
