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
_FIRST = ("epoch", "stage", "learning_rate", "train_loss", "valid_loss", "energy_rmse", "force_rmse")
_LAST = "seconds"


@dataclass(frozen=True)
class ErrorSums:
    """Sums over labels that add over batches and processes.

    Parameters
    ----------
    values
        For each fidelity the squares of energy errors per atom (eV²/atom²) and their number, squares of force
        components ((eV/Å)²) and their number, shape ``(F, 4)``.
    """

    values: Tensor

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        """Return the sums over both."""
        return ErrorSums(self.values + other.values)

    def rmse(self, index: int) -> dict[str, float]:
        """Return root mean squares of what one fidelity labels: ``energy_rmse`` meV/atom, ``force_rmse`` meV/Å."""
        energy, n_energy, forces, n_forces = self.values[index].tolist()
        found = {}
        if n_energy:
            found["energy_rmse"] = 1000.0 * math.sqrt(energy / n_energy)
        if n_forces:
            found["force_rmse"] = 1000.0 * math.sqrt(forces / n_forces)
        return found


def error_sums(prediction: Prediction, batch: Batch) -> ErrorSums:
    """Return the sums of one batch; energies unweighted, whatever the loss does with their errors."""
    with torch.no_grad():
        energy = (prediction.energy.double() - batch.energy) / batch.n_atoms
        columns = _squares(energy, batch.fidelity, batch)
        if prediction.forces is not None:
            columns += _squares(prediction.forces.double() - batch.forces, batch.fidelity[batch.atom_row], batch)
        else:
            columns += [torch.zeros_like(columns[0])] * 2
        return ErrorSums(torch.stack(columns, dim=1))


def _squares(errors: Tensor, fidelity: Tensor, batch: Batch) -> list[Tensor]:
    """Return the sum of squares of the errors that are numbers, and how many are, of each fidelity."""
    found, rows = torch.isfinite(errors), len(errors)
    member = torch.nn.functional.one_hot(fidelity, len(batch.fidelities)).double().T
    squares = torch.where(found, errors, 0.0).square().reshape(rows, -1).sum(dim=1)
    return [member @ squares, member @ found.double().reshape(rows, -1).sum(dim=1)]


def write_log(folder: Path, log: Sequence[Mapping[str, float]]) -> None:
    """Write ``epochs.csv``: one line per epoch; an error that was not measured leaves its column empty."""
    out = io.StringIO()
    more = dict.fromkeys(key for row in log for key in row if key not in (*_FIRST, _LAST))
    writer = csv.DictWriter(out, fieldnames=[*_FIRST, *more, _LAST], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_text(Path(folder) / FILE, out.getvalue())
