"""What one level adds to another on the same geometry, as labels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rung.data.batch import by_count
from rung.data.labels import Array, Labels
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.fit.fidelities.heldout import labelled_by
from rung.fit.fidelities.replay import predicted_labels
from rung.fit.lift import Base
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from rung.progress import SILENT, Progress

Learns = Literal["base", "labels"]


def differences(
    structures: Sequence[Structure], base: Base, target: str, learns: Learns, progress: Progress = SILENT
) -> list[Structure]:
    """Return the structures that have a difference, with it as the only label, under the name ``target``.

    Parameters
    ----------
    structures
        Those that ``target`` does not label are left out, and with ``labels`` those without a pair.
    base
        What is lifted.
    target
        The fidelity to lift to.
    learns
        ``base``: the target's label less what the base says. ``labels``: less the label of the base's fidelity.
    progress
        Where predictions of the base report.
    """
    usable = list(labelled_by(structures, target))
    if learns == "labels":
        low = [structure.labelled(base.fidelity) for structure in usable]
    else:
        low = predicted_labels(usable, base.plain, base.fidelity, progress)
        stressed = [k for k, structure in enumerate(usable) if structure.labelled(target).has_stress]
        stresses = _stresses([usable[k] for k in stressed], base.plain, base.fidelity)
        for place, stress in zip(stressed, stresses, strict=True):
            low[place] = replace(low[place], stress=stress)
    changes = [
        replace(structure, labels={target: difference(structure.labelled(target), labels)})
        for structure, labels in zip(usable, low, strict=True)
    ]
    return list(labelled_by(changes, target))


def difference(high: Labels, low: Labels) -> Labels:
    """Return ``high`` less ``low``: absent where either is; errors add in quadrature, an absent one counting zero."""
    return Labels(
        energy=high.energy - low.energy,
        energy_stderr=float(_quadrature(np.array(high.energy_stderr), np.array(low.energy_stderr))),
        forces=high.forces - low.forces,
        forces_stderr=_quadrature(high.forces_stderr, low.forces_stderr),
        stress=high.stress - low.stress,
    )


def require_pairs(structures: Sequence[Structure], target: str, source: str) -> None:
    """Raise a :class:`~rung.errors.FitError` where no structure has labels of both fidelities."""
    if not any(structure.labelled(target).has_energy for structure in structures):
        raise FitError(
            f"learns: labels needs structures with energies of both {target!r} and {source!r}, and no training "
            f"structure has both; label some with {source!r} too, or use learns: base."
        )


def require_two(target: str, source: str) -> None:
    """Raise a :class:`~rung.errors.ConfigError` where a fidelity would be subtracted from itself."""
    if target == source:
        raise ConfigError(f"learns: labels subtracts the base's fidelity from the target, but both are {target!r}.")


def _stresses(structures: Sequence[Structure], base: ReadoutPotential, fidelity: str) -> list[Array]:
    predictions = predict_structures(base, by_count(structures, 1), fidelity, forces=False, stress=True)
    return [one.stress for one in predictions if one.stress is not None]


def _quadrature(first: Array, second: Array) -> Array:
    total = np.sqrt(np.nan_to_num(first) ** 2 + np.nan_to_num(second) ** 2)
    return np.where(np.isnan(first) & np.isnan(second), np.nan, total)
