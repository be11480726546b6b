"""The base's own predictions as labels of its fidelity: what it knew, where the data that taught it are not at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from rung.data.labels import Labels, empty_labels
from rung.data.stream import in_order, pack
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fit.heldout import has_label
from rung.fit.rows import FidelityLabels
from rung.model.potential import ReadoutPotential
from rung.progress import SILENT, Progress

_BATCH = 32


def predicted_labels(
    structures: Sequence[Structure], base: ReadoutPotential, fidelity: str, progress: Progress = SILENT
) -> list[Labels]:
    """Return the base's energy and forces of each structure as labels: no errors, no stress."""
    rows = pack(structures, [fidelity] * len(structures), base.cutoff)
    found: list[Labels] = []
    with progress.task("the base's own labels", total=len(structures)) as task:
        for chosen in in_order(len(rows), _BATCH):
            said = base.predict(rows.batch(chosen, dtype=base.dtype, device=base.device))
            assert said.forces is not None  # noqa: S101 - they are predicted by default
            sizes = rows.n_atoms[chosen].tolist()
            forces = torch.split(said.forces.detach().double().cpu(), sizes)
            for energy, force in zip(said.energy.tolist(), forces, strict=True):
                found.append(replace(empty_labels(len(force)), energy=energy, forces=np.asarray(force)))
            task.advance(len(chosen))
    return found


def with_own_labels(
    structures: Sequence[Structure],
    base: ReadoutPotential | None,
    base_fidelity: str,
    chosen: Mapping[str, FidelityLabels],
    progress: Progress = SILENT,
) -> list[Structure]:
    """Return the structures with the base's predictions where its fidelity has no label and ``chosen`` asks for them.

    Raises
    ------
    ConfigError
        When they are asked for without a base, or for a fidelity other than the base's.
    """
    asking = [name for name, labels in chosen.items() if labels.absent == "base"]
    if not asking:
        return list(structures)
    if base is None or asking != [base_fidelity]:
        there = f"of the base, {base_fidelity!r}" if base is not None else "of a base, and there is none"
        raise ConfigError(f"absent: base stands at {', '.join(asking)}; it can only stand at the fidelity {there}.")
    missing = [place for place, structure in enumerate(structures) if not has_label(structure, base_fidelity)]
    labels = predicted_labels([structures[place] for place in missing], base, base_fidelity, progress)
    found = list(structures)
    for place, own in zip(missing, labels, strict=True):
        found[place] = replace(found[place], labels={**found[place].labels, base_fidelity: own})
    return found
