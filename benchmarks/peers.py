"""Lifts of SevenNet-MF-0 by rung, beside SevenNet's own fine-tuning on the same labels, in the environment of SevenNet.

The base is the modality PBE; the labels are energies of the modality R2SCAN, so that the truth is known: ammonia on its
way through the plane, rattled. Fine-tuning starts from the checkpoint that ``offset`` wrote, so that both have the same
reference energies; it takes SevenNet's preset ``fine_tune`` and a quarter of the labels to choose its epoch.

    .venv-sevenn/bin/python benchmarks/peers.py --write docs/results/sevennet.md#ammonia
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import sevenn
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from rung.backends import load_base
from rung.config import load_config
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.run.evaluation import predict
from rung.run.stages import run_fit
from rung.storage import write_table

BASE = Path(sevenn.__file__).parent / "pretrained_potentials" / "SevenNet_MF_0" / "checkpoint_sevennet_mf_0.pth"
PRESET = Path(sevenn.__file__).parent / "presets" / "fine_tune.yaml"
TOLD = {
    "offset": "nothing",
    "readout": "nothing",
    "tangent": "nothing",
    "fine_tune": "epochs, learning rate, batch, validation set, loss weights; labels without forces: allow_unlabeled",
}


@dataclass(frozen=True)
class Row:
    """Errors on test frames, and what they cost."""

    name: str
    energy: float
    forces: float
    seconds: float


def frames(name: str, count: int, seed: int) -> list[Structure]:
    """Return frames with energies and forces of both modalities."""
    rng = np.random.default_rng(seed)
    structures = []
    for k, height in enumerate(np.linspace(-0.45, 0.45, count)):
        atoms = molecule("NH3")
        atoms.positions[0, 2] = atoms.positions[1:, 2].mean() + height
        atoms.positions += rng.normal(0.0, 0.04, atoms.positions.shape)
        structures.append(Structure(atoms, f"{name}-{k:02d}", {}))
    both = load_base(BASE, fidelity="pbe", head={"pbe": "PBE", "r2scan": "R2SCAN"})
    said = {fidelity: predict(both, structures, fidelity) for fidelity in both.fidelities}
    return [
        replace(
            one,
            labels={
                fidelity: replace(empty_labels(4), energy=float(found.energy[k]), forces=found.forces[k])
                for fidelity, found in said.items()
            },
        )
        for k, one in enumerate(structures)
    ]


def without_forces(one: Structure) -> Structure:
    """Return a frame whose target has an energy alone."""
    bare = replace(one.labels["r2scan"], forces=np.full((4, 3), np.nan))
    return replace(one, labels={**one.labels, "r2scan": bare})


def by_rung(method: str, test: list[Structure]) -> Row:
    """Run a method of rung in the present folder."""
    config = {
        "run": method,
        "fidelities": {"pbe": {}, "r2scan": {}},
        "target": "r2scan",
        "base": {"file": str(BASE), "fidelity": "pbe", "head": "PBE"},
        "data": {"train": "train.extxyz"},
        "method": {"name": method},
    }
    Path(f"{method}.yaml").write_text(yaml.safe_dump(config))
    start = time.process_time()
    run_fit(load_config(Path(f"{method}.yaml")))
    seconds = time.process_time() - start
    return Row(method, *errors(Path(method) / "r2scan.pth", test), seconds)


def by_sevennet(train: list[Structure], test: list[Structure], epochs: int) -> Row:
    """Fine-tune the checkpoint of ``offset`` by SevenNet's own program."""
    held = set(range(1, len(train), 4))
    for name, chosen in (("valid", held), ("fit", set(range(len(train))) - held)):
        ase.io.write(f"{name}.extxyz", [with_energy(train[k]) for k in sorted(chosen)])
    preset: dict[str, Any] = yaml.safe_load(PRESET.read_text())
    preset["model"] |= {"use_bias_in_linear": True}  # what the modality was folded into
    preset["train"] |= {"epoch": epochs, "is_train_stress": False, "per_epoch": epochs}
    preset["train"]["continue"]["checkpoint"] = "offset/r2scan.pth"
    preset["train"]["error_record"] = [["Energy", "RMSE"], ["TotalLoss", "None"]]
    preset["data"] = {
        "batch_size": 4,
        "data_format_args": {"index": ":", "allow_unlabeled": True},
        "load_trainset_path": ["fit.extxyz"],
        "load_validset_path": ["valid.extxyz"],
    }
    Path("input.yaml").write_text(yaml.safe_dump(preset))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).parent / "sevenn"), "train", "input.yaml", "-s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row("fine_tune", *errors(Path("checkpoint_best.pth"), test), seconds)


def with_energy(one: Structure) -> Atoms:
    """Return a frame with its target's energy as SevenNet reads it."""
    atoms = one.atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=one.labels["r2scan"].energy)
    return atoms


def errors(path: Path, test: list[Structure]) -> tuple[float, float]:
    """Return root mean square errors of SevenNet's own calculator, meV/atom and meV/Å."""
    from sevenn.calculator import SevenNetCalculator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calculator = SevenNetCalculator(str(path), device="cpu")
    energies, forces = [], []
    for one in test:
        atoms, truth = one.atoms.copy(), one.labels["r2scan"]
        atoms.calc = calculator
        energies.append(1000 * (atoms.get_potential_energy() - truth.energy) / len(atoms))
        forces.append(1000 * (atoms.get_forces() - truth.forces))
    return float(np.sqrt(np.mean(np.square(energies)))), float(np.sqrt(np.mean(np.square(forces))))


def table(rows: list[Row], labels: int, epochs: int) -> str:
    """Return the rows as Markdown."""
    lines = [
        f"{labels} energies of ammonia; errors on {N_TEST} other frames; `fine_tune`: {epochs} epochs.",
        "",
        "| method | energy, meV/atom | forces, meV/Å | CPU seconds | what it was told |",
        "|---|---|---|---|---|",
        *(f"| `{r.name}` | {r.energy:.1f} | {r.forces:.0f} | {r.seconds:.0f} | {TOLD[r.name]} |" for r in rows),
    ]
    return "\n".join(lines) + "\n"


N_TEST = 12


def main() -> None:
    """Run all, print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    target = options.write.resolve() if options.write else None
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        train = frames("train", options.labels, 0)
        test = frames("test", N_TEST, 9)
        write_structures(Path("train.extxyz"), [without_forces(one) for one in train])
        rows = [by_rung(method, test) for method in ("offset", "readout", "tangent")]
        rows.append(by_sevennet(train, test, options.epochs))
        os.chdir("/")
    text = table(rows, options.labels, options.epochs)
    print(text)
    if target is not None:
        write_table(target, text)


if __name__ == "__main__":
    main()
