"""What a user does with a shipped checkpoint, from the doctor to the report: ammonia turns inside out.

The base is what SevenNet-MF-0 says at PBE; the labels are what its other modality says, so that the truth is known.
"""

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule

from rung.backends import load_base
from rung.cli import main
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.results.barrier_task import read_task_panels
from rung.run.evaluation import predict
from rung.storage import read_json
from tests.sevennet_models import calculator, shipped

pytestmark = pytest.mark.slow


def ammonia(height: float) -> Atoms:
    """Return ammonia with its nitrogen at ``height`` Å above the hydrogens."""
    atoms = molecule("NH3")
    hydrogens = atoms.positions[1:, 2].mean()
    atoms.positions[0, 2] = hydrogens + height
    return atoms


def frames(name: str, count: int, seed: int) -> list[Structure]:
    """Return rattled frames of the inversion and its surroundings with labels of both modalities."""
    rng = np.random.default_rng(seed)
    structures = []
    for k, height in enumerate(np.linspace(-0.45, 0.45, count)):
        atoms = ammonia(float(height))
        atoms.positions += rng.normal(0.0, 0.04, atoms.positions.shape)
        structures.append(Structure(atoms, f"{name}-{k:02d}", {}))
    path = shipped("SevenNet_MF_0")
    both = load_base(path, fidelity="pbe", head={"pbe": "PBE", "r2scan": "R2SCAN"})
    said = {fidelity: predict(both, structures, fidelity) for fidelity in both.fidelities}
    known = {"pbe": True, "r2scan": name == "test"}
    return [
        replace(
            structure,
            labels={
                fidelity: replace(
                    empty_labels(4),
                    energy=float(one.energy[k]),
                    energy_stderr=0.002 if fidelity == "r2scan" and name == "train" else np.nan,
                    forces=one.forces[k] if known[fidelity] else np.full((4, 3), np.nan),
                )
                for fidelity, one in said.items()
            },
        )
        for k, structure in enumerate(structures)
    ]


def test_from_a_checkpoint_to_a_barrier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    base = shipped("SevenNet_MF_0")
    write_structures(tmp_path / "train.extxyz", frames("train", 14, 0))
    write_structures(tmp_path / "test.extxyz", frames("test", 5, 9))
    config = {
        "run": "lift",
        "fidelities": {"pbe": {"level_of_theory": "PBE"}, "r2scan": {}},
        "target": "r2scan",
        "base": {"file": str(base), "fidelity": "pbe", "head": "PBE"},
        "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
        "method": {"name": "readout"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    options = ["--base", str(base), "--base-fidelity", "pbe", "--base-head", "PBE", "--target", "r2scan"]
    assert main(["doctor", "train.extxyz", "test.extxyz", *options]) == 0
    assert main(["inspect", str(base)]) == 0
    assert "R2SCAN" in capsys.readouterr().out
    assert main(["fit", "config.yaml"]) == 0
    assert main(["evaluate", "lift/model.rung", "test.extxyz", "--fidelity", "r2scan"]) == 0
    metrics = read_json(tmp_path / "lift" / "metrics.json")
    after, before = metrics["splits"]["test"]["r2scan"], metrics["base"]["test"]["r2scan"]
    assert after["energy_rmse"] < 0.5 * before["energy_rmse"]
    for name, height in (("initial", 0.4), ("final", -0.4)):
        ase.io.write(tmp_path / f"{name}.xyz", ammonia(height))
    ends = ["initial.xyz", "final.xyz", "--fidelity", "r2scan", "--images", "5", "--draws", "0", "--out", "hop"]
    assert main(["barrier", "lift/model.rung", *ends]) == 0
    (panel,) = read_task_panels(tmp_path / "hop" / "barrier.json")
    (barrier,) = panel.barriers
    below, truth = (_inversion(calculator(base, modality)) for modality in ("PBE", "R2SCAN"))
    assert abs(truth - below) > 0.05  # eV: the base alone is that far off
    assert abs(barrier.value - truth) < 2 * barrier.stderr_total < 0.05
    page = tmp_path / "lift" / "report.html"
    page.unlink()
    assert main(["report", "lift"]) == 0
    assert "checkpoint_sevennet" in page.read_text()
    assert (tmp_path / "lift" / "r2scan.pth").exists()


def _inversion(reference: object) -> float:
    """Return the energy of planar ammonia less that of its minimum, both relaxed, eV."""
    from ase.optimize import BFGS

    energies = []
    for height in (0.0, 0.4):
        atoms = ammonia(height)
        atoms.calc = reference
        BFGS(atoms, logfile=None).run(fmax=0.02, steps=60)
        energies.append(atoms.get_potential_energy())
    return energies[0] - energies[1]
