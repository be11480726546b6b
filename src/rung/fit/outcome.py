"""The result of a training in the shape that every method returns."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rung.data.stream import PackedRows
from rung.fit.method import FitResult
from rung.fit.trainer import Trained
from rung.model.trainable import TrainablePotential
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
        As :func:`~rung.fit.trainer.train` left it.
    trained
        What it did; its log becomes ``details["epochs"]``.
    settings
        The method's settings.
    rows, held
        What it learnt from and stopped by.
    facts
        More numbers for the diagnostics.
    warnings
        Sentences that the user must read.
    """
    diagnostics: dict[str, float] = {
        "n_parameters": float(sum(parameter.numel() for parameter in model.parameters())),
        "n_energies": float(np.isfinite(rows.energy).sum()),
        "n_force_components": float(np.isfinite(rows.forces).sum()),
        "n_valid": float(len(held)) if held is not None else 0.0,
        "epochs": float(len(trained.log)),
        "best_epoch": float(trained.best_epoch),
        "best_loss": trained.best_loss if math.isfinite(trained.best_loss) else math.nan,
        "training_seconds": math.fsum(row["seconds"] for row in trained.log),
        **facts,
    }
    return FitResult(
        potential=model.frozen(),
        posterior=None,
        settings=settings,
        diagnostics=diagnostics,
        warnings=tuple(warnings),
        details={"epochs": [dict(row) for row in trained.log], "finished": trained.finished},
    )
