"""The engines of examples/engines give the run of ASE, wherever they are installed: rung brings none of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rung.backends import export, load_base
from tests.examples.scripts import FOLDER

pytestmark = pytest.mark.slow

ENGINES = {
    "lammps_nve": ("lammps", 0.01),
    "ipi_nve": ("ipi", 0.01),
    "openmm_nve": ("openmmml", 0.2),  # its factor between eV and kJ/mol has six digits
    "torchsim_nve": ("torch_sim", 0.01),
}
"""The package, and by how many meV the potential energy may be off."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, testbed_base_path: Path) -> Path:
    """The testbed's base, exported in float64."""
    path = tmp_path_factory.mktemp("engines") / "pbe.model"
    export(load_base(testbed_base_path, fidelity="pbe", dtype="float64"), "pbe", path)
    return path


@pytest.mark.parametrize("name", ENGINES)
def test_help(name: str) -> None:
    said = subprocess.run(
        [sys.executable, str(FOLDER / "engines" / f"{name}.py"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "beside the same run by ASE" in " ".join(said.split()) or "beside the same run" in said
    assert f"{name}.py" in (FOLDER / "engines" / "README.md").read_text()


@pytest.mark.parametrize("name", ENGINES)
def test_the_run_is_that_of_ase(name: str, model: Path, testbed_base_path: Path, tmp_path: Path) -> None:
    package, allowed = ENGINES[name]
    pytest.importorskip(package)
    start = str(testbed_base_path.parent / "test.extxyz")
    words = ["--start", start, "--out", str(tmp_path / "out")] if name == "ipi_nve" else [start]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(FOLDER / "engines" / f"{name}.py"), str(model), *words, "--steps", "10"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    (found,) = re.findall(r"potential energy (\S+) meV", done.stdout)
    assert float(found) < allowed
