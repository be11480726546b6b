"""Seconds of an epoch: rung's trainer against mace-torch's own loop on the same model, data, batches and type.

    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py [--structures 60] [--repeats 5] [--channels 16]

Both train copies of one model on energies and forces of the bundled PM6 molecules, epoch about, so that a busy machine
slows both alike. The median ratio is printed.
"""

import argparse
import copy
import logging
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

import rung
from rung.backends.mace.importing import import_mace
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.training import build_trainable
from rung.data.labels import read_labels
from rung.data.stream import PackedRows, pack
from rung.data.structure import Structure, elements_in
from rung.fit.fidelities.normalisation import normalisation
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.model.trainable import TrainablePotential

import_mace()

from mace import data, modules, tools  # noqa: E402
from mace.tools import torch_geometric  # noqa: E402
from mace.tools.train import train_one_epoch  # noqa: E402
from torch_ema import ExponentialMovingAverage  # noqa: E402

BATCH = 8


def frames_of(count: int) -> list[Atoms]:
    path = Path(rung.__file__).parent / "demo_data" / "pm6-dft" / "frames.extxyz"
    return read(path, index=f":{count}")


class MaceLoop:
    """mace-torch's loop: its data loader, loss, optimizer and average."""

    def __init__(self, model: torch.nn.Module, frames: list[Atoms], cutoff: float) -> None:
        keys = data.KeySpecification(info_keys={"energy": "pm6_energy"}, arrays_keys={"forces": "pm6_forces"})
        configs = data.config_from_atoms_list(frames, key_specification=keys)
        table = tools.AtomicNumberTable([int(number) for number in model.atomic_numbers])
        graphs = [data.AtomicData.from_config(config, z_table=table, cutoff=cutoff) for config in configs]
        self.loader = torch_geometric.dataloader.DataLoader(graphs, batch_size=BATCH, shuffle=True, drop_last=False)
        self.model = model
        self.loss = modules.WeightedEnergyForcesLoss(energy_weight=10.0, forces_weight=100.0)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
        self.average = ExponentialMovingAverage(model.parameters(), decay=0.99)

    def epoch(self) -> float:
        started = time.perf_counter()
        train_one_epoch(
            self.model, self.loss, self.loader, self.optimizer, 0,
            {"forces": True, "virials": False, "stress": False}, 10.0, self.average,
            logger=logging.getLogger("quiet-mace"), device=torch.device("cpu"), distributed=False,
        )  # fmt: skip
        return time.perf_counter() - started


def rung_epoch(model: TrainablePotential, rows: PackedRows) -> float:
    settings = TrainingSettings(epochs=1, batch_size=BATCH, schedule=Constant(), average_decay=0.99)
    return train(model, rows, None, settings, seed=0).log[0]["seconds"]


class _Quiet(logging.Logger):
    def log(self, *_: object, **__: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--channels", type=int, default=16)
    chosen = parser.parse_args()
    frames = frames_of(chosen.structures)
    structures = [
        Structure(atoms, str(index), {"pm6": read_labels(atoms.info, atoms.arrays, "pm6", len(atoms))})
        for index, atoms in enumerate(frames)
    ]
    architecture = MaceArchitecture(channels=chosen.channels, max_l=1, cutoff=4.5)
    rows = pack(structures, ["pm6"] * len(structures), architecture.cutoff)
    elements = elements_in(structures)
    start = normalisation(structures, rows, elements, 0.005)
    ours = build_trainable(
        architecture, references=start.references, elements=elements,
        avg_num_neighbors=start.avg_num_neighbors, scales=start.scales, seed=0, dtype=torch.float32,
    )  # fmt: skip
    theirs = copy.deepcopy(ours.module)
    energies = [start.references["pm6"].energies[number] for number in elements]
    theirs.atomic_energies_fn.atomic_energies.copy_(torch.tensor(energies))
    logging.setLoggerClass(_Quiet)
    loop = MaceLoop(theirs, frames, architecture.cutoff)
    loop.epoch(), rung_epoch(ours, rows)  # the first passes compile
    pairs = [(loop.epoch(), rung_epoch(ours, rows)) for _ in range(chosen.repeats)]
    for mace, own in pairs:
        print(f"mace-torch {mace:6.2f} s   rung {own:6.2f} s   ratio {own / mace:.2f}")
    ratio = statistics.median(own / mace for mace, own in pairs)
    n_atoms = int(np.sum(rows.n_atoms))
    print(f"{len(structures)} structures, {n_atoms} atoms, batches of {BATCH}, {torch.get_num_threads()} thread(s)")
    print(f"rung takes {ratio:.2f} times the seconds of mace-torch's loop (median of {chosen.repeats} epochs)")


if __name__ == "__main__":
    main()
