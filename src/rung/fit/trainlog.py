"""What a training writes down: errors on the validation rows, and a table of epochs."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rung.data.batch import Batch
from rung.model.protocols import Prediction
from rung.storage import write_text

FILE = "epochs.csv"
_COLUMNS = (
    "epoch", "stage", "learning_rate", "train_loss", "valid_loss", "energy_rmse", "force_rmse", "seconds"
)  # fmt: skip


@dataclass(frozen=True)
class ErrorSums:
    """Sums over labels that add over batches and processes.

    Parameters
    ----------
    values
        Squares of energy errors per atom (eV²/atom²) and their number, squares of force components ((eV/Å)²) and
        their number, shape ``(4,)``.
    """

    values: Tensor

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        """Return the sums over both."""
        return ErrorSums(self.values + other.values)

    def rmse(self) -> dict[str, float]:
        """Return root mean squares of what is labelled: ``energy_rmse`` meV/atom, ``force_rmse`` meV/Å."""
        energy, n_energy, forces, n_forces = self.values.tolist()
        found = {}
        if n_energy:
            found["energy_rmse"] = 1000.0 * math.sqrt(energy / n_energy)
        if n_forces:
            found["force_rmse"] = 1000.0 * math.sqrt(forces / n_forces)
        return found


def error_sums(prediction: Prediction, batch: Batch) -> ErrorSums:
    """Return the sums of one batch; energies unweighted, whatever the loss does with their errors."""
    with torch.no_grad():
        energy = ((prediction.energy.double() - batch.energy) / batch.n_atoms)[torch.isfinite(batch.energy)]
        parts = [energy.square().sum(), torch.tensor(float(len(energy)))]
        forces = energy.new_zeros(0)
        if prediction.forces is not None:
            labelled = torch.isfinite(batch.forces)
            forces = (prediction.forces - batch.forces)[labelled].double()
        parts += [forces.square().sum(), torch.tensor(float(len(forces)))]
        return ErrorSums(torch.stack([part.to(energy) for part in parts]))


def write_log(folder: Path, log: Sequence[Mapping[str, float]]) -> None:
    """Write ``epochs.csv``: one line per epoch; an error that was not measured leaves its column empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_text(Path(folder) / FILE, out.getvalue())
