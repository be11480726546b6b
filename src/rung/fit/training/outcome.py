"""The result of a training in the shape that every method returns."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from rung.data.stream import PackedRows, in_order
from rung.fit.lift import FitResult
from rung.fit.training.log import ErrorSums, error_sums
from rung.fit.training.stages import TrainingSettings
from rung.fit.training.trainer import Trained
from rung.fit.training.worker import moving
from rung.model.trainable import TrainablePotential
from rung.results.fit import FitDetails
from rung.settings import Settings


def result_of(
    model: TrainablePotential,
    trained: Trained,
    settings: Settings,
    rows: PackedRows,
    held: PackedRows | None,
    facts: Mapping[str, float],
    warnings: Sequence[str],
) -> FitResult:
    """Return the trained model as a frozen potential, with what the training did.

    Parameters
    ----------
    model
        As :func:`~rung.fit.training.trainer.train` left it.
    trained
        What it did; its log becomes ``details.epochs``.
    settings
        The method's settings.
    rows, held
        What it learnt from and stopped by; the first of their fidelities is the target.
    facts
        More numbers for the diagnostics.
    warnings
        Sentences that the user must read.
    """
    diagnostics: dict[str, float] = {
        "n_parameters": float(sum(parameter.numel() for parameter in moving(model))),
        **_counts(rows),
        "n_valid": float(len(held)) if held is not None else 0.0,
        "epochs": float(len(trained.log)),
        "best_epoch": float(trained.best_epoch),
        "best_loss": trained.best_loss if math.isfinite(trained.best_loss) else math.nan,
        "training_seconds": math.fsum(row["seconds"] for row in trained.log),
        **_errors_at_best(trained, rows.fidelities),
        **facts,
    }
    return FitResult(
        potential=model.frozen(),
        posterior=None,
        settings=settings,
        diagnostics=diagnostics,
        warnings=tuple(warnings),
        details=FitDetails(epochs=tuple(trained.log), finished=trained.finished),
    )


def fidelity_errors(
    model: TrainablePotential, rows: PackedRows, training: TrainingSettings
) -> dict[str, dict[str, float]]:
    """Return the errors of a model on ``rows`` by fidelity, in the words of the log: ``pbe_force_rmse``, meV/Å."""
    sums = ErrorSums(torch.zeros(len(rows.fidelities), 4, dtype=torch.float64, device=model.device))
    for chosen in in_order(len(rows), training.valid_batch_size):
        batch = rows.batch(chosen, dtype=model.dtype, device=model.device)
        sums = sums + error_sums(model.predict(batch, forces=rows.has_forces), batch)
    return {
        name: {f"{name}_{key}": value for key, value in sums.rmse(index).items()}
        for index, name in enumerate(rows.fidelities)
    }


def _counts(rows: PackedRows) -> dict[str, float]:
    """Return how many labels were learnt: those of the target, and of each other fidelity under its name."""
    found: dict[str, float] = {}
    finite = np.isfinite(rows.forces)
    for index, name in enumerate(rows.fidelities):
        of_it, suffix = rows.fidelity == index, f"_{name}" if index else ""
        found[f"n_energies{suffix}"] = float(np.isfinite(rows.energy[of_it]).sum())
        atoms = np.repeat(of_it, rows.n_atoms)
        found[f"n_force_components{suffix}"] = float(finite[atoms].sum())
    return found


def _errors_at_best(trained: Trained, fidelities: Sequence[str]) -> dict[str, float]:
    """Return the validation errors of each fidelity at the epoch that was kept; nothing where there is only one."""
    if not trained.best_epoch or len(fidelities) == 1:
        return {}
    row = trained.log[trained.best_epoch - 1]
    names = [f"{name}_{kind}" for name in fidelities for kind in ("energy_rmse", "force_rmse")]
    return {name: row[name] for name in names if name in row}
