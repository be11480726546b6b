"""A real model that is killed, and a training on two processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.data.batch import collate
from rung.data.stream import PackedRows, pack
from rung.data.structure import Structure
from rung.fit.fidelities.rows import rows_of as rows_of_fidelities
from rung.fit.lift import Context
from rung.fit.methods.joint import JointSettings, fit_joint
from rung.fit.training.decay import DecayToStart
from rung.fit.training.loss import LossSettings
from rung.fit.training.processes import Processes
from rung.fit.training.sampling import Balanced, Proportional
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.model.reference import ReferenceEnergies
from rung.progress import SILENT
from tests.fit.levels import DEPTH, two_levels
from tests.fit.lifts import lift_of
from tests.fit.toy_model import CUTOFF, ToyJoint, ToyTrainable
from tests.fit.toy_surface import REFERENCE, toy_structures

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
from rung.fit.lift import Context
from rung.fit.methods.scratch import ScratchSettings, fit_scratch
from tests.fit.lifts import lift_of
from tests.fit.toy_surface import toy_structures

settings = ScratchSettings.read({
    "architecture": {"channels": 4, "cutoff": 3.5, "correlation": 2, "radial_units": [8]},
    "training": {"epochs": 12, "batch_size": 2, "checkpoint_seconds": 0.0, "final": {"fraction": 0.3}},
})
context = Context(seed=3, folder=Path(sys.argv[1]))
result = fit_scratch(lift_of(toy_structures(10), target="low"), settings, context)
print(result.potential.fingerprint)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_killed_at_random_moments_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    whole, _ = start(tmp_path / "whole").communicate(timeout=300)
    generator = np.random.default_rng(0)
    folder, kills = tmp_path / "broken", 0
    while True:
        process = start(folder)
        began = time.monotonic()
        while not (folder / "training.pt").exists() and process.poll() is None:
            time.sleep(0.05)
        assert time.monotonic() - began < 120
        if kills == 4:
            break
        time.sleep(float(generator.uniform(0.0, 6.0)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        assert {path.name for path in folder.iterdir() if path.name[0] != "."} <= {"epochs.csv", "training.pt"}
    resumed, _ = process.communicate(timeout=300)
    assert whole.strip()
    assert resumed == whole


@pytest.mark.parametrize("count", [7, 6])
def test_two_processes_equal_one(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows in batches of three leave a batch of one row: a process without a row must add nothing.

    Every other structure has energies alone, so the two processes hold different numbers of labels.
    """
    for name in ("LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    mixed = [s for pair in zip(toy_structures(4), toy_structures(4, seed=1, forces=False), strict=True) for s in pair]
    rows = pack(mixed[:count], ["low"] * count, CUTOFF)
    valid = pack(toy_structures(3, seed=2), ["low"] * 3, CUTOFF)
    found = []
    for devices in (1, 2):
        model = ToyTrainable()
        settings = TrainingSettings(
            epochs=3, batch_size=3, schedule=Constant(), clip=0.5, processes=Processes(devices=devices)
        )
        done = train(model, rows, valid, settings, seed=1, dtype=torch.float64, progress=SILENT)
        found.append((torch.cat([parameter.detach().flatten() for parameter in model.parameters()]), done))
    (one, log_one), (two, log_two) = found
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)
    for row_one, row_two in zip(log_one.log, log_two.log, strict=True):
        for key in ("train_loss", "valid_loss", "energy_rmse", "force_rmse"):
            assert row_one[key] == pytest.approx(row_two[key], rel=1e-9)


@pytest.mark.parametrize("sampling", [Balanced(), Proportional()], ids=lambda sampling: sampling.name)
def test_two_processes_equal_one_on_several_fidelities(
    sampling: Balanced | Proportional, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of three rows of two fidelities: one process holds a fidelity that the other has no row of."""
    for name in ("LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = ("high", "low")

    def rows_of(frames: list[Structure]) -> PackedRows:
        rows = rows_of_fidelities(frames, names)
        return rows.packed(CUTOFF)

    rows, valid = rows_of(two_levels(7, 3)), rows_of(two_levels(3, 2, seed=2))
    found = []
    for devices in (1, 2):
        model = ToyJoint({name: ReferenceEnergies(REFERENCE) for name in names})
        settings = TrainingSettings(
            epochs=3, batch_size=3, schedule=Constant(), clip=0.5, sampling=sampling,
            decay_to_start=DecayToStart(strength=2.0), loss=LossSettings(fidelity_weights={"high": 0.4}),
            processes=Processes(devices=devices),
        )  # fmt: skip
        done = train(model, rows, valid, settings, seed=1, target="high", dtype=torch.float64, progress=SILENT)
        found.append((torch.cat([parameter.detach().flatten() for parameter in model.parameters()]), done))
    (one, log_one), (two, log_two) = found
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)
    for row_one, row_two in zip(log_one.log, log_two.log, strict=True):
        assert {**row_one, "seconds": 0.0} == pytest.approx({**row_two, "seconds": 0.0}, rel=1e-9)


def test_cheap_forces_beat_energies_alone_on_forces() -> None:
    """Twelve energies of a deeper surface, with and without the forces of the shallower one on other geometries."""
    frames = two_levels(60, 12)
    test = toy_structures(40, seed=7, fidelity="high", depth=DEPTH)
    settings = {
        "architecture": {"channels": 8, "max_l": 0, "cutoff": 3.5, "correlation": 2, "radial_units": [16]},
        "training": {"epochs": 40, "batch_size": 8, "learning_rate": 0.01, "schedule": {"name": "cosine"}},
        "geometries": "disjoint",
    }
    errors = {}
    for row, fidelities in {"HL-E": {"high": {}}, "LL-EF+HL-E": {"low": {}, "high": {}}}.items():
        read = JointSettings.read({**settings, "fidelities": fidelities})
        result = fit_joint(lift_of(frames), read, Context(seed=1, dtype="float64"))
        batch = collate(test, ["high"] * len(test), result.potential.cutoff)
        said = result.potential.predict(batch)
        errors[row] = (said.forces - batch.forces).square().mean().sqrt().item()
    assert errors["LL-EF+HL-E"] < 0.6 * errors["HL-E"]
