"""The data of H + H2: geometries, labels and block series belong together; and the core of the study, slowly."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase.io import write

from rung.campaign import load_campaign_config
from rung.collect.collecting import collect
from rung.collect.settings import CollectSettings
from rung.data.readers.structures import read_structures
from rung.data.structure import Structure
from rung.demo_data import folder
from tests.examples.scripts import FOLDER, part

STUDY = FOLDER / "h3_qmc"
FRAMES = folder("h3") / "frames.extxyz"


@pytest.fixture(scope="module")
def frames() -> dict[str, Structure]:
    return {structure.structure_id: structure for structure in read_structures(FRAMES)}


def test_every_frame_has_the_labels_that_the_readme_says(frames: dict[str, Structure]) -> None:
    assert len(frames) == 360
    counts = {name: sum(one.labelled(name).has_energy for one in frames.values()) for name in ("pbe", "ccsdt", "dmc")}
    assert counts == {"pbe": 360, "ccsdt": 300, "dmc": 60}
    assert sum(one.labelled("ccsdt").has_forces for one in frames.values()) == 100
    for structure in frames.values():
        pbe, ccsdt, dmc = (structure.labelled(name) for name in ("pbe", "ccsdt", "dmc"))
        assert pbe.has_forces and not dmc.has_forces
        assert -46.0 < pbe.energy < -43.0  # eV: three hydrogen atoms have -1.5 Hartree and more
        for labels in (pbe, ccsdt):
            assert not labels.has_forces or np.abs(labels.forces.sum(axis=0)).max() < 5e-3
        assert not dmc.has_energy or 0.009 < dmc.energy_stderr < 0.028
        assert not dmc.has_energy or not ccsdt.has_energy or abs(dmc.energy - ccsdt.energy) < 0.2


def test_forces_of_three_atoms_follow_from_six_energies() -> None:
    """Against the derivatives of a sum of pairs, of atoms anywhere and of atoms on a line."""
    pytest.importorskip("pyscf")
    levels = part("h3_qmc", "levels")

    def energy(places: np.ndarray) -> float:
        return sum((i + j) * np.exp(-1.3 * np.linalg.norm(places[i] - places[j])) for i in range(3) for j in range(i))

    line = np.array([[0.0, 0.0, -0.9], [0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])
    for places in (np.random.default_rng(3).normal(size=(3, 3)), line):
        expected = np.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                if i != j:
                    apart = places[i] - places[j]
                    length = np.linalg.norm(apart)
                    expected[i] += 1.3 * (i + j) * np.exp(-1.3 * length) * apart / length
        np.testing.assert_allclose(levels.planar_forces(energy, places), expected, atol=2e-5)


@pytest.mark.slow
def test_forces_are_the_slopes_of_the_energies_of_their_level(frames: dict[str, Structure]) -> None:
    """One coordinate of one frame of each level, by energies of a smaller step than that of the labels."""
    pytest.importorskip("pyscf")
    levels, structure = part("h3_qmc", "levels"), frames["rand_060"]
    for name, tolerance in (("pbe", 3e-3), ("ccsdt", 3e-3)):
        found = []
        for step in (-1e-3, 1e-3):
            atoms = structure.atoms.copy()
            atoms.positions[2, 2] += step
            atoms.calc = levels.LEVELS[name]()
            found.append(atoms.get_potential_energy())
        slope = (found[0] - found[1]) / 2e-3
        assert structure.labelled(name).forces[2, 2] == pytest.approx(slope, abs=tolerance)


def test_the_geometries_are_those_of_the_script(frames: dict[str, Structure]) -> None:
    made = {atoms.info["structure_id"]: atoms.positions for atoms in part("h3_qmc", "geometries").frames()}
    assert list(made) == list(frames)
    assert max(np.abs(made[name] - one.atoms.positions).max() for name, one in frames.items()) < 1e-12


def test_collect_makes_the_labels_of_the_block_series(frames: dict[str, Structure], tmp_path: Path) -> None:
    """Against what the program that made the runs said: weighted means, and errors by the statistical inefficiency."""
    write(tmp_path / "plain.extxyz", part("h3_qmc", "geometries").frames())
    told = {
        "structures": (tmp_path / "plain.extxyz",),
        "fidelity": "dmc",
        "equilibration": 0,
        "out": tmp_path / "labels.extxyz",
    }
    collect(CollectSettings(paths=(STUDY / "dmc",), **told))
    labels = {one.structure_id: one.labelled("dmc") for one in read_structures(tmp_path / "labels.extxyz")}
    runs = list(csv.DictReader((STUDY / "dmc" / "runs.csv").read_text().splitlines()))
    assert len(runs) == 60
    for run in runs:
        label, shipped = labels[run["structure_id"]], frames[run["structure_id"]].labelled("dmc")
        assert label.energy == pytest.approx(float(run["energy_ev"]), abs=3e-4)
        assert label.energy_stderr == pytest.approx(float(run["stderr_ev"]), rel=0.15)
        assert (shipped.energy, shipped.energy_stderr) == pytest.approx((label.energy, label.energy_stderr), abs=1e-8)


def test_the_saddles_are_those_of_the_levels(frames: dict[str, Structure]) -> None:
    """The barrier is known to be 0.417 eV, with bonds of 0.930 Å and an imaginary mode of about 1500i cm⁻¹."""
    saddles = json.loads((folder("h3") / "saddles.json").read_text())
    for name in ("pbe", "ccsdt"):
        height = frames["path_050"].labelled(name).energy - frames["path_far"].labelled(name).energy
        assert saddles[name]["barrier"] == pytest.approx(height, abs=5e-3)
        assert sum(mode < 0 for mode in saddles[name]["wavenumbers"]) == 1
    assert saddles["ccsdt"]["bond"] == pytest.approx(0.930, abs=3e-3)
    assert min(saddles["ccsdt"]["wavenumbers"]) == pytest.approx(-1500, abs=60)
    assert saddles["ccsdt"]["barrier"] == pytest.approx(0.417, abs=0.03)


def test_the_campaign_asks_what_the_page_says() -> None:
    config = load_campaign_config(STUDY / "campaign.yaml")
    assert config.target == "dmc" and config.questions["exchange"].tolerance == 0.05
    assert [path.resolve() for path in config.engine.files] == [FRAMES.resolve()]


def test_the_folder_is_small() -> None:
    files = [path for place in (STUDY, folder("h3")) for path in place.rglob("*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 1_000_000


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, beside which its siblings can be imported; scripts of other examples have the same names."""
    monkeypatch.syspath_prepend(STUDY)
    before = set(sys.modules)
    yield part("h3_qmc", "pictures")
    for name in set(sys.modules) - before:
        if str(STUDY) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_curves_are_those_of_the_table(pictures: ModuleType, tmp_path: Path) -> None:
    """The committed picture is what the page's table gives, in ink that light and dark readers see."""
    page = FOLDER.parent / "docs" / "results" / "h3.md"
    text = page.read_text()
    pictures.draw_curves(text, tmp_path / "curves.svg")
    curves = pictures.curves_of(text, pictures.FORCES)
    assert curves["base"] == {0: (249.0, 0.0)}
    assert curves["tangent"] == {10: (98.0, 24.0), 20: (81.0, 34.0), 40: (64.0, 7.0), 54: (58.0, 0.0)}
    drawn = (tmp_path / "curves.svg").read_text()
    assert drawn == (page.parent / "h3-curves.svg").read_text()
    for name in ("h3.svg", "h3-curves.svg", "h3-result.svg"):
        assert "@media (prefers-color-scheme: dark)" in (page.parent / name).read_text()


@pytest.mark.slow
def test_the_core_of_the_study(tmp_path: Path) -> None:
    """Forty energies bring barrier, energies and forces to DMC and UCCSD(T); offset cannot."""
    options = ("--methods", "offset", "readout", "--dmc-alone")
    done = subprocess.run(
        [sys.executable, str(STUDY / "study.py"), str(tmp_path), "--draws", "1", *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "scores-dmc.json").read_text())
    (offset,), (readout,) = (
        [row for row in rows if (row["method"], row["number"]) == (method, 40)] for method in ("offset", "readout")
    )
    assert abs(readout["saddle"] - 0.403) < 3 * np.hypot(0.025, readout["saddle_stderr"])
    assert offset["saddle"] < 0.3
    assert readout["energy_std"] < 0.5 * offset["energy_std"]
    assert readout["force_rmse"] < 0.7 * offset["force_rmse"]
    assert readout["n_imaginary"] == 1
    for name in ("h3.svg", "h3-curves.svg", "h3-result.svg"):
        assert (tmp_path / name).read_text().startswith("<?xml")
