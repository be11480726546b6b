"""Lifts by rung beside mace-torch's own fine-tuning, naive and LoRA, on the same labels: H + H2 from PBE to UCCSD(T).

The labels are real and ship with rung. The base is the small MACE of ``rung demo --data h3``. ``mace_run_train`` is run
as a user would, on written files: with the recipe of its documentation for naive fine-tuning, and that of its LoRA
(rank 4, learning rate 0.005). Its E0s are those that ``offset`` fitted, and every fourth label chooses the epoch; the
lower learning rate of the second naive row is ours. All errors are of MACE's own calculator on the files that both
wrote. What is done is kept in --work.

    .venv/bin/python benchmarks/peers_mace.py --work runs/peers_mace --write docs/results/sevennet.md#mace
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import write
from mace.calculators import MACECalculator
from peer_rows import Numbers, errors, kept, table

from rung import RungCalculator
from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import energies_only
from rung.data.structure import Structure
from rung.demo.configs import H3_BASE, H3_LIFT
from rung.demo_data import folder
from rung.pages import write_table
from rung.run.stages import run_fit

LOW, HIGH = "pbe", "ccsdt"
RUNG = ("offset", "readout", "tangent")
NAIVE: dict[str, Any] = {"lr": 0.01, "ema": None, "ema_decay": 0.99, "amsgrad": None, "scaling": "rms_forces_scaling"}
"""MACE's documentation: naive fine-tuning; None is a flag."""
PEERS: dict[str, dict[str, Any]] = {
    "naive": NAIVE,
    "naive, lr 0.001": {**NAIVE, "lr": 0.001},
    "LoRA": {**NAIVE, "lora": True, "lora_rank": 4, "lr": 0.005},
}
TOLD = {
    **dict.fromkeys(RUNG, "nothing"),
    "naive": "E0s, validation set, epochs, learning rate, batch, loss weights, EMA",
    "naive, lr 0.001": "the same",
    "LoRA": "the same, and the rank",
}


@dataclass(frozen=True)
class Frames:
    """The frames by what they are for."""

    pool: tuple[Structure, ...]
    anchors: tuple[Structure, ...]
    test: tuple[Structure, ...]
    learnt: tuple[Structure, ...]

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> "Frames":
        """Sort the frames of the data set as the study of H + H2 does: the path is never learnt from."""
        far = next(one for one in structures if one.structure_id == "path_far")
        rattled = [one for one in structures if one.structure_id.startswith("rand")]
        channel = tuple(one for one in structures if one.structure_id.startswith("chan"))
        pool = [one for one in rattled if one.labelled("dmc").has_energy]
        others = [one for one in rattled if not one.labelled("dmc").has_energy]
        return cls((far, *pool), channel, tuple(others[:60]), (far, *pool, *others[60:], *channel))

    def drawn(self, count: int, seed: int) -> list[Structure]:
        """Return the frames that a fit sees; ``count`` have an energy of the target, H2 + H among them."""
        order = 1 + np.random.default_rng(seed).permutation(len(self.pool) - 1)
        chosen = {0, *order[: count - 1].tolist()}
        kept = [only(one, LOW, HIGH) if place in chosen else only(one, LOW) for place, one in enumerate(self.pool)]
        return [*energies_only(kept, HIGH), *(only(one, LOW) for one in self.anchors)]


def only(one: Structure, *fidelities: str) -> Structure:
    """Return a frame with the labels of these fidelities alone."""
    return Structure(one.atoms, one.structure_id, {name: one.labels[name] for name in fidelities})


def base_of(frames: Frames, work: Path) -> Path:
    """Train the base on PBE, once; return its file of MACE."""
    path = work / "base" / f"{LOW}.model"
    if not path.exists():
        write_structures(work / "learnt.extxyz", [only(one, LOW) for one in frames.learnt])
        told = {**H3_BASE, "run": str(work / "base"), "data": {"train": str(work / "learnt.extxyz")}}
        run_fit(RunConfig.read(told, "benchmark"))
    return path


def by_rung(method: str, base: Path, place: Path) -> Path:
    """Fit the frames of a draw, and return the file of MACE."""
    told = {
        **H3_LIFT,
        "fidelities": {LOW: {}, HIGH: {}},
        "target": HIGH,
        "run": str(place / method),
        "base": {"file": str(base), "fidelity": LOW},
        "data": {"train": str(place / "train.extxyz")},
        "method": {"name": method},
    }
    return run_fit(RunConfig.read(told, "benchmark")).folder.path / f"{HIGH}.model"


def by_mace(name: str, base: Path, place: Path, epochs: int) -> Path:
    """Fine-tune by MACE's own program from written files, and return its model."""
    labelled = [one for one in read_structures(place / "train.extxyz") if one.labelled(HIGH).has_energy]
    home = place / name.replace(", ", "-").replace(" ", "-")
    home.mkdir(parents=True, exist_ok=True)
    for file, chosen in (("valid", labelled[1::4]), ("train", [one for k, one in enumerate(labelled) if k % 4 != 1])):
        frames = []
        for one in chosen:
            atoms = one.atoms.copy()
            atoms.info["REF_energy"] = one.labels[HIGH].energy
            frames.append(atoms)
        write(home / f"{file}.xyz", frames, format="extxyz")
    fitted = RungCalculator(place / "offset" / "model.rung", fidelity=HIGH).potential
    options = {
        "name": "tuned",
        "foundation_model": str(base.resolve()),
        "multiheads_finetuning": False,
        "train_file": "train.xyz",
        "valid_file": "valid.xyz",
        "E0s": str({int(number): float(e0) for number, e0 in fitted.surface(HIGH).reference.energies.items()}),
        "energy_weight": 1.0,
        "forces_weight": 1.0,
        "batch_size": 2,
        "max_num_epochs": epochs,
        "default_dtype": "float64",
        "device": "cpu",
        "seed": 3,
        "plot": False,
        **PEERS[name],
    }
    words = [f"--{key}" if value is None else f"--{key}={value}" for key, value in options.items()]
    command = [sys.executable, "-m", "mace.cli.run_train", *words]
    with (home / "log.txt").open("w") as log:
        subprocess.run(command, cwd=home, stdout=log, stderr=subprocess.STDOUT, check=True)
    return home / "tuned.model"


def errors_of(path: Path, test: Sequence[Structure]) -> Numbers:
    """Return the errors of MACE's own calculator with a file."""
    return errors(MACECalculator(model_paths=[str(path)], device="cpu", default_dtype="float64"), test, HIGH)


def rows_of(frames: Frames, work: Path, count: int, draws: int, epochs: int) -> dict[str, list[Numbers]]:
    """Return the numbers of every method and draw; those that are missing are made."""
    base = base_of(frames, work)
    found: dict[str, list[Numbers]] = {"base": [errors_of(base, frames.test)]}
    for draw in range(draws):
        place = work / f"draw-{draw}"
        write_structures(place / "train.extxyz", frames.drawn(count, draw))
        makers: dict[str, Callable[[], Path]] = {name: partial(by_rung, name, base, place) for name in RUNG}
        makers |= {name: partial(by_mace, name, base, place, epochs) for name in PEERS}
        for name, make in makers.items():
            found.setdefault(name, []).append(kept(place, name, make, partial(errors_of, test=frames.test)))
    return found


def main() -> None:
    """Make what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    frames = Frames.of(read_structures(folder("h3") / "frames.extxyz"))
    rows = rows_of(frames, options.work.resolve(), options.labels, options.draws, options.epochs)
    said = (
        f"{options.labels} energies of UCCSD(T), no forces; errors on 60 other frames; MACE: {options.epochs} epochs."
    )
    text = table(said, rows, TOLD)
    print(text)
    if options.write:
        write_table(options.write, text)


if __name__ == "__main__":
    main()
