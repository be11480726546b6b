"""Train a base on GFN2 until its validation is flat, and draw the course of it.

python examples/molecules/flat.py FOLDER docs/results/molecules-flat.svg
"""

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from rung import demo_data, run_fit
from rung.config import RunConfig
from rung.demo.molecules import molecule_files

mpl.use("Agg")

TRAINING = {
    "epochs": 400,
    "batch_size": 16,
    "learning_rate": 0.01,
    "loss": {"energy_weight": 100.0},
    "schedule": {"name": "until_flat", "patience": 10, "steps": 3},
}


def trained(folder: Path) -> Path:
    """Train the base in ``folder/run``, once, and return the table of its epochs."""
    files = molecule_files(demo_data.folder("molecules"), folder)
    config = {
        "fidelities": {"gfn2": {"level_of_theory": "GFN2-xTB"}},
        "target": "gfn2",
        "threads": 1,
        "run": folder / "run",
        "data": {"train": files["learnt"], "valid": files["valid"], "evaluate": {"test": files["test"]}},
        "method": {
            "name": "scratch",
            "architecture": {"channels": 16, "max_l": 1, "layers": 2, "cutoff": 5.0},
            "training": TRAINING,
        },
    }
    run_fit(RunConfig.read(config).resolved(folder))
    return next((folder / "run").rglob("epochs.csv"))


def draw(table: Path, out: Path) -> None:
    """Draw losses and learning rate over epochs."""
    rows = list(csv.DictReader(table.read_text().splitlines()))
    epochs = [float(row["epoch"]) for row in rows]
    figure, (losses, rates) = plt.subplots(2, 1, sharex=True, figsize=(6, 4), height_ratios=(3, 1))
    for name, label in (("valid_loss", "validation"), ("train_loss", "training")):
        losses.semilogy(epochs, [float(row[name]) for row in rows], label=label)
    losses.set_ylabel("loss")
    losses.legend(frameon=False)
    rates.semilogy(epochs, [float(row["learning_rate"]) for row in rows], color="grey")
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    figure.tight_layout()
    figure.savefig(out)


if __name__ == "__main__":
    draw(trained(Path(sys.argv[1]).resolve()), Path(sys.argv[2]))
