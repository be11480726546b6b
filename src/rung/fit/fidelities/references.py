"""Reference energies of a model in closed form: before a training, and once more after it."""

from collections.abc import Sequence

import numpy as np

from rung.data.stream import PackedRows
from rung.data.structure import Structure
from rung.fit.fidelities.composition import CompositionFit
from rung.fit.fidelities.normalisation import change_of_reference
from rung.fit.training.outcome import fidelity_errors
from rung.fit.training.stages import TrainingSettings
from rung.model.trainable import TrainablePotential


def move_references(
    model: TrainablePotential,
    structures: Sequence[Structure],
    rows: PackedRows,
    fidelities: Sequence[str],
    training: TrainingSettings,
) -> dict[str, CompositionFit]:
    """Bring a model to the energies of some fidelities by their reference energies alone, by least squares.

    Parameters
    ----------
    model
        Its reference energies are changed.
    structures, rows
        The geometry of each row, and the rows packed in the same order.
    fidelities
        Those whose reference energies may move; one without energies keeps its own.
    training
        The floor of energies and the size of batches.

    Returns
    -------
    dict[str, CompositionFit]
        The change of each fidelity that moved.
    """
    if not fidelities:
        return {}
    changes = change_of_reference(model, structures, rows, training.loss.energy_floor, training.valid_batch_size)
    moved = {name: changes[name] for name in fidelities if name in changes}
    references = dict(model.references)
    for name, fit in moved.items():
        references[name] = references[name].moved(fit.elements, fit.energies)
    model.set_references(references)
    return moved


def close_references(
    model: TrainablePotential,
    structures: Sequence[Structure],
    rows: PackedRows,
    held: PackedRows | None,
    fidelities: Sequence[str],
    training: TrainingSettings,
) -> dict[str, float]:
    """Fit the reference energies of a trained model once more, to what it leaves of its training energies.

    Steps of a finite length leave a constant in the energies that forces do not see; least squares takes it out.

    Parameters
    ----------
    model, structures, rows, fidelities, training
        As :func:`move_references`.
    held
        What chose the epoch.

    Returns
    -------
    dict[str, float]
        How far the reference energies of each fidelity moved, r.m.s. over elements, eV, and the errors of energies on
        ``held`` after that, meV/atom: ``closing_energy_rmse``, or ``<fidelity>_energy_rmse`` of several.
    """
    moved = move_references(model, structures, rows, fidelities, training)
    facts = {
        named("closing_reference_change", name, fidelities): float(np.sqrt(np.mean(fit.energies**2)))
        for name, fit in moved.items()
    }
    if held is None or not moved:
        return facts
    errors = fidelity_errors(model, held, training)
    alone = len(held.fidelities) == 1
    told = {name: errors[name].get(f"{name}_energy_rmse") for name in moved}
    return facts | {
        "closing_energy_rmse" if alone else f"{name}_energy_rmse": error
        for name, error in told.items()
        if error is not None
    }


def named(fact: str, name: str, fidelities: Sequence[str]) -> str:
    """Return the name of a number of one fidelity; where there are several it says of which."""
    return fact if len(fidelities) == 1 else f"{fact}_{name}"
