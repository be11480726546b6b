"""Which structures a training learns from, and which it stops by."""

from collections.abc import Sequence

import numpy as np

from rung.data.structure import Structure
from rung.errors import FitError

_FEWEST = 5


def labelled_by(structures: Sequence[Structure], fidelity: str) -> list[Structure]:
    """Return the structures to which ``fidelity`` gives an energy, or forces on all atoms, or a stress."""
    found = [(structure, structure.labelled(fidelity)) for structure in structures]
    return [
        structure
        for structure, labels in found
        if labels.has_energy or bool(np.isfinite(labels.forces).any()) or labels.has_stress
    ]


def hold_out(
    train: Sequence[Structure], valid: Sequence[Structure], target: str, fraction: float, seed: int
) -> tuple[list[Structure], list[Structure]]:
    """Return labelled structures to train on and to validate on.

    Without validation data a random ``fraction`` of the geometries of ``train`` is held out, whole geometries at a
    time; nothing where ``fraction`` is 0 or fewer than five geometries are labelled.

    Raises
    ------
    FitError
        When no structure of ``train`` has a label of ``target``.
    """
    usable = labelled_by(train, target)
    if not usable:
        raise FitError(f"No training structure has a label of {target!r}.")
    if valid:
        return usable, labelled_by(valid, target)
    names = sorted({structure.structure_id for structure in usable})
    count = max(1, round(fraction * len(names))) if fraction > 0 and len(names) >= _FEWEST else 0
    chosen = {names[index] for index in np.random.default_rng([seed, 0x5EED]).permutation(len(names))[:count]}
    kept = [structure for structure in usable if structure.structure_id not in chosen]
    return kept, [structure for structure in usable if structure.structure_id in chosen]
