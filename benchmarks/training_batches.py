"""What a training step of small molecules costs by the number of rows in it: processor seconds, so others may work too.

    OMP_NUM_THREADS=1 python benchmarks/training_batches.py [--out docs/results/speed.md#batches]

The rows are GFN2 energies and forces of the bundled molecules of three to six atoms, the model that of their study.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from rung import demo_data, read_structures
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.training import build_trainable
from rung.data.stream import PackedRows, pack
from rung.data.structure import Structure, elements_in
from rung.fit.fidelities.normalisation import normalisation
from rung.fit.training.schedule import Constant
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import train
from rung.model.trainable import TrainablePotential
from rung.pages import write_table

SIZES = (4, 8, 16, 32, 64, 128)
STEPS = 8


def started(frames: Sequence[Structure], fidelity: str) -> tuple[PackedRows, TrainablePotential]:
    """Return the rows of a training on one fidelity, and its new model."""
    shape = MaceArchitecture(channels=16, max_l=1, correlation=2, radial_units=(32, 32))
    rows, elements = pack(frames, [fidelity] * len(frames), shape.cutoff), elements_in(frames)
    start = normalisation(frames, rows, elements, 0.005)
    model = build_trainable(
        shape, references=start.references, elements=elements, avg_num_neighbors=start.avg_num_neighbors,
        scales=start.scales, seed=0, dtype=torch.float32,
    )  # fmt: skip
    return rows, model


def lines(sizes: tuple[int, ...], steps: int) -> list[str]:
    frames = [
        one for one in read_structures(demo_data.folder("molecules") / "frames.extxyz") if one.info["part"] == "train"
    ]
    rows, model = started(frames, "gfn2")
    found = ["| rows a step | a step, ms | 100 rows, ms |", "|---|---|---|"]
    for size in sizes:
        count = min(len(frames), size * steps)
        some = pack(frames[:count], ["gfn2"] * count, model.cutoff)
        settings = TrainingSettings(epochs=1, batch_size=size, schedule=Constant())
        train(model, some, None, settings, seed=0)  # the first steps compile
        before = time.process_time()
        train(model, some, None, settings, seed=0)
        milliseconds = 1e3 * (time.process_time() - before)
        found.append(f"| {size} | {milliseconds * size / count:.0f} | {100 * milliseconds / count:.0f} |")
    atoms, edges = rows.atom_start[-1] / len(rows), rows.edge_start[-1] / len(rows)
    return [*found, "", f"A row has {atoms:.1f} atoms and {edges:.0f} edges on average; float32, one thread."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the table here, too")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    text = "\n".join(lines(SIZES, STEPS)) + "\n"
    print(text)
    if chosen.out is not None:
        write_table(chosen.out, text)


if __name__ == "__main__":
    main()
