"""Tasks that are killed with SIGKILL at random moments, ten times each, end with the very same results."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from rung.storage import read_json
from tests.cli.kills import broken, timed
from tests.pair_hop import ends

pytestmark = pytest.mark.slow

KILLS = 10
TOLERANCE = 1e-6
WORLDS = "tests.evaluate.free_energy.umbrella_worlds"


def numbers(content: Any) -> list[float]:
    """Return every number of a result, in the order of its keys; a missing one is NaN."""
    if isinstance(content, dict):
        return [one for key, value in sorted(content.items()) for one in numbers(value)]
    if isinstance(content, list):
        return [one for value in content for one in numbers(value)]
    return (
        [float("nan") if content is None else float(content)] if isinstance(content, (int, float, type(None))) else []
    )


def killed(folder: Path, words: list[str], result: str, *files: str, seed: int) -> None:
    """Run a command unbroken and broken; its result agrees to the tolerance, further ``files`` to the byte."""
    whole, out = folder / "whole", folder / "broken"

    def same() -> None:
        found, due = (numbers(read_json(run / result)) for run in (out, whole))
        assert len(due) > 5
        assert found == pytest.approx(due, rel=0.0, abs=TOLERANCE, nan_ok=True)
        for name in files:
            assert (out / name).read_bytes() == (whole / name).read_bytes()

    duration = timed([*words, "--out", str(whole)])
    broken([*words, "--out", str(out)], out, duration, kills=KILLS, seed=seed, same=same)


def crystal(folder: Path, rattle: float) -> str:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rattle(rattle, seed=0)
    write(folder / "start.xyz", atoms, format="extxyz")
    return str(folder / "start.xyz")


def test_md(tmp_path: Path) -> None:
    words = ["md", f"{WORLDS}:forgetful_emt", crystal(tmp_path, 0.05), "--fidelity", "emt", "--trusted"]
    words += ["--temperature", "800", "--steps", "600", "--timestep", "4", "--save-every", "50", "--frame-every", "5"]
    killed(tmp_path, words, "md.json", "md.json", "trajectory.extxyz", "samples.csv", seed=1)


def test_free_energy(tmp_path: Path) -> None:
    write(tmp_path / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    (tmp_path / "cv.yaml").write_text(
        "kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n"
    )
    words = ["free-energy", f"{WORLDS}:quick_well", str(tmp_path / "start.xyz"), "--trusted"]
    words += ["--fidelity", "model", "--cv", str(tmp_path / "cv.yaml"), "--temperature", "600", "--steps", "1500"]
    words += ["--windows", "-1.4", "1.4", "9", "--spring", "3", "--friction", "0.1", "--free-drift"]
    killed(tmp_path, words, "free_energy.json", "free_energy.json", "frames.extxyz", seed=2)
    for index in range(9):
        one, other = (np.load(tmp_path / run / f"window-{index:03d}.npz") for run in ("whole", "broken"))
        assert all(np.array_equal(one[name], other[name]) for name in one.files)


def test_barrier_with_its_vibrations_and_draws(tmp_path: Path) -> None:
    for name, atoms in zip(("initial.xyz", "final.xyz"), ends(), strict=True):
        atoms.positions[2, 1] = 0.2  # something to relax
        write(tmp_path / name, atoms, format="extxyz")
    words = ["barrier", "tests.pair_hop:lifted", str(tmp_path / "initial.xyz"), str(tmp_path / "final.xyz")]
    words += ["--fidelity", "high", "--trusted", "--fmax", "0.002", "--draws", "6", "--images", "9", "--rate", "600"]
    killed(tmp_path, words, "barrier.json", seed=3)


def test_vibrations(tmp_path: Path) -> None:
    first, _ = ends()
    first.positions[2, 1] = 0.2
    write(tmp_path / "start.xyz", first, format="extxyz")
    words = ["vibrations", "tests.pair_hop:lifted", str(tmp_path / "start.xyz"), "--fidelity", "high", "--trusted"]
    killed(tmp_path, words, "vibrations.json", seed=8)


def test_vacancies(tmp_path: Path) -> None:
    words = ["vacancies", "tests.evaluate.paths.wells:carton", "--fidelity", "high", "--trusted", "--fmax", "0.001"]
    words += ["--counts", "2", "--ways", "sequential", "--images", "5", "--most-margin", "3", "--defect-margin", "2"]
    words += ["--tolerance", "1"]
    killed(tmp_path, words, "vacancies.json", seed=4)


def test_relax(tmp_path: Path) -> None:
    words = ["relax", "ase.calculators.emt:EMT", crystal(tmp_path, 0.3), "--fidelity", "emt", "--trusted"]
    words += ["--cell", "--fmax", "0.0005"]
    killed(tmp_path, words, "relax.json", seed=5)
    found, due = (read(tmp_path / run / "relaxed.extxyz") for run in ("broken", "whole"))
    np.testing.assert_allclose(found.positions, due.positions, rtol=0.0, atol=TOLERANCE)


def test_transport(tmp_path: Path) -> None:
    words = [
        "transport",
        crystal(tmp_path, 0.05),
        "--model",
        f"{WORLDS}:forgetful_emt",
        "--fidelity",
        "emt",
        "--trusted",
    ]
    words += ["--species", "Cu", "--temperature", "2500", "--steps", "400", "--timestep", "4", "--frame-every", "4"]
    words += ["--seed", "1", "--runs", "2"]
    killed(tmp_path, words, "transport.json", "msd.csv", seed=6)
