"""Lifts of SevenNet-MF-0 by rung, beside SevenNet's own fine-tuning on the same labels, in the environment of SevenNet.

The base is the modality PBE; the labels are energies of the modality R2SCAN, so that the truth is known: ammonia on its
way through the plane, rattled. Fine-tuning starts from the checkpoint that ``offset`` wrote, so that both have the same
reference energies; it takes SevenNet's preset ``fine_tune`` and a quarter of the labels to choose its epoch. A draw is
other displacements; what is done is kept in --work.

    .venv-sevenn/bin/python benchmarks/peers.py --work runs/peers --write docs/results/sevennet.md#ammonia
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import sevenn
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from peer_rows import Numbers, errors, kept, table

from rung.backends import load_base
from rung.config import load_config
from rung.data.labels import empty_labels
from rung.data.readers.structures import write_structures
from rung.data.structure import Structure
from rung.pages import write_table
from rung.run.evaluation import predict
from rung.run.stages import run_fit

BASE = Path(sevenn.__file__).parent / "pretrained_potentials" / "SevenNet_MF_0" / "checkpoint_sevennet_mf_0.pth"
PRESET = Path(sevenn.__file__).parent / "presets" / "fine_tune.yaml"
RUNG = ("offset", "readout", "tangent")
TOLD = {
    **dict.fromkeys(RUNG, "nothing"),
    "fine_tune": "epochs, learning rate, batch, validation set, loss weights; labels without forces: allow_unlabeled",
}


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


def by_rung(method: str, place: Path) -> Path:
    """Fit the frames of a draw, and return the checkpoint of SevenNet."""
    config = {
        "run": method,
        "fidelities": {"pbe": {}, "r2scan": {}},
        "target": "r2scan",
        "base": {"file": str(BASE), "fidelity": "pbe", "head": "PBE"},
        "data": {"train": "train.extxyz"},
        "method": {"name": method},
    }
    (place / f"{method}.yaml").write_text(yaml.safe_dump(config))
    run_fit(load_config(place / f"{method}.yaml"))
    return place / method / "r2scan.pth"


def by_sevennet(train: list[Structure], place: Path, epochs: int) -> Path:
    """Fine-tune the checkpoint of ``offset`` by SevenNet's own program, and return the one that it calls the best."""
    held = set(range(1, len(train), 4))
    home = place / "fine_tune"
    home.mkdir(exist_ok=True)
    for name, chosen in (("valid", held), ("fit", set(range(len(train))) - held)):
        ase.io.write(home / f"{name}.extxyz", [with_energy(train[k]) for k in sorted(chosen)])
    preset: dict[str, Any] = yaml.safe_load(PRESET.read_text())
    preset["model"] |= {"use_bias_in_linear": True}  # what the modality was folded into
    preset["train"] |= {"epoch": epochs, "is_train_stress": False, "per_epoch": epochs}
    preset["train"]["continue"]["checkpoint"] = "../offset/r2scan.pth"
    preset["train"]["error_record"] = [["Energy", "RMSE"], ["TotalLoss", "None"]]
    preset["data"] = {
        "batch_size": 4,
        "data_format_args": {"index": ":", "allow_unlabeled": True},
        "load_trainset_path": ["fit.extxyz"],
        "load_validset_path": ["valid.extxyz"],
    }
    (home / "input.yaml").write_text(yaml.safe_dump(preset))
    command = [str(Path(sys.executable).parent / "sevenn"), "train", "input.yaml", "-s"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    return home / "checkpoint_best.pth"


def with_energy(one: Structure) -> Atoms:
    """Return a frame with its target's energy as SevenNet reads it."""
    atoms = one.atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=one.labels["r2scan"].energy)
    return atoms


def errors_of(path: Path, test: list[Structure]) -> Numbers:
    """Return the errors of SevenNet's own calculator with a checkpoint."""
    from sevenn.calculator import SevenNetCalculator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calculator = SevenNetCalculator(str(path), device="cpu")
    return errors(calculator, test, "r2scan")


def rows_of(work: Path, labels: int, draws: int, epochs: int) -> dict[str, list[Numbers]]:
    """Return the numbers of every method and draw; those that are missing are made."""
    test = frames("test", N_TEST, TEST_SEED)
    found: dict[str, list[Numbers]] = {}
    for draw in range(draws):
        place = work / f"draw-{draw}"
        train = frames("train", labels, draw)
        write_structures(place / "train.extxyz", [without_forces(one) for one in train])
        makers: dict[str, Callable[[], Path]] = {name: partial(by_rung, name, place) for name in RUNG}
        makers["fine_tune"] = partial(by_sevennet, train, place, epochs)
        for name, make in makers.items():
            found.setdefault(name, []).append(kept(place, name, make, partial(errors_of, test=test)))
    return found


N_TEST, TEST_SEED = 12, 9


def main() -> None:
    """Make what is missing, print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=16)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = rows_of(options.work.resolve(), options.labels, options.draws, options.epochs)
    where = f"{options.labels} energies of ammonia; errors on {N_TEST} other frames"
    text = table(f"{where}; `fine_tune`: {options.epochs} epochs.", rows, TOLD)
    print(text)
    if options.write:
        write_table(options.write, text)


if __name__ == "__main__":
    main()
