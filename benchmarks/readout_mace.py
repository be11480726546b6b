"""mace-torch's side of ``readout_fit.py``: its command, and what its log says."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.io import write
from readout_task import LOW, Task

LOSS_SCALE = 1e-2  # J as mace sees it is of order one, as its clipping of gradients at 10 expects
BATCH = 5
WITHIN = 1.01


@dataclass(frozen=True)
class Theirs:
    """What mace-torch did at one learning rate; ``seconds`` is None where it was never within one per cent."""

    learning_rate: float
    seconds: float | None
    spent: float
    epochs: int
    first: float
    best: float


def write_for_mace(task: Task, path: Path) -> None:
    frames = []
    for structure, energy, forces in zip(task.structures, task.energies, task.forces, strict=True):
        atoms = Atoms(
            numbers=structure.atoms.numbers,
            positions=structure.atoms.positions,
            cell=structure.atoms.cell,
            pbc=structure.atoms.pbc,
        )
        atoms.info["REF_energy"] = float(energy)
        atoms.arrays["REF_forces"] = forces.reshape(-1, 3)
        frames.append(atoms)
    write(path, frames, format="extxyz")


def mace_command(task: Task, model: Path, learning_rate: float) -> list[str]:
    reference = task.base.surface(LOW).reference.energies
    energy_weight, forces_weight = (weight * LOSS_SCALE for weight in task.weights)
    options = {
        "name": "readout",
        "foundation_model": str(model),
        "multiheads_finetuning": "False",
        "freeze": 6,
        "E0s": str({int(number): float(energy) for number, energy in reference.items()}),
        "train_file": "train.extxyz",
        "valid_file": "train.extxyz",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "loss": "weighted",
        "energy_weight": energy_weight,
        "forces_weight": forces_weight,
        "batch_size": BATCH,
        "valid_batch_size": len(task.structures),
        "lr": learning_rate,
        "weight_decay": 0.0,
        "max_num_epochs": 1_000_000,
        "patience": 1_000_000,
        "eval_interval": 2,
        "default_dtype": "float32",
        "device": "cpu",
        "seed": 1,
        "plot": "False",
    }
    words = [str(Path(sys.executable).with_name("mace_run_train")), "--amsgrad"]
    return [*words, *(f"--{name}={value}" for name, value in options.items())]


def run_mace(task: Task, model: Path, folder: Path, learning_rate: float, target: float, limit: float) -> Theirs:
    """Train until J is within one per cent of ``target`` or its steps have taken ``limit`` seconds."""
    folder.mkdir(parents=True)
    write_for_mace(task, folder / "train.extxyz")
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            mace_command(task, model, learning_rate), cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while True:
                progress = read_progress(folder, learning_rate, len(task.structures), target)
                if progress.seconds is not None or progress.spent > limit:
                    return progress
                if process.poll() is not None:
                    raise SystemExit(f"mace_run_train ended by itself; see {folder / 'log.txt'}.")
                time.sleep(0.5)
        finally:
            process.terminate()
            process.wait()


def read_progress(folder: Path, learning_rate: float, n_structures: int, target: float) -> Theirs:
    """Read what mace has logged: a step's own seconds, and J over all structures at each evaluation.

    mace logs the sum of its batches' mean losses over the number of structures; there is one batch, so that times the
    number of structures is J.
    """
    spent, first, best, epochs = 0.0, float("nan"), float("inf"), 0
    for path in (folder / "results").glob("*_train.txt"):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line is still being written
            if entry["mode"] == "opt":
                spent += entry["time"]
                epochs = entry["epoch"] + 1
            else:
                value = float(entry["loss"]) * n_structures / LOSS_SCALE
                first = value if entry["epoch"] is None else first
                best = min(best, value)
                if value <= WITHIN * target:
                    return Theirs(learning_rate, spent, spent, epochs, first, best)
    return Theirs(learning_rate, None, spent, epochs, first, best)
